"""What a class does with the arguments that it keeps: it runs them, or reads their parts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from gradlint.discovery.expressions import walk
from gradlint.discovery.outline import Scope


@dataclass(slots=True)
class Parts:
    """What is read of a value, by name.

    `as_mapping` where it is read as items, not attributes; `counted` where it is the length of a
    `range`.
    """

    inner: dict[str, Parts] = field(default_factory=dict)
    as_mapping: bool = False
    counted: bool = False

    def at(self, path: list[tuple[str, bool]]) -> Parts:
        """The part at the end of a path, made where it is not there yet."""
        here = self
        for name, as_mapping in path:
            here.as_mapping |= as_mapping
            here = here.inner.setdefault(name, Parts())
        return here


@dataclass(frozen=True, slots=True)
class Keeping:
    """One parameter of a constructor and the attributes that hold it; () if none does."""

    owner: Scope
    name: str
    attributes: tuple[str, ...]

    @staticmethod
    def of(owner: Scope, name: str) -> Keeping:
        """How the class `owner` keeps the constructor's parameter `name`."""
        init = owner.method("__init__")
        body = walk(init.node) if init else iter(())
        found = [attribute for node in body if (attribute := _kept(node, name))]
        return Keeping(owner, name, tuple(dict.fromkeys(found)))

    @property
    def is_run(self) -> bool:
        """Whether a method calls what is kept, as with a module, or what `name` itself means."""
        return any(
            isinstance(node, ast.Call) and self._means(node.func)
            for method in self.owner.children
            if method.function is not None
            for node in walk(method.node)
        )

    @property
    def length(self) -> int:
        """How many values a method unpacks from it, as in `h, w = self.size`; 0 if none does."""
        lengths = [
            len(node.targets[0].elts)
            for node in walk(self.owner.node)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Tuple)
            and self._means(node.value)
        ]
        return max(lengths, default=0)

    def parts(self) -> Parts:
        """What the class reads of it: `cfg.model.dim` is `dim` inside of `model`."""
        found = Parts()
        for node in walk(self.owner.node):
            path = self._path(node)
            if path is not None:
                found.at(path)
        for node in walk(self.owner.node):
            match node:
                case ast.Call(func=ast.Name(id="range"), args=[*counts]):
                    inside = (node for count in counts for node in walk(count))
                    for path in filter(None, map(self._path, inside)):
                        found.at(path).counted = True
                case ast.Call(func=callee) if path := self._path(callee):
                    _forget(found, [name for name, _ in path])
        return found

    def _means(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr):
                return attr in self.attributes
            case _:
                return False

    def _path(self, node: ast.AST) -> list[tuple[str, bool]] | None:
        """The names by which a part is reached, None for what is no part of the parameter."""
        path: list[tuple[str, bool]] = []
        while True:
            match node:
                case ast.Name(id=name) if name == self.name:
                    return path[::-1]
                case _ if self._means(node):
                    return path[::-1]
                case ast.Attribute(value=inner, attr=attr):
                    path.append((attr, False))
                case ast.Subscript(value=inner, slice=ast.Constant(value=str(key))):
                    path.append((key, True))
                case _:
                    return None
            node = inner


def _kept(node: ast.AST, name: str) -> str:
    """The attribute that a statement stores the parameter in, be it one of two choices."""
    match node:
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)],
            value=value,
        ) if any(name == found for found in _choices(value)):
            return attr
        case _:
            return ""


def _choices(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Name(id=name):
            yield name
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_choices(body), *_choices(orelse))
        case ast.BoolOp(values=values):
            yield from (name for item in values for name in _choices(item))


def _forget(parts: Parts, path: list[str]) -> None:
    """Leave out what is called: a method of a value, such as `get` or `items`, is no part of it."""
    for name in path[:-1]:
        parts = parts.inner.get(name, Parts())
    if path and not parts.inner.get(path[-1], Parts()).inner:
        parts.inner.pop(path[-1], None)
