"""What a function is given by its decorators and by pytest, without a call in sight."""

from __future__ import annotations

import ast

from gradlint.discovery.text.arguments import click_default
from gradlint.discovery.text.outline import Function, Scope


def decorated(function: Function, parameter: str) -> ast.expr | None:
    """The default of a `click.option`, or the first value of `pytest.mark.parametrize`."""
    return click_default(function, parameter) or _first_case(function, parameter)


def fixture(module: Scope, name: str) -> tuple[ast.expr, Scope] | None:
    """What the pytest fixture of this name returns, and where."""
    made = module.method(name)
    if made is None or made.function is None or not made.returns:
        return None
    decorators = (
        each.func if isinstance(each, ast.Call) else each for each in made.function.decorator_list
    )
    is_one = any(ast.unparse(each).rpartition(".")[2] == "fixture" for each in decorators)
    return (made.returns[0], made) if is_one else None


def _first_case(function: Function, parameter: str) -> ast.expr | None:
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=[names, cases, *_]):
                named = _named(names)
                if parameter in named:
                    # because one name in a list is given values in lists, too
                    whole = len(named) == 1 and isinstance(names, ast.Constant)
                    case = _item(cases, 0)
                    return case if whole or case is None else _item(case, named.index(parameter))
    return None


def _named(names: ast.expr) -> list[str]:
    match names:
        case ast.Constant(value=str() as text):
            return [name.strip() for name in text.split(",") if name.strip()]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [str(item.value) for item in items if isinstance(item, ast.Constant)]
        case _:
            return []


def _item(values: ast.expr, index: int) -> ast.expr | None:
    """An item of values that stand there, are marked as `pytest.param`, or have a name."""
    match values:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return _bare(items[index]) if index < len(items) else None
        case ast.Name() | ast.Attribute() | ast.Subscript():
            return ast.Subscript(values, ast.Constant(index), ast.Load())
        case _:
            return None


def _bare(item: ast.expr) -> ast.expr:
    match item:
        case ast.Call(func=ast.Attribute(attr="param"), args=[only]):
            return only
        case ast.Call(func=ast.Attribute(attr="param"), args=values) if values:
            return ast.Tuple(values, ast.Load())
        case _:
            return item
