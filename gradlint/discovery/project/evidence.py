"""What the other files of a project say about its models: options, settings and constructions."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from gradlint.discovery.text.arguments import is_conversion, namespace
from gradlint.discovery.text.bindings import THE_END, Placed, Tracer
from gradlint.discovery.text.constants import number
from gradlint.discovery.text.expressions import is_literal
from gradlint.discovery.text.files import EXCLUDED
from gradlint.discovery.text.imports import Imports, package_of, read_imports
from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.text.outline import Outline, outline
from gradlint.discovery.text.source import parse, read
from gradlint.program import Unreadable

_MOST = 250
"""Files that are looked at, the nearest first; few projects of one's own have more."""
_MOST_PARSED = 12
_LARGEST = 400_000
_SETTINGS = (".yaml", ".yml", ".json", ".cfg", ".ini")
_OF_TOOLS = frozenset({"setup.cfg", "tox.ini", "mypy.ini", "pytest.ini"})
_SETTING_FILE = re.compile(r"config|cfg|conf$|params|settings|options?$|args|defaults?$|^opts?$")
_TABLE = r"def \w*(defaults?|hparams|config(uration)?)\w*\("
_LINE = re.compile(r"^[ \t-]*([A-Za-z_]\w*)[ \t]*:[ \t]*([^#\n]+?)[ \t]*(?:#.*)?$", re.MULTILINE)
_NUMBERS = re.compile(r"[\[(][-\d., ]+[\])]")
_NUMBER = re.compile(r"-?\d+|-?\d*\.\d+(?:e-?\d+)?|-?\d+(?:\.\d*)?e-?\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class OtherFile:
    """A parsed file of the project: its outline, its imports and a tracer for its names."""

    path: Path
    outline: Outline
    imports: Imports
    tracer: Tracer


class _Said(NamedTuple):
    """A value that a file of the project gives a name, and how many folders up they meet."""

    distance: int
    text: str


@dataclass
class Project:
    """The files around the one at `own`, below `root`; what was read is remembered."""

    root: Path
    own: Path
    lookups: Lookups
    _parsed: dict[Path, OtherFile | None] = field(default_factory=dict)

    @property
    def texts(self) -> Mapping[Path, str]:
        """The text of each Python and settings file of the project, the nearest first."""
        self._note_all()
        return self._texts

    @cached_property
    def _texts(self) -> Mapping[Path, str]:
        found = ((path, _text(path)) for path in self._near())
        return {path: text for path, text in found if text is not None}

    def _note_all(self) -> None:
        """Note that what is read rests on all files of the project."""
        self.lookups.read.update(self._names)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(map(str, self._texts))

    @cached_property
    def _code(self) -> Mapping[Path, str]:
        return {path: text for path, text in self._texts.items() if path.suffix == ".py"}

    def naming(self, pattern: str, *, all_count: bool = True) -> Iterator[OtherFile]:
        """The files with a match of `pattern` in their text, parsed, the nearest first.

        What is read from a file rests on all others if `all_count`, else on those that match: what
        is looked for on the chance that it is there would make every file rest on every other.
        """
        wanted, left = re.compile(pattern, re.MULTILINE), _MOST_PARSED
        if all_count:
            self._note_all()
        for path, text in self._code.items():
            if left and wanted.search(text):
                left -= 1
                self.lookups.read.add(str(path))
                if (found := self.parsed(path)) is not None:
                    yield found

    def parsed(self, path: Path) -> OtherFile | None:
        """A file of the project, None where it cannot be read."""
        if path not in self._parsed:
            self._parsed[path] = _read(path)
        return self._parsed[path]

    def value(self, name: str, within: str = "") -> str | None:
        """What an option or a setting of this name has as its value anywhere in the project.

        What is assigned to it as an attribute of `within` counts most, as in `cfg.model.depth`,
        then what stands nearest, because of several programs each has its own; of those an
        option, then a setting, then a default, then a variable.
        """
        particular = self._assigned(rf"{within}\.{name}") if within else None
        if particular is not None:
            return particular.text
        ways = (
            self._options.get(name),
            self._settings.get(name),
            self._defaults.get(name),
            self._assigned(name),
        )
        said = [found for found in ways if found is not None]
        return min(said, key=lambda found: found.distance).text if said else None

    @cached_property
    def _options(self) -> Mapping[str, _Said]:
        found: dict[str, _Said] = {}
        for file in self.naming(r"\.add_argument\("):
            for option, value in namespace(file.outline).items():
                text = ast.unparse(value) if is_conversion(value) else _literal(value, file)
                if text is not None:
                    found.setdefault(option, self._said(file.path, text))
        return found

    @cached_property
    def _defaults(self) -> Mapping[str, _Said]:
        """What functions that are called after defaults return in a table."""
        found: dict[str, _Said] = {}
        for file in self.naming(_TABLE, all_count=False):
            for scope in file.outline.module.children:
                if scope.function and re.match(_TABLE, f"def {scope.function.name}("):
                    for key, value in _tabled(scope.returns):
                        text = _literal(value, file)
                        if text is not None:
                            found.setdefault(key, self._said(file.path, text))
        return found

    def _said(self, path: Path, text: str) -> _Said:
        around = enumerate(self.own.parents)
        return _Said(next(up for up, folder in around if folder in path.parents), text)

    def word(self, name: str, own: str) -> str | None:
        """The word that parameters of this name are given most often, in the text `own` as well.

        By their defaults and by the keywords of calls; a text of no more than a word.
        """
        given = re.compile(rf"\b{name}[ \t]*(?::[^=\n()]*)?=[ \t]*[\"'](\w+)[\"']")
        self._note_all()
        texts = (own, *self._code.values())
        words = Counter(found for text in texts for found in given.findall(text))
        return repr(words.most_common(1)[0][0]) if words else None

    @cached_property
    def _assigning(self) -> Mapping[Path, str]:
        self._note_all()
        return {path: text for path, text in self._code.items() if _SETTING_FILE.search(path.stem)}

    def _assigned(self, name: str) -> _Said | None:
        """What a Python file that is called after settings gives the name, as in `hparams.py`.

        The first value of several, though not 1, which is what tests take for a size.
        """
        pattern = re.compile(
            rf"{whole_word(name)}[\"']?[ \t]*(?::[ \t]*\w+[ \t]*)?[=:][ \t]*"
            r"([\[(][-\d., ]+[\])]|[^#\n=][^#\n]*)"
        )
        values = [
            self._said(path, value)
            for path, text in self._assigning.items()
            for found in pattern.finditer(text)
            if (value := scalar(found[1].rstrip(" \t,}"))) not in (None, "0")
        ]
        return next((said for said in values if said.text != "1"), values[0] if values else None)

    @cached_property
    def _settings(self) -> Mapping[str, _Said]:
        found: dict[str, _Said] = {}
        for path, text in self.texts.items():
            if path.suffix in _SETTINGS:
                for key, value in _entries(path, text):
                    found.setdefault(key, self._said(path, value))
        return found

    def _near(self) -> Iterator[Path]:
        """Python and settings files, from the folder of the file outward to the project's root."""
        seen: set[Path] = {self.own}
        count = 0
        for folder in self._outward():
            for path in _walked(folder):
                if path not in seen:
                    seen.add(path)
                    count += 1
                    if count > _MOST:
                        return
                    yield path

    def _outward(self) -> Iterator[Path]:
        """The folder of the file and those around it; those of a package that is installed end it.

        A file outside the root is alone: what lies beside it is somebody else's.
        """
        package, folder = package_of(self.own)
        installed = "site-packages" in self.own.parts or "dist-packages" in self.own.parts
        last = folder / package.split(".")[0] if package and installed else self.root
        inside = last in self.own.parents
        for around in self.own.parents if inside else ():
            yield around
            if around == last:
                return


def whole_word(name: str) -> str:
    """A pattern of a name that is no part of another.

    It begins with the name, because a text is searched a hundred times as fast for a pattern that
    begins with letters.
    """
    return rf"{name}(?<!\w{name})\b"


def _walked(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if name not in EXCLUDED and not name.startswith(".")
        )
        for name in sorted(files):
            if name.endswith((".py", *_SETTINGS)):
                yield Path(here, name)


def _text(path: Path) -> str | None:
    try:
        if path.stat().st_size > _LARGEST:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _read(path: Path) -> OtherFile | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _outlined(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _outlined(path: Path, modified: int, size: int) -> OtherFile | None:
    source = read(path, path.name)
    tree = None if isinstance(source, Unreadable) else parse(source)
    if not isinstance(tree, ast.Module):
        return None
    try:
        outlined = outline(tree)
        imports = read_imports(outlined.imports, package_of(path)[0], tree.body, outlined.late)
    except RecursionError:
        return None
    return OtherFile(path, outlined, imports, Tracer(outlined, imports))


def _tabled(returned: Sequence[ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    """The entries of a dictionary that is spelt out."""
    match returned:
        case [ast.Dict(keys=keys, values=values)]:
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case [ast.Call(func=ast.Name("dict"), args=[], keywords=words)]:
            yield from ((word.arg, word.value) for word in words if word.arg)


def _literal(value: ast.expr, file: OtherFile) -> str | None:
    """A literal or a computed number that tells something; None and the empty text do not."""
    found: object
    try:
        found = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        found = number(Placed(value, file.outline.module, THE_END), file.tracer)
    return None if found is None or found == "" else repr(found)


def _entries(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """The keys of a settings file that have a number, a flag, a word or lists of numbers."""
    if path.suffix == ".json":
        yield from _of_json(text)
        return
    if path.suffix in (".cfg", ".ini"):
        yield from _of_ini(text) if path.name not in _OF_TOOLS else ()
        return
    for found in _LINE.finditer(text):
        if (value := scalar(found[2])) is not None:
            yield found[1], value


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
            for key, value in item.items():
                word = isinstance(value, str) and re.fullmatch(r"[\w-]{1,30}", value)
                if isinstance(key, str) and (word or _holds_numbers(value)):
                    yield key, repr(value)


def _of_ini(text: str) -> Iterator[tuple[str, str]]:
    """The options of all sections; those of several values, as in `80, 60, 60`, are lists.

    A text of which a section comes twice describes layers, and holds no settings.
    """
    parser = configparser.RawConfigParser(inline_comment_prefixes=("#", ";"))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        return
    for section in parser.sections():
        for key, value in parser.items(section):
            parts = [scalar(part.strip()) for part in value.split(",")]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                yield key, known[0] if len(known) == 1 else f"[{', '.join(known)}]"


def _holds_numbers(value: object) -> bool:
    """Whether a value is a number, a flag or a list of such, however deep."""
    if isinstance(value, list):
        return bool(value) and all(map(_holds_numbers, value))
    return isinstance(value, bool | int | float)


def reads_as_numbers(text: str) -> bool:
    """Whether an expression is a number or a list of numbers."""
    return _NUMBER.fullmatch(text) is not None or _NUMBERS.fullmatch(text) is not None


def scalar(text: str) -> str | None:
    """A number, a flag, a word or a list of numbers in a settings file as an expression."""
    bare = text.strip("'\"")
    if reads_as_numbers(text):
        return text if is_literal(text) else None
    if bare.lower() in ("true", "false"):
        return bare.capitalize()
    if bare in ("None", "null", "Null", "NULL"):  # because `none` is a word in YAML
        return None
    return repr(bare) if re.fullmatch(r"[A-Za-z][\w-]{1,30}", bare) else None
