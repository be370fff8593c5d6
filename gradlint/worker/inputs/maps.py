"""Lists of feature maps: arguments of which each item goes to a layer of its own."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.layers import spec_of
from gradlint.worker.inputs.role import Role, submodule
from gradlint.worker.inputs.specs import SPATIAL, Group, Normal, Shape, Spec

_SIDE, _LARGEST = 64, 128
"""Pixels of the largest map of a pyramid, and at most, where it has more levels than usual."""
_SMALLEST = 4
_MOST = 8
_OF_LISTS = frozenset("len zip enumerate reversed range list tuple isinstance".split())


def feature_maps(role: Role) -> Iterator[Spec]:
    """What a list of feature maps holds, first as the levels of a pyramid, then all of one size.

    Only where the text of `forward` shows that the argument is a list: its items, by their index or
    in a loop beside a list of layers, are handed to layers that take images, or the model was told
    of levels, and no tensor's method is called on the whole.
    """
    tree = role.forward.tree
    if tree is not None and not role.index and not _is_tensor(tree, role.name, role.facts.model):
        yield from (Group("list", maps) for maps in levels(role.facts))
    use = _Use.of(role)
    count = use.count(role.facts.model) if use is not None else 0
    if use is None or not 0 < count <= _MOST:
        return
    shapes = [use.shape(role, place, count) for place in range(count)]
    if any(len(shape) != 4 for shape in shapes):
        return
    yield from (Group("list", maps) for maps in _pyramids(shapes))


def levels(facts: Facts) -> Iterator[tuple[Spec, ...]]:
    """A map for each of the numbers of channels that the model was given a list of, if any.

    Because a level that nothing is given for is not reached, which is no fault of the model.
    """
    sides = SPATIAL[facts.spatial() - 1]
    for name, value in facts.given.items():
        channels = value if isinstance(value, (list, tuple)) else ()
        told = len(channels) > 1 and all(type(count) is int and count >= 0 for count in channels)
        if _OF_LEVELS.fullmatch(name) and told and any(channels):
            yield from _pyramids([("batch", count, *sides) for count in channels])
            return


def _pyramids(shapes: Sequence[Shape]) -> Iterator[tuple[Spec, ...]]:
    """Maps of these shapes, each with half the side of the one before it, or of the one behind it.

    At last all of one size. The smallest comes first where each has fewer channels than the one
    before.
    """
    count = len(shapes)
    first = min(max(_SIDE, _SMALLEST << count - 1), _LARGEST)
    sides = [max(first >> place, 1) for place in range(count)]
    channels = [size for shape in shapes if isinstance(size := shape[1], int)]
    if all(more > less for more, less in itertools.pairwise(channels)):
        sides.reverse()
    for levels in (sides, sides[::-1]) if count > 1 else ():
        pairs = zip(shapes, levels, strict=True)
        yield tuple(Normal((*shape[:2], *[side] * len(shape[2:]))) for shape, side in pairs)
    yield tuple(map(Normal, shapes))


_OF_LEVELS = re.compile(r"(in|input|encoder|backbone|feature)_?(channels?|chans?|chs)(_list|s)?")


@dataclass(slots=True)
class _Use:
    """How `forward` takes a list apart.

    `layers` are the submodules that the item at an index is handed to, "" where none is known;
    `lists` the lists of layers that its items are handed to in a loop; `less` whether a loop leaves
    out one of them.
    """

    layers: dict[int, str] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)
    less: bool = False

    @staticmethod
    def of(role: Role) -> _Use | None:
        """How the items of an argument are used, None for what may be a tensor."""
        tree, name = role.forward.tree, role.name
        if tree is None or _is_tensor(tree, name, role.facts.model):
            return None
        use, aliases = _Use(), _aliases(tree, name)
        for node in ast.walk(tree):
            match node:
                case ast.Subscript(value=ast.Name(id=found), slice=index) if found == name:
                    if (place := _place(index)) is not None:
                        names = [ast.unparse(node), aliases.get(ast.unparse(node), "")]
                        use.layers.setdefault(place, _taker(role, names))
                case ast.Call(func=ast.Subscript(value=ast.Attribute() as modules), args=[item]):
                    if _stems(item, name, aliases):
                        use.lists.append(_path(modules))
                case ast.Call(func=ast.Name(id="zip"), args=items):
                    if any(isinstance(item, ast.Name) and item.id == name for item in items):
                        use.lists += [_path(each) for each in items if _is_own(each)]
                case ast.BinOp(left=ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=found)])):
                    use.less |= found == name
        return use if any(use.layers.values()) or use.lists else None

    def count(self, model: nn.Module) -> int:
        """How many items there are, as far as is known."""
        constant = max((place + 1 if place >= 0 else -place for place in self.layers), default=0)
        lists = [len(layers) + self.less for layers in self._lists(model)]
        return max(constant, *lists, 0)

    def shape(self, role: Role, place: int, count: int) -> Shape:
        """The shape of one item, by the layer that takes it."""
        path = self.layers.get(place) or self.layers.get(place - count)
        own = submodule(role.facts.model, path) if path else None
        listed = (each[place] for each in self._lists(role.facts.model) if place < len(each))
        layers = [layer for layer in (own, *listed) if layer is not None]
        known = next(filter(None, (spec_of(Facts(layer)) for layer in layers)), role.main())
        return known.shape if isinstance(known, Normal) else ()

    def _lists(self, model: nn.Module) -> list[nn.ModuleList]:
        found = (submodule(model, path) for path in self.lists)
        return [layers for layers in found if isinstance(layers, nn.ModuleList)]


def _taker(role: Role, names: list[str]) -> str:
    """The submodule that is called first on what has one of these names, "" if none is known."""
    direct = [path for name in names if name for path in role.forward.consumers(name)]
    looped = [path for name in names if name for path in role.forward.looped(name)]
    return next(iter((*direct, *looped)), "")


def _is_own(item: ast.expr) -> bool:
    return isinstance(item, ast.Attribute) and ast.unparse(item).startswith("self.")


def _path(modules: ast.expr) -> str:
    return ast.unparse(modules).removeprefix("self.")


def _place(index: ast.expr) -> int | None:
    match index:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
            return -number
        case _:
            return None


def _aliases(tree: ast.AST, name: str) -> Mapping[str, str]:
    """The variables that hold an item, by how that is written: `{"maps[-1]": "last"}`.

    And those of a loop over the items.
    """
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Name(id=alias)], value=ast.Subscript(value=ast.Name(id=of)) as item
            ) if of == name:
                found.setdefault(ast.unparse(item), alias)
            case ast.For(
                target=ast.Tuple(elts=[_, ast.Name(id=alias)]),
                iter=ast.Call(func=ast.Name(id="enumerate"), args=[ast.Name(id=of)]),
            ) if of == name:
                found.setdefault(name, alias)
    return found


def _stems(item: ast.expr, name: str, aliases: Mapping[str, str]) -> bool:
    """Whether an expression is an item, or a variable that holds one."""
    match item:
        case ast.Subscript(value=ast.Name(id=of)):
            return of == name
        case ast.Name(id=alias):
            return alias in aliases.values()
        case _:
            return False


def _is_tensor(tree: ast.AST, name: str, model: nn.Module) -> bool:
    """Whether something is done with a variable as a whole that is not done with a list."""
    listed: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=ast.Name() as whole, slice=index) if not isinstance(
                index, ast.Tuple
            ):
                listed.add(id(whole))
            case ast.Call(func=ast.Name(id=function), args=items) if function in _OF_LISTS:
                listed.update(id(item) for item in items)
            case ast.For(iter=whole) | ast.comprehension(iter=whole):
                listed.add(id(whole))
            case ast.Assign(targets=[ast.Tuple()], value=ast.Name() as whole):
                listed.add(id(whole))
            case ast.Call(
                func=ast.Attribute(value=ast.Name("self"), attr=method), args=[whole]
            ) if not isinstance(getattr(model, method, None), nn.Module):
                listed.add(id(whole))
    named = (node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
    return any(id(node) not in listed for node in named if isinstance(node.ctx, ast.Load))
