"""The TOML that says how a model is built which gradlint could not build."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from gradlint.report import ModelStatus, ModelSummary
from gradlint.reporters.presentation import missing_arguments

_LONGEST = 600
"""Characters of a construction that are shown; a longer one is no help to anybody."""


def hint_lines(model: ModelSummary) -> Iterator[str]:
    """What to put into pyproject.toml for a model that did not run; nothing where that is no cure.

    The values are those that came furthest; dots stand where there was none.
    """
    if model.status not in (ModelStatus.NOT_BUILT, ModelStatus.FAILED):
        return
    entries = list(_entries(model))
    if entries:
        places = "the dots" if missing_arguments(model) else "these"
        yield f"  to build it, put this into pyproject.toml and real values in place of {places}:"
        yield "    [[tool.gradlint.model]]"
        yield f"    target = {json.dumps(f'{model.span.path}:{model.name}')}"
        yield from (f"    {entry}" for entry in entries)


def _entries(model: ModelSummary) -> Iterator[str]:
    if arguments := missing_arguments(model):
        values = ", ".join(f'{argument} = "..."' for argument in arguments)
        yield f"kwargs = {{ {values} }}"
        return
    if "No module named" in model.reason or not model.constructor:
        return
    if model.reason.startswith("backward "):
        return  # because it was built and run
    call = _call(model.constructor)
    if call is None or len(model.constructor) > _LONGEST:
        return
    args = [_value(item) for item in call.args]
    kwargs = [f"{word.arg} = {_value(word.value)}" for word in call.keywords]
    if args:
        yield f"args = [{', '.join(args)}]"
    if kwargs:
        yield f"kwargs = {{ {', '.join(kwargs)} }}"
    if model.inputs:
        yield f"inputs = [{', '.join(_input(text) for text in model.inputs)}]"


def _call(text: str) -> ast.Call | None:
    """The construction, None where arguments are spread, which TOML cannot say."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    if not isinstance(node, ast.Call) or any(isinstance(item, ast.Starred) for item in node.args):
        return None
    return node if all(word.arg for word in node.keywords) else None


def _value(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=bool() as flag):
            return "true" if flag else "false"
        case ast.Constant(value=int() | float() as number):
            return repr(number)
        case ast.Constant(value=str() as text) if not text.startswith("=") and text != "...":
            return json.dumps(text)
        case _:
            return json.dumps(f"={ast.unparse(node)}")


def _input(text: str) -> str:
    """An input as the settings write it: `name: float32[2,3]` is a keyword there."""
    name, colon, rest = text.partition(": ")
    return json.dumps(f"{name}={rest}" if colon and name.isidentifier() else text)
