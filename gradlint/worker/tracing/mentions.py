"""Which attributes the linted file names, a module's class, and the files that use the class."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType

from torch import nn

_CONSTRUCTION = re.compile(r"__init__|_*(init|reset)(iali[sz]e)?(_?(weights?|param(eter)?s?))?_*")
_DYNAMIC = frozenset(
    "getattr children named_children modules named_modules get_submodule _modules __dict__".split()
)


_MOST = 60
"""Files around the linted one that are looked at."""


class Mentions:
    """The names of attributes that are read somewhere, constructors and initialisers left out.

    Of a file that cannot be read or compiled, everything may be named.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._own: dict[type, frozenset[str]] = {}

    @cached_property
    def _code(self) -> CodeType | None:
        try:
            return compile(Path(self._path).read_bytes(), self._path, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError):
            return None

    def named(self, owner: nn.Module, attribute: str) -> bool:
        """Whether the file or the owner's class reads the attribute, or any attribute by text."""
        if self._reads(type(owner)) & {attribute, *_DYNAMIC} or self._in_file(
            attribute, frozenset()
        ):
            return True
        return self._by_users(type(owner).__name__, attribute)

    def named_outside(self, owner: nn.Module, attribute: str) -> bool:
        """Whether code of the file that does not belong to the owner's classes reads it."""
        return self._in_file(attribute, frozenset(kind.__name__ for kind in type(owner).__mro__))

    def _reads(self, kind: type) -> frozenset[str]:
        """What the methods of a class read; once for each, because some have hundreds."""
        if kind not in self._own:
            self._own[kind] = frozenset(name for code in _methods(kind) for name in _read(code))
        return self._own[kind]

    def _by_users(self, kind: str, attribute: str) -> bool:
        """Whether a file beside, or one folder above, names the class and reads the attribute.

        A training script may hand `model.decoder.weight` to its loss.
        """
        reading = re.compile(rf"(?<!\w)(?!self\.)[\w.]+\.{re.escape(attribute)}\b")
        return any(kind in text and reading.search(text) for text in self._around)

    @cached_property
    def _around(self) -> tuple[str, ...]:
        own = Path(self._path)
        files = [file for folder in own.parents[:2] for file in sorted(folder.glob("*.py"))]
        return tuple(_text(file) for file in files[:_MOST] if file != own)

    def _in_file(self, attribute: str, without: frozenset[str]) -> bool:
        return self._code is None or attribute in set(_read(self._code, without))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _methods(kind: type) -> Iterator[CodeType]:
    for base in kind.__mro__:
        if base in (nn.Module, object):
            continue
        for value in vars(base).values():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            function = getattr(function, "__wrapped__", function)
            if isinstance(function, FunctionType) and not _constructs(function.__code__):
                yield function.__code__


def _constructs(code: CodeType) -> bool:
    return bool(_CONSTRUCTION.fullmatch(code.co_name))


def _read(code: CodeType, without: frozenset[str] = frozenset()) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType) and constant.co_name not in without:
            yield from _read(constant, without) if not _constructs(constant) else ()
