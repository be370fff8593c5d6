"""Tables in settings files that hold what a constructor needs, as for `Net(**config["model"])`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import NamedTuple

from gradlint.discovery.construction.parameters import all_parameters
from gradlint.discovery.project.evidence import scalar
from gradlint.discovery.project.reading import Reading
from gradlint.protocol.wire import BuiltFrom, Candidate

_FEWEST = 2
"""Parameters that must be given: one name alone stands in tables of anything."""
_ENTRY = re.compile(r"( *)(\w+) *: *([^#]*?) *(?:#.*)?")
_ITEM = re.compile(r" *- *([^#]*?) *(?:#.*)?")


class Table(NamedTuple):
    """Settings that stand together, as expressions, and the key that they stand under."""

    key: str
    entries: Mapping[str, str]


def tabulated(reading: Reading, name: str) -> Iterator[Candidate]:
    """The construction of a model class with the table that fits its parameters best, if any.

    It holds all that must be given. One with keys that are no parameters, as settings of a whole
    program have, is no more than a guess.
    """
    parameters = all_parameters(reading, name)
    known = {parameter.name for parameter in parameters}
    needed = {parameter.name for parameter in parameters if not parameter.optional}
    if len(needed) < _FEWEST:
        return
    texts = reading.project.texts.items()
    tables = (table for path, text in texts for table in _tables(path.suffix, text, needed))
    fitting = [table for table in tables if needed <= table.entries.keys()]
    alike = [table for table in fitting if name.lower() in table.key.replace("_", "").lower()]
    best = min(alike or fitting, key=lambda table: len(table.entries.keys() - known), default=None)
    if best is not None:
        words = (f"{key}={value}" for key, value in best.entries.items() if key in known)
        exact = best.entries.keys() <= known
        source = BuiltFrom.USE_IN_PROJECT if exact else BuiltFrom.NAMES
        yield Candidate(source, f"{name}({', '.join(words)})")


def _tables(suffix: str, text: str, needed: set[str]) -> Iterator[Table]:
    if not all(name in text for name in needed):
        return
    if suffix == ".json":
        yield from _of_json(text)
    elif suffix in (".yaml", ".yml"):
        lines = code_lines(text)
        first = re.compile(rf"( *){min(needed)} *:")
        for number, line in enumerate(lines):
            if found := first.match(line):
                indent = len(found[1])
                yield Table(_above(lines, number, indent), dict(beside(lines, number, indent)))


def _of_json(text: str) -> Iterator[Table]:
    try:
        waiting = [("", json.loads(text))]
    except (ValueError, RecursionError):
        return
    while waiting:
        key, found = waiting.pop(0)
        if isinstance(found, dict):
            yield Table(key, {name: repr(value) for name, value in found.items()})
            waiting += found.items()


def code_lines(text: str) -> list[str]:
    """The lines of a YAML file that are neither empty nor remarks."""
    return [line for line in text.splitlines() if line.strip() and line.strip()[0] != "#"]


def beside(lines: list[str], number: int, indent: int) -> Iterator[tuple[str, str]]:
    """The entries of the block in which a line of a YAML file stands, as expressions.

    Lists of values are among them, and other blocks are not.
    """

    def within(line: str) -> bool:
        return len(line) - len(line.lstrip()) >= indent

    above = [*takewhile(within, reversed(lines[:number]))][::-1]
    block = [*above, *takewhile(within, lines[number:])]
    for place, line in enumerate(block):
        entry = _ENTRY.fullmatch(line)
        if entry is None or len(entry[1]) != indent:
            continue
        items = takewhile(bool, map(_ITEM.fullmatch, block[place + 1 :]))
        texts = [entry[3]] if entry[3] else [item[1] for item in items if item]
        values = [value for value in map(scalar, texts) if value is not None]
        if values and len(values) == len(texts):
            yield entry[2], values[0] if entry[3] else f"[{', '.join(values)}]"


def _above(lines: list[str], number: int, indent: int) -> str:
    """The key of the block in which a line stands."""
    outer = (entry for line in reversed(lines[:number]) if (entry := _ENTRY.fullmatch(line)))
    return next((entry[2] for entry in outer if len(entry[1]) < indent), "")
