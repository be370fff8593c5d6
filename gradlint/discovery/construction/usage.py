"""How a constructor uses its parameters: what that says about the values they take."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from gradlint.discovery.knowledge.names import REQUIRED
from gradlint.discovery.text.imports import Imports
from gradlint.discovery.text.trees import walk

_BLOCKS = 3
"""Blocks in each stage of the smallest residual networks that are published, of 20 layers."""
_ITERATING = frozenset("len zip enumerate list tuple iter sum max min reversed".split())


@dataclass(slots=True)
class Usage:
    """What is done with one parameter.

    `called`: it is called in the constructor, so it is a class or function. `listed`: it is indexed
    or iterated, `longest` times at least. `counted`: it is the length of a `range`. `spread`: it is
    passed on with `**`. `optional`: it is compared with None. `options` are the texts that it is
    compared with. `keys` are the attributes or items read from it. `roles` are the parameters of
    torch's layers that it is passed to. `vectors` is how a table of word vectors is had of it, ""
    where it holds none. `sizes` are its methods that tell how large it is. `parted` is a number
    that the constructor can part, as 6 n + 2 layers into stages of n = 3 blocks, or 0. `evened`: a
    single value is made as many as there have to be. `divides`: a size is divided by it.
    """

    called: bool = False
    listed: bool = False
    counted: bool = False
    spread: bool = False
    longest: int = 0
    options: list[str] = field(default_factory=list)
    keys: dict[str, None] = field(default_factory=dict)
    as_mapping: bool = False
    as_tuple: bool = False
    roles: list[str] = field(default_factory=list)
    optional: bool = False
    vectors: str = ""
    sizes: dict[str, None] = field(default_factory=dict)
    parted: int = 0
    evened: bool = False
    divides: bool = False

    def note_index(self, index: ast.expr) -> None:
        """Take up that the value is read at an index or key."""
        match index:
            case ast.Constant(value=str() as key):
                self.keys[key] = None
                self.as_mapping = True
            case ast.Constant(value=int() as position):
                self.listed, self.longest = True, max(self.longest, position + 1)
            case _:
                self.listed = True

    def note_comparison(self, comparators: Iterable[ast.expr]) -> None:
        """Take up that the value is compared with these."""
        for item in comparators:
            self.options += _texts(item)
            self.optional |= isinstance(item, ast.Constant) and item.value is None

    def add(self, other: Usage) -> None:
        """Take up what is done elsewhere with what decides about a size: how often it is read."""
        self.counted |= other.counted
        self.listed |= other.listed
        self.optional |= other.optional
        self.longest = max(self.longest, other.longest)
        self.options += other.options
        self.sizes |= other.sizes
        self.vectors = self.vectors or other.vectors


def usages(body: Iterable[ast.stmt], imports: Imports) -> dict[str, Usage]:
    """How each name is used in the body of a constructor, until it is bound to something else."""
    found: dict[str, Usage] = {}
    before: dict[str, Usage] = {}
    for statement in body:
        for node in walk(statement):
            _note(node, found, imports)
        if name := _rebound(statement):
            before.setdefault(name, found.pop(name, Usage()))
    return found | before


def _rebound(statement: ast.stmt) -> str:
    """The name to which a statement gives a value that was not made of its own, or ""."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return "" if _mentions(value, name) else name
        case _:
            return ""


def _mentions(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in walk(value))


def _note(node: ast.AST, found: dict[str, Usage], imports: Imports) -> None:
    match node:
        case ast.Call():
            _note_call(node, found, imports)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            _of(found, name).note_index(index)
        case ast.Attribute(value=ast.Name(id=name), attr=attr):
            _of(found, name).keys[attr] = None
        case ast.For(iter=ast.Name(id=name)) | ast.comprehension(iter=ast.Name(id=name)):
            _of(found, name).listed = True
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name)]):
            _of(found, name).listed = True
        case ast.Starred(value=ast.Name(id=name)):
            _of(found, name).listed = True
        case ast.Assert(
            test=ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kind])
        ):
            _of(found, name).listed = "tuple" in ast.unparse(kind) or "list" in ast.unparse(kind)
            _of(found, name).as_tuple = "tuple" in ast.unparse(kind)
        case ast.Compare(left=ast.Name(id=name), comparators=comparators):
            _of(found, name).note_comparison(comparators)
        case ast.BinOp(
            ast.BinOp(ast.Name(id=name), ast.Sub(), ast.Constant(int() as rest)),
            ast.Div() | ast.FloorDiv() | ast.Mod(),
            ast.Constant(int() as each),
        ):
            _of(found, name).parted = rest + _BLOCKS * each
        case ast.BinOp(ast.Name() | ast.Attribute(), ast.FloorDiv(), ast.Name(id=name)):
            _of(found, name).divides = True
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call() | ast.IfExp() | ast.Tuple() | ast.BinOp(ast.List()) as value,
        ) if _mentions(value, name):
            _of(found, name).evened = True
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Name(id=name)):
            usage = _of(found, name)
            usage.listed, usage.longest = True, max(usage.longest, len(targets))


def _note_call(node: ast.Call, found: dict[str, Usage], imports: Imports) -> None:
    callee = node.func
    called = callee.id if isinstance(callee, ast.Name) else ""
    if called:
        _of(found, called).called = True
    qualified = imports.qualified(callee)
    roles = (
        REQUIRED.get(qualified.rpartition(".")[2], ()) if qualified.startswith("torch.nn.") else ()
    )
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Name):
            usage = _of(found, argument.id)
            usage.counted |= called == "range"
            usage.listed |= called in _ITERATING
            if index < len(roles):
                usage.roles.append(roles[index])
    match node:
        case ast.Call(args=[ast.Name(id=name), *_]) if form := vectors_taken(node):
            _of(found, name).vectors = form
    for word in node.keywords:
        if isinstance(word.value, ast.Name) and word.arg is None:
            _of(found, word.value.id).spread = True
        if isinstance(word.value, ast.Name) and roles and word.arg:
            _of(found, word.value.id).roles.append(word.arg)


def vectors_taken(call: ast.Call) -> str:
    """How a call takes its first argument as a table of word vectors, "" where it does not."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr="Embedding"), attr="from_pretrained"):
            return "tensor"
        case ast.Attribute(value=ast.Name(id="Embedding"), attr="from_pretrained"):
            return "tensor"
        case ast.Attribute(attr="from_numpy"):
            return "array"
        case _:
            return ""


def _texts(comparator: ast.expr) -> list[str]:
    match comparator:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [text for item in items for text in _texts(item)]
        case _:
            return []


def _of(found: dict[str, Usage], name: str) -> Usage:
    return found.setdefault(name, Usage())
