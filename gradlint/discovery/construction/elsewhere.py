"""Where other files of the project construct the models of this one, and with what arguments."""

from __future__ import annotations

import ast
import builtins
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from gradlint.discovery.construction.closing import Closed, close
from gradlint.discovery.construction.finishing import free, steps
from gradlint.discovery.construction.parameters import (
    Parameter,
    all_parameters,
    given_arguments,
    parameters_of,
)
from gradlint.discovery.construction.signatures import Filling
from gradlint.discovery.knowledge.frameworks import is_known
from gradlint.discovery.project.evidence import OtherFile, reads_as_numbers, whole_word
from gradlint.discovery.project.neighbours import file_outline
from gradlint.discovery.project.reading import Reading, read_outline
from gradlint.discovery.text.arguments import is_parsed
from gradlint.discovery.text.bindings import THE_END, Placed
from gradlint.discovery.text.expressions import is_harmless
from gradlint.discovery.text.given import fixture
from gradlint.discovery.text.imports import may_mean
from gradlint.discovery.text.outline import Called, Scope
from gradlint.discovery.text.source import parse, read
from gradlint.program import Unreadable
from gradlint.protocol.wire import BuiltFrom, Candidate

_MODULE = "__import__('importlib').import_module"
_LOADED = re.compile(rf"{re.escape(_MODULE)}\('([\w.]+)'\)")
_MOST = 3
"""Constructions in other files that are tried; the nearest file's come first."""
_TESTS = re.compile(r"test_|conftest\.py|\w+_tests?\.py|tests?\.py")
"""What files of tests are called."""


def elsewhere(reading: Reading, name: str) -> Iterator[Candidate]:
    """The ways in which other files construct a model class, those that say most first.

    An argument whose value is not in sight there has the value that is usual for its parameter;
    `built_from` says so. Of a model that needs none, tests take small ones, which do not count.
    """
    parameters = all_parameters(reading, name)
    if "." in name or not parameters:
        return
    complete = all(parameter.optional for parameter in parameters)
    found: dict[str, Candidate] = {}
    for file in reading.project.naming(called_as(name), all_count=not complete):
        for called in () if complete and _TESTS.match(file.path.name) else file.outline.calls:
            if is_construction(called, name, file, reading):
                for candidate in _closed(reading, name, parameters, file, called):
                    found.setdefault(candidate.constructor, candidate)
        if len(found) >= _MOST:
            break
    ranked = sorted(found.values(), key=lambda item: item.built_from is BuiltFrom.NAMES)
    yield from ranked[:_MOST]


def finished_elsewhere(
    reading: Reading, name: str, candidates: tuple[Candidate, ...]
) -> tuple[Candidate, ...]:
    """The candidates, initialised as the nearest other file does it that constructs the class."""
    if "." in name or any(item.built_from is BuiltFrom.USE_IN_FILE for item in candidates):
        return candidates
    for file in reading.project.naming(called_as(name), all_count=False):
        if done := _done(reading, name, file):
            return tuple(_with(candidate, done, Sight(reading, file)) for candidate in candidates)
    return candidates


def called_as(name: str) -> str:
    """What stands in a file that calls a class or a function, be it by another name."""
    return rf"{whole_word(name)}(?<!class {name})(?<!def {name})(\(| as \w)"


def _done(reading: Reading, name: str, file: OtherFile) -> list[Closed]:
    """What another file does to the first instance of a class to which it does anything."""
    if not any(is_construction(called, name, file, reading) for called in file.outline.calls):
        return []
    source = read(file.path, file.path.name)
    tree = source if isinstance(source, Unreadable) else parse(source)
    if isinstance(source, Unreadable) or isinstance(tree, Unreadable):
        return []
    around = reading.neighbourhood
    other = read_outline(source, tree, around.root, around.lookups)
    made = (each for each in other.outline.calls if is_construction(each, name, file, reading))
    done = (
        [step for step in steps(other, each.node, abroad=True) if Sight(reading, file).holds(step)]
        for each in made
    )
    return next(filter(None, done), [])


def _with(candidate: Candidate, done: list[Closed], sight: Sight) -> Candidate:
    bindings = dict(candidate.bindings)
    for step in done:
        bindings = dict(sight.imported(step)) | bindings | dict(step.bindings)
    then = tuple(text for step in done for text in step.texts)
    return replace(candidate, bindings=tuple(bindings.items()), then=then)


