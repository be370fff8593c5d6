"""The command line of a script that nobody called: options that must be given get a value."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from contextlib import contextmanager

from gradlint.worker.loading.usual import usual


@contextmanager
def nothing_required() -> Iterator[None]:
    """Within it, parsers of arguments give defaults where a call of the script would have failed.

    A required option has its first choice, or, if it is a number, what is usual for its name; any
    other has None.
    """
    parse = argparse.ArgumentParser.parse_known_args

    def relaxed(
        parser: argparse.ArgumentParser,
        args: object = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        for action in parser._actions:
            _relax(action)
        return parse(parser, [], namespace)

    argparse.ArgumentParser.parse_known_args = relaxed  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign]


def _relax(action: argparse.Action) -> None:
    if action.required and action.default is None:
        action.default = _value(action)
    action.required = False
    if not action.option_strings and action.nargs is None:
        action.nargs = "?"


def _value(action: argparse.Action) -> object:
    if action.choices:
        return next(iter(action.choices))
    number = ast.literal_eval(_number(action.dest))
    if action.type is int:
        return int(number)
    return float(number) if action.type is float else None


def _number(name: str) -> str:
    value = usual(name)
    return value if value[0].isdigit() else "1"
