"""What a program does to a model between its construction and its training: it initialises it."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gradlint.discovery.construction.closing import Closed, close
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import THE_END, Placed
from gradlint.discovery.text.expressions import free_names
from gradlint.discovery.text.outline import Scope
from gradlint.discovery.text.trees import walk
from gradlint.protocol.wire import MADE, Candidate

_METHOD = re.compile(
    r"apply|_*(re)?(init|set)\w*(weight|param|bias)\w*|_*init(iali[sz]e)?|\w*weights?_init\w*"
    r"|reset_parameters"
)
_FUNCTION = re.compile(
    r"_*(re)?init(iali[sz]e)?_?((weight|param|net|model|layer|module)\w*)?"
    r"|\w*(weight|param)s?_?init\w*|\w*(xavier|kaiming|glorot|orthogonal)\w*",
    re.IGNORECASE,
)
_FILL = re.compile(
    r"(normal|uniform|fill|zero|constant|copy|mul|div|clamp|trunc_normal|orthogonal)_"
)
_DEEPEST = 4
_MEMBERS = frozenset("parameters named_parameters modules named_modules children".split())


@dataclass(frozen=True, slots=True)
class _Held:
    """A variable, or an attribute of `self`, that a model is bound to."""

    name: str
    scope: Scope
    line: int

    def is_root_of(self, expression: ast.expr) -> bool:
        """Whether an expression is the variable, or something of what it holds."""
        while ast.unparse(expression) != self.name:
            if not isinstance(expression, (ast.Attribute, ast.Subscript)):
                return False
            expression = expression.value
        return True


def finished(reading: Reading, construction: ast.Call, candidate: Candidate) -> Candidate:
    """The candidate with what is done to its model afterwards, as far as its names are in sight."""
    bindings = dict(candidate.bindings)
    texts: list[str] = []
    for step in steps(reading, construction):
        if all(bindings.get(name, text) == text for name, text in step.bindings):
            bindings |= dict(step.bindings)
            texts += step.texts
    return replace(candidate, bindings=tuple(bindings.items()), then=tuple(texts))


def steps(reading: Reading, construction: ast.Call, *, abroad: bool = False) -> Iterator[Closed]:
    """What initialises a model, in order: statements with the bindings that they need.

    The functions of a function stand before the statement that names them, and `abroad`, where
    those of the file are not to be had, they as well.
    """
    for statement, scope in _statements(reading, construction):
        helpers = _helpers(reading, statement, scope, abroad=abroad)
        whole = [*helpers, statement]
        names = free(whole)
        wanted = [Placed(ast.Name(name, ast.Load()), scope, THE_END) for name in names]
        closed = close(reading.tracer, *wanted)
        if closed is not None and closed.texts == names:
            yield replace(closed, texts=("\n".join(map(ast.unparse, whole)),))


def _statements(reading: Reading, construction: ast.Call) -> Iterator[tuple[ast.stmt, Scope]]:
    """What initialises a model, in order, with the model under a name of its own."""
    seen: set[ast.Call] = set()
    for name, binding, chain in reading.holders.get(construction, ()):
        held = _Held(name, binding.scope, binding.line)
        seen.update(chain)
        for call in chain:
            yield _applied(call, call.func), binding.scope
        for statement in map(_unreturned, _following(binding.scope.node.body, binding.line)):
            if _initialises(reading, statement, held):
                seen.update(node for node in walk(statement) if isinstance(node, ast.Call))
                yield _Renaming(name).visit(copy.deepcopy(statement)), binding.scope
    for called in reading.method_calls.get(construction, ()):  # as in a function that is given it
        callee = called.node.func
        sets = isinstance(callee, ast.Attribute) and _METHOD.fullmatch(callee.attr)
        if sets and called.node not in seen and not called.place.conditional:
            yield _applied(called.node, callee), called.scope


def _applied(call: ast.Call, callee: ast.expr) -> ast.stmt:
    """The call of a method, on the model under a name of its own."""
    attr = callee.attr if isinstance(callee, ast.Attribute) else ""
    method = ast.Attribute(ast.Name(MADE, ast.Load()), attr, ast.Load())
    return ast.Expr(ast.Call(method, call.args, call.keywords))


def _following(body: Iterable[ast.stmt], line: int) -> Iterator[ast.stmt]:
    """The statements after a line, those in blocks that always run included."""
    for statement in body:
        match statement:
            case ast.With(body=inner) | ast.Try(body=inner):
                yield from _following(inner, line)
            case ast.If(test=test, body=inner) if "__name__" in ast.unparse(test):
                yield from _following(inner, line)
            case _ if statement.lineno > line:
                yield statement


def _unreturned(statement: ast.stmt) -> ast.stmt:
    """`init_weights(net)` of `return init_weights(net)`."""
    match statement:
        case ast.Return(value=ast.Call() as call):
            return ast.Expr(call)
        case _:
            return statement


def _initialises(reading: Reading, statement: ast.stmt, held: _Held) -> bool:
    match statement:
        case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
            return _is_initialising(reading, call, held) or _is_part(reading, statement, held)
        case ast.For(iter=ast.Call(func=ast.Attribute(value=owner, attr=attr))):
            calls = [node for node in walk(statement) if isinstance(node, ast.Call)]
            own = attr in _MEMBERS and held.is_root_of(owner)
            return own and any(_fills(reading, call) for call in calls)
        case _:
            return False


def _is_initialising(reading: Reading, call: ast.Call, held: _Held) -> bool:
    """`net.apply(f)`, `net.fc.weight.data.normal_()`, `init_weights(net)` or `nn.init.…(net.w)`."""
    callee = call.func
    if isinstance(callee, ast.Attribute) and held.is_root_of(callee.value):
        return bool(_METHOD.fullmatch(callee.attr) or _FILL.fullmatch(callee.attr))
    name = callee.id if isinstance(callee, ast.Name) and callee.id in reading.functions else ""
    of_torch = reading.imports.qualified(callee).startswith("torch.nn.init.")
    given = any(map(held.is_root_of, call.args))
    return given and (of_torch or _FUNCTION.fullmatch(name) is not None)


def _is_part(reading: Reading, statement: ast.stmt, held: _Held) -> bool:
    """`net.fc = nn.Linear(512, 10)`: a part is put in the place of another."""
    match statement:
        case ast.Assign(targets=[ast.Attribute() as target], value=ast.Call(func=kind)):
            of_torch = reading.imports.qualified(kind).startswith("torch.nn.")
            return of_torch and held.is_root_of(target.value)
        case _:
            return False


def _fills(reading: Reading, call: ast.Call) -> bool:
    if reading.imports.qualified(call.func).startswith("torch.nn.init."):
        return True
    return isinstance(call.func, ast.Attribute) and _FILL.fullmatch(call.func.attr) is not None


class _Renaming(ast.NodeTransformer):
    """Puts the worker's name of the model in place of the program's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The model's name, or another as it is."""
        return ast.Name(MADE, ast.Load()) if node.id == self._name else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """The model's name where it is an attribute of `self`."""
        if ast.unparse(node) == self._name:
            return ast.Name(MADE, ast.Load())
        return self.generic_visit(node)


def free(statements: list[ast.stmt]) -> tuple[str, ...]:
    """The names that statements on a finished model read and do not give themselves."""
    return tuple(name for name in free_names(ast.Module(statements, [])) if name != MADE)


def _helpers(
    reading: Reading, statement: ast.stmt, scope: Scope, *, abroad: bool
) -> list[ast.stmt]:
    """The functions that a statement names, and those that they name, the latter first."""
    known = {child.function.name: child.function for child in scope.children if child.function}
    if scope.is_module and not abroad:
        return []
    if abroad:
        outer = ((name, each.function) for name, each in reading.functions.items())
        known = {name: function for name, function in outer if function} | known
    found: list[ast.stmt] = []
    for _ in range(_DEEPEST):
        named = [known[name] for name in free([*found, statement]) if name in known]
        if not named:
            break
        found = [*named, *found]
    return found
