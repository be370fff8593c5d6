"""What a class does with the arguments that it keeps: it runs them, or reads their parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gradlint.discovery.construction.usage import Usage, vectors_taken
from gradlint.discovery.text.outline import Node, Scope
from gradlint.discovery.text.trees import walk

_READ = (ast.Name, ast.Attribute, ast.Subscript)
_TELLING = (*_READ, ast.Call, ast.For, ast.comprehension, ast.Starred, ast.Compare)
"""Nodes that tell what is read of a value."""
_SIZE = re.compile(r"(get_|n_|num_)?\w*(size|len|length|dim|count|channels)")
"""Methods that tell how large something is."""
Route = list[tuple[str, bool]]
"""The names that lead to a part, each with whether it is read as an item."""


@dataclass(frozen=True, slots=True)
class Handed:
    """An argument of a call that is a value, or the part of it at the end of `path`."""

    path: Route
    call: ast.Call
    argument: ast.expr


@dataclass(slots=True)
class Parts:
    """What is read of a value, by name.

    `as_mapping` and `as_object` say whether it is read as items and as attributes; `usage` what is
    done with it as a whole.
    """

    inner: dict[str, Parts] = field(default_factory=dict)
    as_mapping: bool = False
    as_object: bool = False
    usage: Usage = field(default_factory=Usage)

    def at(self, path: Route) -> Parts:
        """The part at the end of a path, made where it is not there yet."""
        here = self
        for name, as_mapping in path:
            here.as_mapping |= as_mapping
            here.as_object |= not as_mapping
            here = here.inner.setdefault(name, Parts())
        return here

    def add(self, other: Parts) -> None:
        """Take up what is read of the same value elsewhere."""
        self.as_mapping |= other.as_mapping
        self.as_object |= other.as_object
        self.usage.add(other.usage)
        for name, part in other.inner.items():
            self.inner.setdefault(name, Parts()).add(part)


def _instance(callee: ast.expr) -> ast.expr:
    """What is called, be it by its `forward`."""
    match callee:
        case ast.Attribute(value=instance, attr="forward"):
            return instance
        case _:
            return callee


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
        body = init.nodes(ast.Assign) if init else ()
        found = [attribute for node in body if (attribute := _kept(node, name))]
        return Keeping(owner, name, tuple(dict.fromkeys(found)))

    @property
    def is_run(self) -> bool:
        """Whether a method calls what is kept, as with a module, or what `name` itself means."""
        return any(self._means(_instance(node.func)) for node in self.owner.nodes(ast.Call))

    @property
    def length(self) -> int:
        """How many values a method unpacks from it, as in `h, w = self.size`; 0 if none does."""
        lengths = [
            len(node.targets[0].elts)
            for node in self.owner.nodes(ast.Assign)
            if isinstance(node.targets[0], ast.Tuple) and self._means(node.value)
        ]
        return max(lengths, default=0)

    @lru_cache(maxsize=256)  # noqa: B019
    def parts(self) -> Parts:
        """What the class reads of it: `cfg.model.dim` is `dim` inside of `model`.

        It is remembered, and therefore not to be changed.
        """
        found, nodes = Parts(), list(self._nodes(*_TELLING))
        for node, aliases in nodes:
            path = self._path(node, aliases)
            if path is not None:
                found.at(path)
        for node, aliases in nodes:
            self._note(found, node, aliases)
        for node, aliases in nodes:
            if path := self._asked_for(node, aliases):
                _forget(found, [name for name, _ in path])
        return found

    def _note(self, found: Parts, node: ast.AST, aliases: Mapping[str, Route]) -> None:
        """Take up what is done with a part."""

        def usage_of(value: ast.AST) -> Usage:
            path = self._path(value, aliases)
            return found.at(path).usage if path is not None else Usage()

        match node:
            case ast.Call(func=ast.Name(id="range"), args=[*counts]):
                for count in counts:
                    usage_of(count).counted = True
                    for each in (each for each in walk(count) if self._path(each, aliases)):
                        usage_of(each).counted = True
            case ast.Subscript(value=value, slice=index):
                usage_of(value).note_index(index)
            case ast.For(iter=value) | ast.comprehension(iter=value) | ast.Starred(value=value):
                usage_of(value).listed = True
            case ast.Compare(left=value, comparators=comparators):
                usage_of(value).note_comparison(comparators)
            case ast.Call(args=[value, *_]) if form := vectors_taken(node):
                usage_of(value).vectors = form
            case ast.Call(func=ast.Attribute(value=value, attr=method), args=arguments):
                if (path := self._path(value, aliases)) is not None:
                    _forget(found, [*(name for name, _ in path), method])
                if _SIZE.fullmatch(method) and not arguments:
                    usage_of(value).sizes[method] = None

    def handed(self) -> Iterator[Handed]:
        """The calls that it, or a part of it, is handed on to."""
        for node, aliases in self._nodes(ast.Call):
            for argument in (*node.args, *(word.value for word in node.keywords)):
                if (path := self._path(argument, aliases)) is not None:
                    yield Handed(path, node, argument)

    def _asked_for(self, node: ast.AST, aliases: Mapping[str, Route]) -> Route:
        """A part that may be missing, because the class asks whether it is there; [] for none."""
        match node:
            case (
                ast.Call(
                    func=ast.Attribute(value=owner, attr="get"),
                    args=[ast.Constant(value=str(key)), *_],
                )
                | ast.Call(func=ast.Name(id="hasattr"), args=[owner, ast.Constant(value=str(key))])
            ):
                path = self._path(owner, aliases)
                return [] if path is None else [*path, (key, True)]
            case _:
                return []

    def _nodes(self, *kinds: type[Node]) -> Iterator[tuple[Node, Mapping[str, Route]]]:
        """Nodes of the class in source order, and the names that parts have where each stands."""
        init = self.owner.method("__init__")
        aliases = self._aliases(init.node) if init is not None else {}
        kept = {name: path for name, path in aliases.items() if name.startswith("self.")}
        inside = frozenset(init.nodes(*kinds) if init is not None else ())
        for node in self.owner.nodes(*kinds):
            yield node, aliases if node in inside else kept

    def _aliases(self, init: ast.AST) -> dict[str, Route]:
        """The names for parts, as in `model = config.model` and `self.depth = model.depth`."""
        found: dict[str, Route] = {}
        for statement in getattr(init, "body", ()):
            match statement:
                case ast.Assign(targets=[ast.Name(id=alias)], value=value):
                    if path := self._path(value, found):
                        found[alias] = path
                case ast.Assign(targets=[ast.Attribute(ast.Name("self"), attr)], value=value):
                    only = len(self.owner.bindings.get(f"self.{attr}", ())) == 1
                    if only and (path := self._path(value, found)):
                        found[f"self.{attr}"] = path
        return found

    def _means(self, node: ast.AST) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr):
                return attr in self.attributes
            case _:
                return False

    def _path(self, node: ast.AST, aliases: Mapping[str, Route]) -> Route | None:
        """The names by which a part is reached, None for what is no part of the parameter."""
        path: Route = []
        while True:
            match node:
                case ast.Name(id=name) if name == self.name:
                    return path[::-1]
                case ast.Name(id=name) if name in aliases:
                    return [*aliases[name], *path[::-1]]
                case _ if self._means(node):
                    return path[::-1]
                case ast.Attribute(value=ast.Name("self"), attr=attr) if f"self.{attr}" in aliases:
                    return [*aliases[f"self.{attr}"], *path[::-1]]
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
    """Leave out a part: one that may be missing, or a method such as `get` or `items`."""
    for name in path[:-1]:
        parts = parts.inner.get(name, Parts())
    if path and not parts.inner.get(path[-1], Parts()).inner:
        parts.inner.pop(path[-1], None)
        parts.as_mapping |= path[-1] in ("get", "items", "keys", "values")
