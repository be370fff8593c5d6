"""The comments by which users allow what a rule would report: `# gradlint: ignore[rule] reason`."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from gradlint.discovery.text.source import Source
from gradlint.program import Suppression
from gradlint.protocol.span import Span

_COMMENT = re.compile(r"#\s*gradlint:\s*ignore(?![\w-])(?:\[(?P<rules>[^\]]*)\])?(?P<reason>[^#]*)")


def read_suppressions(source: Source, tree: ast.Module | None) -> tuple[Suppression, ...]:
    """All suppressions of a file, in order.

    One covers the statement on whose lines it stands, all of its lines; on the header of a class it
    covers the class, on another block's header the header. Without a tree it covers its own line.
    """
    if "gradlint:" not in source.text:
        return ()
    stretches = list(_stretches(tree)) if tree else []
    return tuple(_suppressions(source, stretches))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines on which a comment covers the lines `first` to `last`."""

    first: int
    header: int
    last: int


def _suppressions(source: Source, stretches: list[_Stretch]) -> Iterator[Suppression]:
    for token in _comments(source):
        match = _COMMENT.search(token.string)
        if match is None:
            continue
        line, column = token.start[0], token.start[1] + match.start() + 1
        end = column + len(match.group().rstrip())
        rules = tuple(filter(None, map(str.strip, (match["rules"] or "").split(","))))
        covered = _covered(line, stretches)
        yield Suppression(
            Span(source.shown, line, column, line, end),
            rules,
            match["reason"].strip(" \t-:–—"),
            covered.first,
            covered.last,
        )


def _comments(source: Source) -> Iterator[tokenize.TokenInfo]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            if token.type == tokenize.COMMENT:
                yield token
    except (tokenize.TokenError, SyntaxError):
        return  # Because the tokenizer is stricter at the end of a file than the parser was.


def _covered(line: int, stretches: list[_Stretch]) -> _Stretch:
    """The innermost stretch on which a line stands, or the line alone."""
    around = [stretch for stretch in stretches if stretch.first <= line <= stretch.header]
    nearest = max(around, key=lambda s: (s.first, -s.header, s.last), default=None)
    return nearest or _Stretch(line, line, line)


def _stretches(tree: ast.Module) -> Iterator[_Stretch]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield _stretch(node)
        waiting.extend(
            child
            for child in ast.iter_child_nodes(node)
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        )


def _stretch(node: ast.stmt) -> _Stretch:
    last = node.end_lineno or node.lineno
    body: list[ast.stmt] = getattr(node, "body", [])
    if not body:
        return _Stretch(node.lineno, last, last)
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    header = max(node.lineno, _first_line(body[0]) - 1)
    return _Stretch(first, header, last if isinstance(node, ast.ClassDef) else header)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])
