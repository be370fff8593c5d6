"""Where other files of the project construct the models of this one, and with what arguments."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
from gradlint.discovery.project.evidence import OtherFile, reads_as_numbers
from gradlint.discovery.project.neighbours import file_outline
from gradlint.discovery.project.reading import Reading, read_outline
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.imports import may_mean
from gradlint.discovery.text.outline import Called, Scope
from gradlint.discovery.text.source import parse, read
from gradlint.program import Unreadable
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 3
"""Constructions in other files that are tried; the nearest file's come first."""


def elsewhere(reading: Reading, name: str) -> Iterator[Candidate]:
    """The ways in which other files construct a model class, those that say most first.

    An argument whose value is not in sight there has the value that is usual for its parameter;
    `built_from` says so.
    """
    parameters = all_parameters(reading, name)
    if "." in name or not parameters:
        return
    found: dict[str, Candidate] = {}
    for file in reading.project.naming(_called_as(name)):
        for called in file.outline.calls:
            if _constructs(called, name, file, reading):
                candidate = _closed(reading, name, parameters, file, called)
                if candidate is not None:
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
    for file in reading.project.naming(_called_as(name), all_count=False):
        if done := _done(reading, name, file):
            return tuple(_with(candidate, done, file) for candidate in candidates)
    return candidates


def _called_as(name: str) -> str:
    """What stands in a file that calls a class or a function, be it by another name."""
    return rf"(?<!class )(?<!def )\b{name}(\(| as \w)"


def _done(reading: Reading, name: str, file: OtherFile) -> list[Closed]:
    """What another file does to the first instance of a class to which it does anything."""
    if not any(_constructs(called, name, file, reading) for called in file.outline.calls):
        return []
    source = read(file.path, file.path.name)
    tree = source if isinstance(source, Unreadable) else parse(source)
    if isinstance(source, Unreadable) or isinstance(tree, Unreadable):
        return []
    around = reading.neighbourhood
    other = read_outline(source, tree, around.root, around.lookups)
    made = (each for each in other.outline.calls if _constructs(each, name, file, reading))
    done = (
        [step for step in steps(other, each.node, abroad=True) if _is_all_had(reading, file, step)]
        for each in made
    )
    return next(filter(None, done), [])


def _with(candidate: Candidate, done: list[Closed], file: OtherFile) -> Candidate:
    bindings = dict(candidate.bindings)
    for step in done:
        bindings = dict(_imported(step, file)) | bindings | dict(step.bindings)
    then = tuple(text for step in done for text in step.texts)
    return replace(candidate, bindings=tuple(bindings.items()), then=then)


def _constructs(called: Called, name: str, file: OtherFile, reading: Reading) -> bool:
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
) -> Candidate | None:
    """The construction as this file would write it; None where nothing of it is in sight."""
    given = given_arguments(called.node, parameters)
    seen = {
        key: value
        for key, value in given.items()
        if _in_sight(reading, file, Placed(value, called.scope, called.node.lineno))
    }
    placed = [Placed(value, called.scope, called.node.lineno) for value in seen.values()]
    closed = close(file.tracer, *placed, abroad=_Callers(reading, file))
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
    return Candidate(source, constructor, None, _imported(closed, file))


def _called(reading: Reading, value: ast.expr) -> str | None:
    """The number that an option of the project has which is called as an attribute is.

    As with `Net(self.patch_size)`, whose object was made where nothing can be read.
    """
    text = reading.project.value(value.attr) if isinstance(value, ast.Attribute) else None
    return text if text is not None and reads_as_numbers(text) else None


@dataclass(frozen=True, slots=True)
class _Callers:
    """The files that construct a class, or call a function, of the file which makes the model.

    As a script does with the trainer that is given all options and makes the model of some.
    """

    reading: Reading
    file: OtherFile

    def __call__(self, parameter: str, holder: Scope) -> Closed | None:
        """What the nearest of them gives a parameter, closed for where the model is made."""
        around = holder.parent
        within = around is not None and around.is_class and holder.name.endswith(".__init__")
        made = around.name if within and around is not None else holder.name
        if holder.function is None or "." in made:
            return None
        parameters = parameters_of(holder.function.args, bound=within)
        for file in self.reading.project.naming(_called_as(made)):
            for called in file.outline.calls if file is not self.file else ():
                if _calls(called, made, file, self.reading, self.file.path):
                    given = given_arguments(called.node, parameters).get(parameter)
                    placed = Placed(given, called.scope, called.node.lineno) if given else None
                    closed = close(file.tracer, placed) if placed is not None else None
                    if closed is not None and _is_all_had(self.reading, file, closed):
                        return replace(closed, bindings=_imported(closed, file))
        return None


def _in_sight(reading: Reading, file: OtherFile, placed: Placed) -> bool:
    """Whether a value of another file can be had here: its names are bound, built in or imported.

    What that file itself defines is not, because it is not imported for it.
    """
    closed = close(file.tracer, placed, abroad=_Callers(reading, file))
    if closed is None or _is_still_none(placed, closed):
        return False
    return _is_all_had(reading, file, closed)


def _is_all_had(reading: Reading, file: OtherFile, closed: Closed) -> bool:
    """Whether each name is bound, built in, imported, or a class of this file."""
    bound = {name for name, _ in closed.bindings}
    return all(
        name in bound
        or hasattr(builtins, name)
        or _import(name, file) is not None
        or (name in reading.module.classes and name not in file.outline.defined)
        for name in _names(closed)
    )


def _is_still_none(placed: Placed, closed: Closed) -> bool:
    """Whether a variable is None only until something that is not in sight gives it a value."""
    text = dict(closed.bindings).get(closed.texts[0], closed.texts[0])
    return text == "None" and isinstance(placed.expression, ast.Name)


def _names(closed: Closed) -> Iterator[str]:
    for text in (*closed.texts, *(text for _, text in closed.bindings)):
        yield from free(ast.parse(text).body)


def _import(name: str, file: OtherFile) -> str | None:
    """An expression for a name that another file imports from an installed package."""
    meaning = file.imports.names.get(name)
    if meaning is None or meaning.startswith(".") or not is_known(meaning.split(".")[0]):
        return None
    module, _, attribute = meaning.rpartition(".")
    if not module or meaning in ("torch.nn", "torch.nn.functional"):
        return f"__import__('importlib').import_module('{meaning}')"
    return f"__import__('importlib').import_module('{module}').{attribute}"


def _imported(closed: Closed, file: OtherFile) -> tuple[tuple[str, str], ...]:
    """The bindings, after those for what the other file imports."""
    bound = {name for name, _ in closed.bindings}
    needed = (name for name in dict.fromkeys(_names(closed)) if name not in bound)
    imports = ((name, text) for name in needed if (text := _import(name, file)))
    return (*imports, *closed.bindings)
