"""What a script sets in branches that linting does not take, as by the name of a data set."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence


def constants_of_branches(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that give a name the first constant of a branch, where it has no value by then.

    A script may choose its number of channels together with its data, which is not there.
    """
    found: dict[str, ast.Assign] = {}
    for name, statement in _assigned(tree.body, branch=False):
        found.setdefault(name, statement)
    for name, statement in found.items():
        asked = ast.Expr(ast.Name(name, ast.Load()))
        missing = ast.ExceptHandler(ast.Name("NameError", ast.Load()), None, [statement])
        chosen = ast.Try([asked], [missing], [], [])
        yield ast.fix_missing_locations(ast.copy_location(chosen, statement))


def _assigned(body: Sequence[ast.stmt], *, branch: bool) -> Iterator[tuple[str, ast.Assign]]:
    for statement in body:
        match statement:
            case ast.If(body=inner, orelse=others):
                yield from _assigned([*inner, *others], branch=True)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if branch and _is_constant(
                value
            ):
                yield name, statement


def _is_constant(value: ast.expr) -> bool:
    match value:
        case ast.Constant():
            return value.value is not None
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return all(map(_is_constant, items))
        case _:
            return False