def is_construction(called: Called, name: str, file: OtherFile, reading: Reading) -> bool:
    """Whether a call in another file constructs the class `name` of this one."""
    return _calls(called, name, file, reading, reading.source.path)


def _calls(called: Called, name: str, file: OtherFile, reading: Reading, path: Path) -> bool:
    """Whether a call in a file is of the class or function `name` of another, at `path`."""
    qualified = file.imports.qualified(called.node.func)
    module, _, last = qualified.rpartition(".")
    if last != name or name in file.outline.defined:
        return False
    other = file_outline(file.path)
    found = reading.neighbourhood.find_class(qualified, other) if other else None
    if found is not None:
        return found[1].path.resolve() == path.resolve()
    return may_mean(module, path) or (not module and bool(file.imports.stars))


def _closed(
    reading: Reading, name: str, parameters: list[Parameter], file: OtherFile, called: Called
) -> Iterator[Candidate]:
    """The construction as this file would write it; nothing where nothing of it is in sight.

    First with what the project's own functions give, then without, because these may want data.
    """
    whole = _candidate(name, parameters, called, Sight(reading, file, whole=True))
    if whole is not None:
        yield whole
    if whole is None or _runs_the_project(whole):
        bare = _candidate(name, parameters, called, Sight(reading, file))
        yield from [bare] if bare is not None else []


def _runs_the_project(candidate: Candidate) -> bool:
    """Whether anything in a candidate is imported from elsewhere than a known package."""
    texts = (candidate.constructor, *(text for _, text in candidate.bindings))
    loaded = (module for text in texts for module in _LOADED.findall(text))
    return not all(is_known(module.split(".")[0]) for module in loaded)


def _candidate(
    name: str, parameters: list[Parameter], called: Called, sight: Sight
) -> Candidate | None:
    reading = sight.reading
    given = given_arguments(called.node, parameters)
    seen = {
        key: value
        for key, value in given.items()
        if sight.reaches(Placed(value, called.scope, called.node.lineno))
    }
    placed = [Placed(value, called.scope, called.node.lineno) for value in seen.values()]
    closed = close(sight.file.tracer, *placed, abroad=Callers(sight))
    if closed is None:
        return None
    texts = dict(zip(seen, closed.texts, strict=True))
    guessed = any(p.name in given and p.name not in texts for p in parameters)
    unseen = ((key, value) for key, value in given.items() if key not in texts)
    texts |= {key: text for key, value in unseen if (text := _called(reading, value)) is not None}
    usual = Filling(reading, name, 0).lacking(texts) if texts else None
    if usual is None:
        return None
    guessed |= bool(usual)
    texts |= usual
    constructor = f"{name}({', '.join(f'{key}={text}' for key, text in texts.items())})"
    source = BuiltFrom.NAMES if guessed else BuiltFrom.USE_IN_PROJECT
    return Candidate(source, constructor, None, sight.imported(closed))


def _called(reading: Reading, value: ast.expr) -> str | None:
    """The number that an option of the project has which is called as an attribute is.

    As with `Net(self.patch_size)`, whose object was made where nothing can be read.
    """
    text = reading.project.value(value.attr) if isinstance(value, ast.Attribute) else None
    return text if text is not None and reads_as_numbers(text) else None


