"""The values of constant expressions, through names, options and configurations."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from gradlint.discovery.text.arguments import is_parsed, namespace
from gradlint.discovery.text.bindings import THE_END, Placed, Tracer
from gradlint.discovery.text.outline import Scope

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | dict[str, Value] | None"

_DEEPEST = 8
_LARGEST = 1e12

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


class NotConstantError(Exception):
    """The value of an expression is not in sight."""


def constant(placed: Placed, tracer: Tracer) -> Value:
    """The value of an expression where it stands.

    Raises:
        NotConstantError: it is not constant, or not as far as the source shows.
    """
    try:
        return _value(placed, tracer, 0)
    except (ArithmeticError, ValueError, TypeError) as error:
        raise NotConstantError from error


def number(placed: Placed, tracer: Tracer) -> float | None:
    """The value of a constant expression that is a number, else None."""
    try:
        value = constant(placed, tracer)
    except NotConstantError:
        return None
    return value if isinstance(value, (int, float)) else None


def _value(placed: Placed, tracer: Tracer, depth: int) -> Value:
    if depth > _DEEPEST:
        raise NotConstantError

    def of(expression: ast.expr) -> Value:
        return _value(Placed(expression, placed.scope, placed.line), tracer, depth + 1)

    match placed.expression:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_numeric(of(operand))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _computed(sign, _numeric(of(left)), _numeric(of(right)))
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(of(item) for item in items)
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {str(of(key)): of(value) for key, value in pairs if key is not None}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=words):
            return {word.arg: of(word.value) for word in words if word.arg}
        case ast.Call(func=ast.Name(id="float" | "int" as kind), args=[argument]):
            text = _plain(of(argument))
            return float(text) if kind == "float" else int(text)
        case ast.Subscript(value=container, slice=key):
            return _item(of(container), of(key))
        case _:
            return _referred(placed, tracer, depth)


def _referred(placed: Placed, tracer: Tracer, depth: int) -> Value:
    """The value that a variable or an attribute refers to.

    Raises:
        NotConstantError: it refers to something that is not in sight.
    """
    match placed.expression:
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return _variable(placed, f"self.{attr}", tracer, depth)
        case ast.Attribute(
            value=ast.Attribute(value=ast.Name(id="self"), attr="hparams"), attr=attr
        ):
            return _hyperparameter(placed, attr, tracer, depth)
        case ast.Attribute(value=holder, attr=attr):
            return _attribute(Placed(holder, placed.scope, placed.line), attr, tracer, depth)
        case ast.Name(id=name):
            return _variable(placed, name, tracer, depth)
        case _:
            raise NotConstantError


def _hyperparameter(placed: Placed, name: str, tracer: Tracer, depth: int) -> Value:
    """What Lightning saved of the constructor's arguments.

    Raises:
        NotConstantError: the constructor has no such argument with a value in sight.
    """
    owner = placed.scope.class_around
    init = owner.method("__init__") if owner else None
    given = tracer.argument(name, init) if init else None
    if given is None:
        raise NotConstantError
    return _value(given, tracer, depth + 1)


def _computed(sign: ast.operator, left: float, right: float) -> float:
    if isinstance(sign, ast.Pow) and (abs(left) > _LARGEST or abs(right) > 64):
        raise NotConstantError
    return _OPERATORS[type(sign)](left, right)


def _numeric(value: Value) -> float:
    if isinstance(value, (int, float)):
        return value
    raise NotConstantError


def _plain(value: Value) -> float | str:
    if isinstance(value, (int, float, str)):
        return value
    raise NotConstantError


def _variable(placed: Placed, name: str, tracer: Tracer, depth: int) -> Value:
    bound = tracer.bindings(name, placed.scope, placed.line)
    if len(bound) > 1 or (bound and bound[0].value is None):
        raise NotConstantError
    if bound and bound[0].value is not None:
        inner = Placed(bound[0].value, bound[0].scope, bound[0].line)
        return _value(inner, tracer, depth + 1)
    given = tracer.argument(name, placed.scope)
    if given is None:
        raise NotConstantError
    return _value(given, tracer, depth + 1)


def _item(holder: Value, key: Value) -> Value:
    match holder, key:
        case dict(), str() if key in holder:
            return holder[key]
        case tuple(), int() if -len(holder) <= key < len(holder):
            return holder[key]
        case _:
            raise NotConstantError


def _attribute(holder: Placed, attr: str, tracer: Tracer, depth: int) -> Value:
    """`args.lr` from the parser's defaults, `cfg.lr` from the class or the call that made `cfg`.

    Raises:
        NotConstantError: the attribute is not in sight.
    """
    options = namespace(tracer.outline)
    for origin in tracer.origins(holder):
        made = origin.expression
        callee = made.func if isinstance(made, ast.Call) else made
        scope = _class(callee, tracer)
        unknown = isinstance(made, ast.Name) and scope is None
        parsed = unknown or is_parsed(made, tracer.outline)
        if parsed and attr in options:
            module = tracer.outline.module
            return _value(Placed(options[attr], module, THE_END), tracer, depth + 1)
        if isinstance(made, ast.Call):
            given = next((word.value for word in made.keywords if word.arg == attr), None)
            if given is not None:
                return _value(Placed(given, origin.scope, origin.line), tracer, depth + 1)
        if scope is not None and attr in scope.bindings:
            return _variable(Placed(callee, scope, THE_END), attr, tracer, depth + 1)
    raise NotConstantError


def _class(callee: ast.expr, tracer: Tracer) -> Scope | None:
    name = callee.id if isinstance(callee, ast.Name) else ""
    return next((scope for scope in tracer.outline.classes if scope.name == name), None)
