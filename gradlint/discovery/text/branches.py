"""Which branch of a script runs where its options have their defaults."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

from gradlint.discovery.text.bindings import Placed, Tracer
from gradlint.discovery.text.constants import NotConstantError, Value, constant
from gradlint.discovery.text.outline import Binding, Outline, Scope


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[Value, Value], bool | None]:
    def compared(one: Value, other: Value) -> bool | None:
        known = isinstance(one, (int, float)) and isinstance(other, (int, float))
        return compare(one, other) if known else None  # type: ignore[arg-type]

    return compared


_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Value, Value], bool | None]] = {
    ast.Gt: _numeric(operator.gt),
    ast.GtE: _numeric(operator.ge),
    ast.Lt: _numeric(operator.lt),
    ast.LtE: _numeric(operator.le),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: isinstance(many, (tuple, dict)) and one in many,
    ast.NotIn: lambda one, many: isinstance(many, (tuple, dict)) and one not in many,
}


def settled(tracer: Tracer, name: str, scope: Scope, line: int) -> Binding | None:
    """The binding that a variable has at a line, by the defaults of options where it depends.

    The first of the branches of which none is known to run; None for what is bound nowhere.
    """
    bound = tracer.bound(name, scope, line)
    runs = {id(item): _runs(item, tracer) for item in bound}
    likely = [item for item in bound if runs[id(item)] is not False] or bound
    sure = [item for item in likely if runs[id(item)]]
    return next(iter([*sure[-1:], *likely]), None)


def _runs(binding: Binding, tracer: Tracer) -> bool | None:
    """Whether a binding is made for sure, or for sure not; None if that is not in sight."""
    outcomes: set[bool | None] = set()
    for branch in binding.place.branches:
        holds = _holds(branch.test, binding, tracer) if branch.test is not None else None
        outcomes.add(None if holds is None else holds is branch.outcome)
    if False in outcomes:
        return False
    return None if None in outcomes else True


def _holds(test: ast.expr, binding: Binding, tracer: Tracer) -> bool | None:
    """How a test comes out where a binding stands, as far as constants and options tell."""
    match test:
        case ast.BoolOp(op=sign, values=values):
            decided = {_holds(value, binding, tracer) for value in values}
            decisive = isinstance(sign, ast.Or)
            if decisive in decided:
                return decisive
            return None if None in decided else not decisive
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            holds = _holds(operand, binding, tracer)
            return None if holds is None else not holds
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            compare = _COMPARISONS.get(type(sign))
            sides = [_value(side, binding, tracer) for side in (left, right)]
            known = [side[0] for side in sides if side]
            return compare(*known) if compare and len(known) == len(sides) else None
        case _:
            value = _value(test, binding, tracer)
            return bool(value[0]) if value else None


def _value(expression: ast.expr, binding: Binding, tracer: Tracer) -> tuple[Value] | None:
    """The value of a constant expression, alone, because it may be None."""
    set_later = _assigned(tracer.outline)
    read = (node.attr for node in ast.walk(expression) if isinstance(node, ast.Attribute))
    if not set_later.isdisjoint(read):
        return None
    try:
        return (constant(Placed(expression, binding.scope, binding.line), tracer),)
    except NotConstantError:
        return None


@lru_cache(maxsize=64)
def _assigned(outline: Outline) -> frozenset[str]:
    """The attributes that the file gives a value, such as an option that depends on another."""
    return frozenset(
        node.attr for node in outline.module.nodes(ast.Attribute) if isinstance(node.ctx, ast.Store)
    )
