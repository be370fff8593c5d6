"""What a syntax tree defines and where: scopes, bindings, calls and references."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar, cast

from gradlint.discovery.text.trees import walk

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True)
class Branch:
    """What a statement stands under: it runs if `test` comes out as `outcome`.

    There is no test of an exception that is handled, or of a case that is matched.
    """

    test: ast.expr | None = None
    outcome: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands in the control flow of its scope.

    `loop` is the innermost loop around it, also from inside a closure; `main` is true under
    `if __name__ == "__main__"`; `branches` are what it runs under, the outermost first.
    """

    loop: Loop | None = None
    main: bool = False
    branches: tuple[Branch, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether the statement may not run at all."""
        return bool(self.branches)

    def under(self, branch: Branch) -> Place:
        """The same place inside of a branch."""
        return replace(self, branches=(*self.branches, branch))


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """A name given a value; `value` is None where no single expression has that value."""

    value: ast.expr | None
    line: int
    scope: Scope
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """A call and where it stands."""

    node: ast.Call
    scope: Scope
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A module, class or function; `name` is qualified, without `<locals>`, and "" for the module.

    `bindings` of a class also hold `self.name`, bound in its methods. `references` are the names
    read, but for those in annotations, decorators, bases, `isinstance` and `super`. `mutated` are
    the names whose value is changed in place, such as by `append`.
    """

    name: str
    node: ast.Module | ast.ClassDef | Function
    parent: Scope | None
    place: Place
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    calls: list[Called] = field(default_factory=list)
    returns: list[ast.expr] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    mutated: set[str] = field(default_factory=set)
    children: list[Scope] = field(default_factory=list)
    _nodes: dict[tuple[type[ast.AST], ...], list[ast.AST]] = field(default_factory=dict)

    @property
    def is_class(self) -> bool:
        """Whether it is the body of a class."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_module(self) -> bool:
        """Whether it is the top level of the file."""
        return self.parent is None

    @property
    def function(self) -> Function | None:
        """The function that this is the scope of."""
        node = self.node
        return node if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else None

    @property
    def needs_nothing(self) -> bool:
        """Whether it is a function that can be called without arguments."""
        function = self.function
        return function is not None and len(function.args.args) <= len(function.args.defaults)

    @property
    def outward(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    @property
    def class_around(self) -> Scope | None:
        """The innermost class around or at this scope."""
        return next((scope for scope in self.outward if scope.is_class), None)

    @property
    def inward(self) -> Iterator[Scope]:
        """This scope and all inside it, in source order."""
        yield self
        for child in self.children:
            yield from child.inward

    def nodes(self, *kinds: type[Node]) -> Sequence[Node]:
        """The nodes of these kinds in its code and in the scopes inside it, in source order."""
        if kinds not in self._nodes:
            every = walk(self.node) if kinds == (ast.AST,) else self.nodes(ast.AST)
            self._nodes[kinds] = [node for node in every if isinstance(node, kinds)]
        return cast(list[Node], self._nodes[kinds])

    def method(self, name: str) -> Scope | None:
        """The function of that name directly in this scope; the last where there are several."""
        for child in reversed(self.children):
            if child.function and child.function.name == name:
                return child
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """All scopes of a file in source order, the module first, and its import statements.

    `defined` are the functions and classes that importing the file defines at its top level;
    `late` are the import statements that importing it does not run.
    """

    scopes: tuple[Scope, ...]
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    defined: frozenset[str]
    late: frozenset[ast.Import | ast.ImportFrom]

    @property
    def module(self) -> Scope:
        """The scope of the file's top level."""
        return self.scopes[0]

    @property
    def classes(self) -> Iterator[Scope]:
        """The classes of the file, nested ones too, in source order."""
        return (scope for scope in self.scopes if scope.is_class)

    @property
    def calls(self) -> Iterator[Called]:
        """All calls of the file, scope by scope."""
        return (called for scope in self.scopes for called in scope.calls)


def outline(tree: ast.Module) -> Outline:
    """The outline of a module; expressions are walked without recursion, however deep they are."""
    return _Outliner().read(tree)


_MUTATORS = frozenset(
    "append extend insert update pop remove clear add add_module setdefault popitem sort reverse"
    " register_module".split()
)


class _Outliner:
    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.imports: list[ast.Import | ast.ImportFrom] = []
        self.late: list[ast.Import | ast.ImportFrom] = []
        handlers: dict[type, Callable[[ast.AST, Scope, Place], None]] = {
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.ClassDef: self._class,
            ast.Assign: self._assign,
            ast.AnnAssign: self._annotated,
            ast.AugAssign: self._augmented,
            ast.For: self._for,
            ast.AsyncFor: self._for,
            ast.While: self._while,
            ast.If: self._if,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.Try: self._try,
            ast.Return: self._return,
            ast.Match: self._match,
        }
        if try_star := getattr(ast, "TryStar", None):
            handlers[try_star] = self._try
        self.handlers = handlers

    def read(self, tree: ast.Module) -> Outline:
        module = Scope("", tree, None, Place())
        self.scopes.append(module)
        self._block(tree.body, module, Place())
        defined = frozenset(scope.name for scope in module.children if not scope.place.main)
        return Outline(tuple(self.scopes), tuple(self.imports), defined, frozenset(self.late))

    def _block(self, statements: Sequence[ast.stmt], scope: Scope, place: Place) -> None:
        for statement in statements:
            handler = self.handlers.get(type(statement))
            if handler is not None:
                handler(statement, scope, place)
            else:
                self._expression(statement, scope, place)

    def _import(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, (ast.Import, ast.ImportFrom))
        self.imports.append(node)
        if place.main or not scope.is_module:
            self.late.append(node)

    def _function(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self._expression(default, scope, place)
        inner = self._enter(node, scope, place)
        # Because a closure runs inside the loop around it, a method of a class does not.
        self._block(node.body, inner, Place(None if scope.is_class else place.loop))

    def _class(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.ClassDef)
        self._block(node.body, self._enter(node, scope, place), Place())

    def _enter(self, node: ast.ClassDef | Function, scope: Scope, place: Place) -> Scope:
        name = f"{scope.name}.{node.name}" if scope.name else node.name
        inner = Scope(name, node, scope, place)
        self.scopes.append(inner)
        scope.children.append(inner)
        return inner

    def _assign(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.Assign)
        self._expression(node.value, scope, place)
        for target in node.targets:
            self._bind(target, node.value, scope, place)

    def _annotated(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.AnnAssign)
        if node.value is not None:
            self._expression(node.value, scope, place)
            self._bind(node.target, node.value, scope, place)

    def _augmented(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.AugAssign)
        self._expression(node.value, scope, place)
        self._bind(node.target, None, scope, place)
        if place.conditional and place.loop is None:
            scope.mutated.add(ast.unparse(node.target))  # because its value depends on the branch

    def _for(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, (ast.For, ast.AsyncFor))
        self._expression(node.iter, scope, place)
        inside = replace(place, loop=node)
        self._bind(node.target, _first_of(node.iter), scope, inside)
        self._block(node.body, scope, inside)
        self._block(node.orelse, scope, place)

    def _while(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.While)
        self._expression(node.test, scope, place)
        self._block(node.body, scope, replace(place, loop=node))
        self._block(node.orelse, scope, place)

    def _if(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.If)
        self._expression(node.test, scope, place)
        main = scope.is_module and _is_main(node.test)
        body = replace(place, main=True) if main else place.under(Branch(node.test))
        self._block(node.body, scope, body)
        self._block(node.orelse, scope, place.under(Branch(node.test, outcome=False)))

    def _with(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, (ast.With, ast.AsyncWith))
        for item in node.items:
            self._expression(item.context_expr, scope, place)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, None, scope, place)
        self._block(node.body, scope, place)

    def _try(self, node: ast.AST, scope: Scope, place: Place) -> None:
        # Because `ast.TryStar` has the fields of `ast.Try` but is not to be had in Python 3.10.
        statement = cast(ast.Try, node)
        self._block(statement.body, scope, place)
        for handler in statement.handlers:
            self._block(handler.body, scope, place.under(Branch()))
        self._block((*statement.orelse, *statement.finalbody), scope, place)

    def _return(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.Return)
        if node.value is not None:
            scope.returns.append(node.value)
            self._expression(node.value, scope, place)

    def _match(self, node: ast.AST, scope: Scope, place: Place) -> None:
        assert isinstance(node, ast.Match)
        self._expression(node.subject, scope, place)
        for case in node.cases:
            self._block(case.body, scope, place.under(Branch()))

    def _bind(self, target: ast.expr, value: ast.expr | None, scope: Scope, place: Place) -> None:
        """Bind a target, taking tuples apart; what is stored into a container mutates it."""
        match target:
            case ast.Name(id=name):
                _record(scope, name, value, target, scope, place)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for index, item in enumerate(targets):
                    self._bind(item, _item(value, index, targets), scope, place)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                if owner := scope.class_around:
                    _record(owner, f"self.{name}", value, target, scope, place)
            case ast.Subscript(value=ast.Name(id=name)):
                scope.mutated.add(name)
            case _:
                self._expression(target, scope, place)

    def _expression(self, root: ast.AST, scope: Scope, place: Place) -> None:
        """Collect calls and references; the hot loop, so the common nodes come first."""
        stack: list[ast.AST] = [root]
        references = scope.references
        while stack:
            node = stack.pop()
            kind = type(node)
            if kind is ast.Constant:
                continue
            if kind is ast.Name:
                references.add(node.id)  # type: ignore[attr-defined]
            elif kind is ast.Attribute:
                attribute = cast(ast.Attribute, node)
                stack.append(attribute.value)
                if isinstance(attribute.value, ast.Name) and attribute.attr[0].isupper():
                    references.add(f"{attribute.value.id}.{attribute.attr}")
            elif kind is ast.Call:
                self._call(node, scope, place, stack)  # type: ignore[arg-type]
            else:
                if kind is ast.NamedExpr:
                    self._bind(node.target, node.value, scope, place)  # type: ignore[attr-defined]
                for name in kind._fields:
                    value = getattr(node, name, None)
                    if isinstance(value, list):
                        stack.extend([item for item in value if isinstance(item, ast.AST)])
                    elif isinstance(value, ast.AST):
                        stack.append(value)

    def _call(self, node: ast.Call, scope: Scope, place: Place, stack: list[ast.AST]) -> None:
        scope.calls.append(Called(node, scope, place))
        callee = node.func
        if isinstance(callee, ast.Name) and callee.id in ("isinstance", "issubclass", "super"):
            stack.extend(node.args[: callee.id != "super"])
            return
        match callee:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in _MUTATORS:
                scope.mutated.add(name)
        stack.append(callee)
        stack.extend(node.args)
        stack.extend([keyword.value for keyword in node.keywords])


def _record(
    holder: Scope, name: str, value: ast.expr | None, target: ast.expr, scope: Scope, place: Place
) -> None:
    holder.bindings.setdefault(name, []).append(Binding(value, target.lineno, scope, place))


def _item(value: ast.expr | None, index: int, targets: Sequence[ast.expr]) -> ast.expr | None:
    """The expression for one target of several."""
    if value is None or any(isinstance(target, ast.Starred) for target in targets):
        return None
    if isinstance(value, (ast.Tuple, ast.List)):
        return value.elts[index] if len(value.elts) == len(targets) else None
    item = ast.Subscript(value, ast.Constant(index), ast.Load())
    return ast.fix_missing_locations(ast.copy_location(item, value))


def _first_of(iterable: ast.expr) -> ast.expr:
    """The first value of a loop variable; where it is not spelt out, `next(iter(…))`."""
    first: ast.expr
    match iterable:
        case ast.List(elts=[item, *_]) | ast.Tuple(elts=[item, *_]):
            return item
        case ast.Call(func=ast.Name(id="range"), args=[_]):
            first = ast.Constant(0)
        case ast.Call(func=ast.Name(id="range"), args=[start, _, *_]):
            return start
        case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
            first = ast.Tuple([ast.Constant(0), _first_of(inner)], ast.Load())
        case ast.Call(func=ast.Name(id="tqdm"), args=[inner, *_]):
            return _first_of(inner)
        case _:
            iterator = ast.Call(ast.Name("iter", ast.Load()), [iterable], [])
            first = ast.Call(ast.Name("next", ast.Load()), [iterator], [])
    return ast.fix_missing_locations(ast.copy_location(first, iterable))


def _is_main(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), comparators=[ast.Constant("__main__")]):
            return True
        case ast.Compare(left=ast.Constant("__main__"), comparators=[ast.Name(id="__name__")]):
            return True
        case _:
            return False
