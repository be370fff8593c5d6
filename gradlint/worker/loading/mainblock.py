"""What the classes and functions of a script read from its `if __name__ == "__main__"` block."""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator

_FILLING = re.compile(r"add|add_.+|append|extend|insert|update|setdefault|set_defaults")
_BINDING = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom)


def is_main_guard(statement: ast.stmt) -> bool:
    """Whether this is `if __name__ == "__main__":`."""
    match statement:
        case ast.If(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            return {_word(left), _word(right)} == {"__name__", "__main__"}
    return False


def settings_of_main(tree: ast.Module, source: str, idle: frozenset[str]) -> list[ast.stmt]:
    """The imports and assignments of the main block that classes and functions depend on, in order.

    Scripts are often written so: their classes read sizes such as `n_hidden` that the main block
    sets as globals, and cannot be built without. Whatever else the block does is left out, and so
    is what only the functions called `idle` need.
    """
    guards = [statement for statement in tree.body if is_main_guard(statement)]
    block = [inner for guard in guards if isinstance(guard, ast.If) for inner in guard.body]
    if not block:
        return []
    wanted = set(_globals_read(symtable.symtable(source, "<source>", "exec"), idle))
    kept: list[ast.stmt] = []
    for statement in reversed(block):
        if wanted.intersection(_set_by(statement)):
            wanted.update(_names_read(statement))
            kept.insert(0, statement)
    return kept


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds in the scope in which it stands."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _set_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds, or whose object it fills, as `parser.add_argument` does."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method))):
            if _FILLING.fullmatch(method):
                yield name
        case ast.If(body=body, orelse=orelse):
            names = [list(_set_by(inner)) for inner in (*body, *orelse)]
            if all(names):  # because a branch that does more is no setting
                yield from (name for found in names for name in found)
        case _ if isinstance(statement, _BINDING):
            yield from bound_names(statement)


def _globals_read(table: symtable.SymbolTable, idle: frozenset[str]) -> Iterator[str]:
    """The global names that the classes and functions of a module read, but for the idle ones."""
    waiting = [scope for scope in table.get_children() if scope.get_name() not in idle]
    while waiting:
        scope = waiting.pop()
        waiting.extend(scope.get_children())
        yield from (s.get_name() for s in scope.get_symbols() if s.is_global())


def _names_read(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _word(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=str(text)):
            return text
    return ""
