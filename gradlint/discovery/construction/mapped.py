"""What the docstring of a class says of a network that it is given: the sizes it maps between."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from gradlint.discovery.text.docstrings import said_of
from gradlint.discovery.text.outline import Scope

_SHAPE = r"of\s+shape\W+(?:obj\W+)?\[([^\[\]]*)\].*?to\s+shape\W+(?:obj\W+)?\[([^\[\]]*)\]"
_MAPS = re.compile(rf"\bmaps\b.*?{_SHAPE}", re.DOTALL)


def mapped(scope: Scope, name: str, size: Callable[[str], str | None]) -> tuple[int, int] | None:
    """How wide the input and the output of a network are that a constructor takes as `name`.

    As in `net: maps features of shape [-1, in_channels] to shape [-1, 2 * out_channels]`; `size`
    gives the value of a name in there. None where nothing is said, or a size is not known.
    """
    found = _MAPS.search(said_of(scope, name))
    if found is None:
        return None
    widths = [_number(shape.rpartition(",")[2], size) for shape in found.groups()]
    return (widths[0], widths[1]) if widths[0] and widths[1] else None


def _number(text: str, size: Callable[[str], str | None]) -> int | None:
    """The value of a sum or a product of sizes, None where it is anything else."""
    try:
        tree = ast.parse(" ".join(text.split()), mode="eval").body
    except SyntaxError:
        return None
    match tree:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            known = size(name) or ""
            return int(known) if known.isdecimal() else None
        case ast.BinOp(left=left, op=ast.Mult() | ast.Add() as op, right=right):
            one = _number(ast.unparse(left), size)
            other = _number(ast.unparse(right), size)
            if one is None or other is None:
                return None
            return one * other if isinstance(op, ast.Mult) else one + other
        case _:
            return None
