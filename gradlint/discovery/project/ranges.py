"""In which interval the elements of a tensor lie, as far as the expression that makes it shows."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import replace

from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.constants import number

Range = tuple[float, float]

_DEEPEST = 8
_NORMAL: Range = (-3.0, 3.0)  # where 99.7 % of standard normal numbers lie
_OF_FUNCTIONS: dict[str, Range] = {
    "rand": (0.0, 1.0),
    "rand_like": (0.0, 1.0),
    "randn": _NORMAL,
    "randn_like": _NORMAL,
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "zeros": (0.0, 0.0),
    "ones": (1.0, 1.0),
}
_KEEPING = frozenset(
    "float double view reshape flatten squeeze unsqueeze permute transpose contiguous to clone"
    " detach cpu cuda mean".split()
)


def range_of(reading: Reading, placed: Placed, depth: int = 0) -> Range | None:
    """The interval of a value's elements, None where the source does not show it."""
    if depth > _DEEPEST:
        return None
    ranges = {_range(reading, origin, depth + 1) for origin in reading.tracer.origins(placed)}
    return ranges.pop() if len(ranges) == 1 else None


def _range(reading: Reading, placed: Placed, depth: int) -> Range | None:
    def inside(expression: ast.expr) -> Range | None:
        return range_of(reading, replace(placed, expression=expression), depth)

    match placed.expression:
        case ast.Constant() | ast.UnaryOp():
            value = number(placed, reading.tracer)
            return None if value is None else (float(value), float(value))
        case ast.BinOp(left=left, op=op, right=right):
            return _combined(op, inside(left), inside(right))
        case ast.Subscript(value=value):
            return inside(value)
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _KEEPING:
            return inside(value)
        case ast.Call(func=callee, args=args):
            return _of_function(reading, placed, reading.imports.qualified(callee), args)
    return None


def _of_function(reading: Reading, placed: Placed, name: str, args: list[ast.expr]) -> Range | None:
    head, _, last = name.rpartition(".")
    if head != "torch":
        return None
    if last not in ("randint", "linspace", "arange"):
        return _OF_FUNCTIONS.get(last)
    ends = [number(replace(placed, expression=item), reading.tracer) for item in args[:2]]
    if last == "randint" and (len(args) < 2 or not isinstance(ends[1], int)):
        ends = [0, *ends[:1]]
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
        return float(ends[0]), float(ends[1])
    return None


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b if b else math.inf,
}


def _combined(op: ast.operator, left: Range | None, right: Range | None) -> Range | None:
    """Interval arithmetic over the corners of two intervals."""
    function = _OPERATORS.get(type(op))
    if function is None or left is None or right is None:
        return None
    corners = [function(a, b) for a in left for b in right]
    return min(corners), max(corners)
