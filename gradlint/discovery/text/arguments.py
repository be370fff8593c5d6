"""What a script's command line gives when nothing is typed: the defaults of argparse and click."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import cast

from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.text.expressions import free_names
from gradlint.discovery.text.outline import Called, Function, Outline, Scope

_CONVERTERS: dict[str, Callable[[str], object]] = {"int": int, "float": float}


def is_parsed(value: ast.expr, outline: Outline, depth: int = 0) -> bool:
    """Whether an expression is the namespace of parsed arguments, be it through a function."""
    match value:
        case ast.Subscript(value=inner, slice=ast.Constant(0)):
            return is_parsed(inner, outline, depth)
        case ast.Call(func=ast.Attribute(attr="parse_args" | "parse_known_args")):
            return True
        case ast.Call(func=ast.Name(id=name)) if depth < 3:
            function = outline.module.method(name)
            return function is not None and any(
                is_parsed(returned, outline, depth + 1) for returned in _returned(function)
            )
        case _:
            return False


def _returned(function: Scope) -> Iterator[ast.expr]:
    for value in function.returns:
        if isinstance(value, ast.Name):
            bound = function.bindings.get(value.id, [])
            yield from (binding.value for binding in bound if binding.value is not None)
        else:
            yield value


@lru_cache(maxsize=64)
def namespace(outline: Outline) -> Mapping[str, ast.expr]:
    """The value of each option that `add_argument` declares anywhere in the file, by destination.

    An option that must be given has the value that is usual for its name, or is left out. What is
    made of an option after the parsing, as in `args.dims = list(map(int, args.dims.split(",")))`,
    is its value.
    """
    values: dict[str, ast.expr] = {}
    for called in outline.calls:
        if isinstance(called.node.func, ast.Attribute) and called.node.func.attr == "add_argument":
            name, value = _destination(called), _default(called.node)
            if name and value is not None:
                values.setdefault(name, value)
    return values | _converted_later(outline, values) if values else values


_CONVERSIONS = frozenset(
    "list tuple map int float str len bool sorted set range eval literal_eval split strip lower "
    "replace".split()
)


def is_conversion(value: ast.expr) -> bool:
    """Whether an expression only takes a text of its own apart, so that it has one value."""
    calls = [node.func for node in ast.walk(value) if isinstance(node, ast.Call)]
    names = {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls}
    return bool(calls) and names <= _CONVERSIONS and set(free_names(value)) <= _CONVERSIONS


def _converted_later(outline: Outline, values: dict[str, ast.expr]) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in outline.module.nodes(ast.Assign):
        match node:
            case ast.Assign([ast.Attribute(ast.Name(holder), option)], value) if option in values:
                filled = _Filled(holder, values).visit(copy.deepcopy(value))
                if is_conversion(filled):
                    found[option] = filled
    return found


class _Filled(ast.NodeTransformer):
    """Puts the defaults of options in the place of `holder.option`."""

    def __init__(self, holder: str, values: dict[str, ast.expr]) -> None:
        self.holder, self.values = holder, values

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        match node.value:
            case ast.Name(id=self.holder) if isinstance(
                default := self.values.get(node.attr), ast.Constant
            ):
                return default
        return cast(ast.expr, self.generic_visit(node))


def click_default(function: Function, parameter: str) -> ast.expr | None:
    """The default that a `click.option` decorator gives to a parameter."""
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="option")) if _option(decorator) == parameter:
                return _default(decorator)
    return None


def _destination(called: Called) -> str:
    destination = _keyword(called.node, "dest")
    if isinstance(destination, ast.Constant):
        return str(destination.value)
    return _option(called.node)


def _option(call: ast.Call) -> str:
    """The attribute an option is stored under: its first long form, else what is there."""
    texts = [
        arg.value
        for arg in call.args
        if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
    ]
    long = [text for text in texts if text.startswith("--")] or texts
    name = long[0].lstrip("-").split("/")[0].replace("-", "_") if long else ""
    return name if name.isidentifier() else ""


def _default(call: ast.Call) -> ast.expr | None:
    default, kind = _keyword(call, "default"), _keyword(call, "type")
    converter = _CONVERTERS.get(kind.id) if isinstance(kind, ast.Name) else None
    match default:
        case ast.Constant(value=str() as text) if converter:
            return _converted(text, converter)
        case ast.expr():
            return default
    match _keyword(call, "action"):
        case ast.Constant("store_true"):
            return ast.Constant(False)
        case ast.Constant("store_false"):
            return ast.Constant(True)
    if isinstance(flag := _keyword(call, "is_flag"), ast.Constant) and flag.value:
        return ast.Constant(False)
    return _guessed(call, converter)


def _converted(text: str, converter: Callable[[str], object]) -> ast.expr | None:
    try:
        value = converter(text)
    except ValueError:
        return None
    return ast.parse(repr(value), mode="eval").body


def _guessed(call: ast.Call, converter: Callable[[str], object] | None) -> ast.expr | None:
    required = _keyword(call, "required")
    positional = not _first_text(call).startswith("-")
    must = positional or (isinstance(required, ast.Constant) and bool(required.value))
    if not must:
        return ast.Constant(None)
    guess = conventional(_option(call)) if converter else None
    return ast.parse(guess, mode="eval").body if guess else None


def _first_text(call: ast.Call) -> str:
    match call.args:
        case [ast.Constant(value=str() as text), *_]:
            return text
        case _:
            return "-"


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)