@dataclass(frozen=True, slots=True)
class Callers:
    """The files that construct a class, or call a function, of the file which makes the model.

    As a script does with the trainer that is given all options and makes the model of some, and
    pytest with the fixtures that a `conftest.py` has for a test.
    """

    sight: Sight

    def __call__(self, parameter: str, holder: Scope) -> Closed | None:
        """What the nearest of them gives a parameter, closed for where the model is made."""
        found = itertools.chain(
            self._arguments(parameter, holder), self._fixtures(parameter, holder)
        )
        for file, placed in found:
            closed, sight = close(file.tracer, placed), replace(self.sight, file=file)
            if closed is not None and sight.holds(closed):
                return replace(closed, bindings=sight.imported(closed))
        return None

    def _arguments(self, parameter: str, holder: Scope) -> Iterator[tuple[OtherFile, Placed]]:
        reading, own = self.sight.reading, self.sight.file
        around = holder.parent
        within = around is not None and around.is_class and holder.name.endswith(".__init__")
        made = around.name if within and around is not None else holder.name
        if holder.function is None or "." in made:
            return
        parameters = parameters_of(holder.function.args, bound=within)
        for file in reading.project.naming(called_as(made)):
            for called in file.outline.calls if file is not own else ():
                if _calls(called, made, file, reading, own.path):
                    given = given_arguments(called.node, parameters).get(parameter)
                    if given is not None:
                        yield file, Placed(given, called.scope, called.node.lineno)

    def _fixtures(self, parameter: str, holder: Scope) -> Iterator[tuple[OtherFile, Placed]]:
        if holder.function is None or not holder.function.name.startswith("test"):
            return
        for file in self.sight.reading.project.naming(rf"def {parameter}\("):
            made = fixture(file.outline.module, parameter)
            if made is not None and file.path.name == "conftest.py":
                yield file, Placed(*made, THE_END)


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be had here of another file: what is bound there, built in or imported.

    What that file itself defines, and what it imports from the project, only the `whole` sight has,
    because that means to run it; of a script that does more than to define, not even that.
    """

    reading: Reading
    file: OtherFile
    whole: bool = False

    def reaches(self, placed: Placed) -> bool:
        """Whether a value of the file can be had here."""
        closed = close(self.file.tracer, placed, abroad=Callers(self))
        return closed is not None and not _is_still_none(placed, closed) and self.holds(closed)

    def holds(self, closed: Closed) -> bool:
        """Whether each name is bound, built in, imported, or a class of this file."""
        bound = {name for name, _ in closed.bindings}
        return all(
            name in bound
            or hasattr(builtins, name)
            or self._import(name) is not None
            or (name in self.reading.module.classes and name not in self.file.outline.defined)
            for name in _names(closed)
        )

    def imported(self, closed: Closed) -> tuple[tuple[str, str], ...]:
        """The bindings, after those for what the other file imports."""
        bound = {name for name, _ in closed.bindings}
        needed = (name for name in dict.fromkeys(_names(closed)) if name not in bound)
        imports = ((name, text) for name in needed if (text := self._import(name)))
        return (*imports, *closed.bindings)

    def own(self, name: str) -> str | None:
        """An expression for what the file itself defines, which is to run it.

        None of a script that does more at its top level than to define, such as to train.
        """
        if not self.whole or not _only_defines(self.file):
            return None
        origin = file_outline(self.file.path)
        return f"{_MODULE}('{origin.dotted}').{name}" if origin else None

    def _import(self, name: str) -> str | None:
        """An expression for a name that the file imports from elsewhere."""
        meaning = self.file.imports.names.get(name)
        if meaning is None and name in self.file.outline.defined:
            return self.own(name)
        if meaning is None or meaning.startswith("."):
            return None
        module, _, attribute = meaning.rpartition(".")
        if not is_known(meaning.split(".")[0]):
            if not module or not (self.whole and self._is_of_the_project(module)):
                return None
        elif not module or meaning in ("torch.nn", "torch.nn.functional"):
            return f"{_MODULE}('{meaning}')"
        return f"{_MODULE}('{module}').{attribute}"

    def _is_of_the_project(self, module: str) -> bool:
        origin = file_outline(self.file.path)
        return origin is not None and self.reading.neighbourhood.has(module, origin)


@lru_cache(maxsize=256)
def _only_defines(file: OtherFile) -> bool:
    """Whether the top level of a file trains nothing, reads nothing and runs no `main`."""
    return all(_defines(statement, file) for statement in file.outline.module.node.body)


def _defines(statement: ast.stmt, file: OtherFile) -> bool:
    match statement:
        case ast.For() | ast.While() | ast.With():
            return False
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name not in file.outline.defined
        case ast.Expr(value=value) | ast.Assign(value=value) | ast.AnnAssign(value=value):
            parsed = value is not None and is_parsed(value, file.outline)
            return not parsed and (value is None or is_harmless(value, file.imports))
    return True


def _is_still_none(placed: Placed, closed: Closed) -> bool:
    """Whether a variable is None only until something that is not in sight gives it a value."""
    text = dict(closed.bindings).get(closed.texts[0], closed.texts[0])
    return text == "None" and isinstance(placed.expression, ast.Name)


def _names(closed: Closed) -> Iterator[str]:
    for text in (*closed.texts, *(text for _, text in closed.bindings)):
        yield from free(ast.parse(text).body)
