"""A TOML file whose values know the line they stand on."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Number = TypeVar("Number", int, float)

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


class ConfigError(ValueError):
    """A setting is wrong; the message says where, what, and what would be right."""


@dataclass(frozen=True, slots=True)
class TomlValue:
    """A value of a TOML file and the keys that lead to it; an index stands for an array's entry."""

    path: Path
    text: str
    keys: tuple[str | int, ...]
    data: object

    @property
    def line(self) -> int:
        """The line of the key, or of the nearest table around it that is written out."""
        return _line(self.text, self.keys)

    @property
    def name(self) -> str:
        """The keys as TOML writes them: `tool.gradlint.select`."""
        parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return "".join(parts).removeprefix(".")

    def error(self, message: str) -> ConfigError:
        """An error that begins with the file, the line and the key."""
        return ConfigError(f"{self.path}:{self.line}: {self.name}: {message}")

    def get(self, *keys: str) -> TomlValue | None:
        """The value under `keys`, or None where there is none."""
        found: TomlValue | None = self
        for key in keys:
            table = found.data if found is not None else None
            if found is None or not isinstance(table, dict) or key not in table:
                return None
            found = TomlValue(found.path, found.text, (*found.keys, key), table[key])
        return found

    def table(self) -> Iterator[tuple[str, TomlValue]]:
        """The keys and values of a table.

        Raises:
            ConfigError: this is no table.
        """
        if not isinstance(self.data, dict):
            raise self._unlike("a table")
        for key, data in self.data.items():
            yield key, TomlValue(self.path, self.text, (*self.keys, key), data)

    def array(self) -> tuple[TomlValue, ...]:
        """The entries of an array.

        Raises:
            ConfigError: this is no array.
        """
        if not isinstance(self.data, list):
            raise self._unlike("an array")
        return tuple(
            TomlValue(self.path, self.text, (*self.keys, index), data)
            for index, data in enumerate(self.data)
        )

    def string(self) -> str:
        """A text.

        Raises:
            ConfigError: this is none.
        """
        if not isinstance(self.data, str):
            raise self._unlike("a string")
        return self.data

    def strings(self) -> tuple[str, ...]:
        """An array of texts.

        Raises:
            ConfigError: this is none.
        """
        return tuple(entry.string() for entry in self.array())

    def boolean(self) -> bool:
        """True or false.

        Raises:
            ConfigError: this is neither.
        """
        if not isinstance(self.data, bool):
            raise self._unlike("true or false")
        return self.data

    def integer(self, at_least: int) -> int:
        """A whole number.

        Raises:
            ConfigError: this is none, or is below `at_least`.
        """
        if isinstance(self.data, bool) or not isinstance(self.data, int):
            raise self._unlike("a whole number")
        if self.data < at_least:
            raise self.error(f"{self.data} is below {at_least}, the smallest that is allowed")
        return self.data

    def seconds(self) -> float:
        """A positive number.

        Raises:
            ConfigError: this is none.
        """
        if isinstance(self.data, bool) or not isinstance(self.data, int | float):
            raise self._unlike("a number of seconds")
        if not 0 < self.data < float("inf"):
            raise self.error(f"{self.data} is not a positive number of seconds")
        return float(self.data)

    def _unlike(self, wanted: str) -> ConfigError:
        return self.error(f"expected {wanted}, not {self.data!r}")


def read_toml(path: Path) -> TomlValue:
    """The whole of a TOML file.

    Raises:
        ConfigError: the file is missing, not UTF-8 or not TOML.
    """
    try:
        text = path.read_bytes().decode()
        return TomlValue(path, text, (), tomllib.loads(text))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8, as TOML must be: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or nothing."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line(text: str, keys: tuple[str | int, ...]) -> int:
    table: tuple[str | int, ...] = ()
    seen: dict[tuple[str | int, ...], int] = {}
    line, depth = 1, 0
    for number, source in enumerate(text.splitlines(), 1):
        here = table
        if header := _HEADER.match(source):
            here = table = _parts(header[2])
            if header[1] == "[[":
                seen[here] = seen.get(here, -1) + 1
                table = (*here, seen[here])
                here = table
        elif key := _KEY.match(source):
            here = (*table, *_parts(key[1]))
        if len(here) > depth and here == keys[: len(here)]:
            line, depth = number, len(here)
    return line


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple("".join(match) for match in _PART.findall(dotted))
