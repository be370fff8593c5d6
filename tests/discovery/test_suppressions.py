"""Which lines a suppression covers, which rules it names, and what is no suppression."""

from __future__ import annotations

import pytest

from gradlint.program import Suppression
from tests.discovery.conftest import Read


def _one(read: Read, source: str) -> Suppression:
    (suppression,) = read(source).suppressions
    return suppression


@pytest.mark.parametrize(
    ("comment", "rules", "reason"),
    [
        ("# gradlint: ignore[missing-skip] a bounded actor", ("missing-skip",), "a bounded actor"),
        ("# gradlint: ignore[a, b ,c]", ("a", "b", "c"), ""),
        ("# gradlint: ignore", (), ""),
        ("#gradlint:ignore[a]", ("a",), ""),
        ("# gradlint: ignore because of this", (), "because of this"),
        ("# noqa: E501  # gradlint: ignore[a] why  # noqa", ("a",), "why"),
        ("# gradlint: ignore[a] - as in the paper", ("a",), "as in the paper"),
    ],
)
def test_a_comment_names_rules_and_reason(
    read: Read, comment: str, rules: tuple[str, ...], reason: str
) -> None:
    suppression = _one(read, f"import torch\nx = 1  {comment}\n")
    assert (suppression.rules, suppression.reason) == (rules, reason)


@pytest.mark.parametrize(
    "line",
    [
        "x = '# gradlint: ignore'",
        "x = 1  # gradlint: ignored",
        "x = 1  # gradlint: ignore-all",
        "x = 1  # gradlint ignore",
        "x = 1  # see gradlint: ignore",
        "'''\n# gradlint: ignore\n'''",
    ],
)
def test_other_texts_are_no_suppressions(read: Read, line: str) -> None:
    assert read(f"import torch\n{line}\n").suppressions == ()


@pytest.mark.parametrize(
    ("source", "first", "last"),
    [
        ("x = 1  # gradlint: ignore", 1, 1),
        ("x = f(\n    1,  # gradlint: ignore\n    2,\n)", 1, 4),
        ("x = f(\n    1,\n)  # gradlint: ignore", 1, 3),
        ("class A:  # gradlint: ignore\n    x = 1\n    y = 2", 1, 3),
        ("class A(\n    object,  # gradlint: ignore\n):\n    x = 1", 1, 4),
        ("@decorated\nclass A:  # gradlint: ignore\n    x = 1", 1, 3),
        ("@decorated  # gradlint: ignore\nclass A:\n    x = 1", 1, 3),
        ("class A: x = 1  # gradlint: ignore", 1, 1),
        ("class A:\n    x = 1  # gradlint: ignore\n    y = 2", 2, 2),
        ("for x in y:  # gradlint: ignore\n    f(x)\n    g(x)", 1, 1),
        ("def f(\n    a,  # gradlint: ignore\n):\n    return 1", 1, 3),
        ("if a:\n    x = f(\n        1)  # gradlint: ignore\n    y = 2", 2, 3),
        ("try:\n    pass\nexcept E:\n    x = 1  # gradlint: ignore", 4, 4),
        ("# gradlint: ignore\nx = 1", 1, 1),
    ],
    ids=["line", "inside a statement", "after a statement", "class", "class header", "decorated",
         "decorator", "one-line class", "inside a class", "loop header", "function header",
         "nested statement", "handler", "alone"],
)  # fmt: skip
@pytest.mark.parametrize("head", ["import torch; ", ""], ids=["with torch", "without"])
def test_a_suppression_covers_its_statement_or_class(
    read: Read, head: str, source: str, first: int, last: int
) -> None:
    text = f"{head}z = 0\n{source}\n"
    suppression = _one(read, text)
    assert (suppression.first_line, suppression.last_line) == (first + 1, last + 1)


def test_a_suppression_is_located_at_its_comment(read: Read) -> None:
    span = _one(read, "x = 'ä'  # gradlint: ignore[a] why  \n").span
    assert (span.line, span.column, span.end_column) == (1, 10, 35)
