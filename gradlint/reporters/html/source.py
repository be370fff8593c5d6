"""Source text with line numbers, coloured, with its findings between the lines."""

from __future__ import annotations

import io
import keyword
import tokenize
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from gradlint.reporters.html.markup import Markup, element, joined

_WHOLE = 1500  # lines of a file that are shown as a whole
_AROUND = 12

_KINDS = {tokenize.COMMENT: "c", tokenize.STRING: "s", tokenize.NUMBER: "n"}


def shown_lines(count: int, wanted: Collection[int]) -> list[int]:
    """The numbers of the lines to show: all of a short file, else those around `wanted` ones."""
    if count <= _WHOLE:
        return list(range(1, count + 1))
    near = {n for line in wanted for n in range(line - _AROUND, line + _AROUND + 1)}
    return sorted(n for n in near if 1 <= n <= count)


def source(
    lines: Sequence[str],
    numbers: Sequence[int],
    prefix: str,
    inserts: Mapping[int, Markup],
    cells: Sequence[int] = (),
) -> Markup:
    """The lines `numbers` of `lines`, each with the id `prefix-L…`, `inserts` below their lines.

    `cells` are the indices at which the cells of a notebook begin, in which lines count anew.
    """
    coloured = _coloured(lines)
    marked = set(inserts)
    parts: list[str] = []
    for before, number in pairwise([0, *numbers]):
        cell = bisect_right(cells, number - 1)
        if cell and number - 1 == cells[cell - 1]:
            parts.append(element("div", f"cell {cell}", class_="gap"))
        elif number != before + 1:
            parts.append(element("div", "…", class_="gap"))
        parts.append(
            element(
                "div",
                element("span", str(number - (cells[cell - 1] if cell else 0)), class_="no"),
                element("code", coloured[number - 1] or " "),
                class_="line found" if number in marked else "line",
                id=f"{prefix}-L{number}",
            )
        )
        parts += [inserts[number]] if number in inserts else []
    return element("div", *parts, class_="source")


def _coloured(lines: Sequence[str]) -> list[Markup]:
    """Each line with comments, strings, numbers and keywords marked, or plain if not Python."""
    spans: dict[int, list[tuple[int, int, str]]] = {}
    try:
        for row, start, end, kind in _tokens(lines):
            spans.setdefault(row, []).append((start, end, kind))
    except (tokenize.TokenError, SyntaxError):
        pass  # because what came before the error is coloured all the same
    return [_line(line, spans.get(row, ())) for row, line in enumerate(lines, 1)]


def _tokens(lines: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
    """Row, first and last column and class of everything that has a colour."""
    text = "\n".join(lines) + "\n"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = _KINDS.get(token.type, "")
        if token.type == tokenize.NAME and keyword.iskeyword(token.string):
            kind = "k"
        if not kind:
            continue
        (first, start), (last, end) = token.start, token.end
        for row in range(first, last + 1):
            yield (
                row,
                start if row == first else 0,
                end if row == last else len(lines[row - 1]),
                kind,
            )


def _line(line: str, spans: Sequence[tuple[int, int, str]]) -> Markup:
    parts: list[str] = []
    done = 0
    for start, end, kind in spans:
        parts += [line[done:start], element("i", line[start:end], class_=kind)]
        done = end
    return joined(*parts, line[done:])
