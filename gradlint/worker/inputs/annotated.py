"""What an argument of `forward` is, as annotations and remarks tell."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator

import torch
from torch import nn

from gradlint.worker.inputs.docstrings import Documented, documented, told
from gradlint.worker.inputs.facts import channels_of
from gradlint.worker.inputs.keys import keys_of
from gradlint.worker.inputs.maps import levels
from gradlint.worker.inputs.naming import by_name, whole_number
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.specs import (
    PACKED,
    SPATIAL,
    Boxes,
    Cells,
    Constant,
    Dim,
    Extents,
    Filled,
    Grid,
    Group,
    Kinds,
    Normal,
    Shape,
    Size,
    Spec,
    Whole,
    reshaped,
)
from gradlint.worker.inputs.vision import is_image
from gradlint.worker.inputs.wiring import features
from gradlint.worker.running.attempt import tried

_JAXTYPING = re.compile(r"^\s*(?:jaxtyping\.)?(\w+)\[[^\"']*[\"']([^\"']*)[\"']\]")
_PREFIX = re.compile(r"\b(torch|typing|t|nn|jaxtyping|collections\.abc)\.")
_OPTIONAL = re.compile(r"(Optional\[|None\s*\|)|.*\|\s*None$|Union\[.*None")
_LITERAL = re.compile(r"Literal\[\s*(?:'([^']*)'|\"([^\"]*)\"|(-?\d+))")


def annotated(role: Role, annotation: str) -> Iterator[Spec]:
    """What an annotation in its source form says, with shapes where it is one of jaxtyping."""
    jaxtyping = _JAXTYPING.match(annotation)
    if jaxtyping and jaxtyping[1] != "Literal":
        yield _jaxtyped(role, jaxtyping[1], jaxtyping[2].split())
        return
    bare = _PREFIX.sub("", annotation).strip()
    inside = _without_none(annotation)
    if literal := _LITERAL.match(bare):
        yield Constant(int(literal[3]) if literal[3] else literal[1] or literal[2])
    if _OPTIONAL.match(bare) and role.index and role.name in role.forward.required:
        yield Constant(None)
    if inside in _SCALARS and not role.forward.choices(role.name):
        yield _SCALARS[inside] if inside != "int" else whole_number(role)
    if "LongTensor" in bare or "IntTensor" in bare:
        ideas = (idea for idea in by_name(role) if isinstance(idea, _WHOLE))
        yield next(ideas, Whole(("batch", "time"), role.facts.tokens() or 2))
    if group := _NESTED.match(inside):
        yield from _grouped(role, group[1].lower(), group[2])
    elif _SETTINGS.match(inside):
        keys = role.forward.keys(role.name) or (role.name,)
        entries = (Role(role.facts, role.forward, key, 0) for key in keys)
        yield Group("dict", tuple(next(by_name(entry)) for entry in entries), keys)
    elif _MAPPING.match(inside):
        yield from _mapped(role, inside)


def _without_none(annotation: str) -> str:
    bare = _PREFIX.sub("", annotation).strip()
    return re.sub(r"^Optional\[(.*)\]$|\s*\|\s*None$", r"\1", bare)


def names_no_entry(role: Role, annotation: str) -> bool:
    """Whether an annotation says that an argument is a mapping, and `forward` reads no entry."""
    bare = _without_none(annotation)
    return _SETTINGS.match(bare) is not None and not role.forward.keys(role.name)


def alternatives(role: Role, annotation: str) -> Iterator[Spec]:
    """The mappings that an annotation allows beside a tensor."""
    bare = _PREFIX.sub("", annotation).strip()
    for member in _members(bare):
        yield from _mapped(role, member)


def _mapped(role: Role, annotation: str) -> Iterator[Spec]:
    """A mapping of tensors by the keys that the model knows."""
    if mapping := _MAPPING.match(annotation):
        for maps in levels(role.facts):
            yield Group("dict", maps, tuple(map(str, range(len(maps)))))
        named = keys_of(role.facts, mapping[1])
        yield Group("dict", (_of_group(role),) * len(named), named)


def _members(annotation: str) -> Iterator[str]:
    """The types in `Union[a, b]` or `a | b`."""
    parsed = tried(lambda: ast.parse(annotation, mode="eval").body).value
    match parsed:
        case ast.Subscript(value=ast.Name("Union"), slice=ast.Tuple(elts=members)):
            yield from map(ast.unparse, members)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from (*_members(ast.unparse(left)), ast.unparse(right))
        case ast.expr():
            yield annotation


_NESTED = re.compile(r"(tuple|list|sequence|iterable)\[(.*)\]$", re.IGNORECASE)
_MAPPING = re.compile(
    r"(?:ordered|default)?dict\[(str|any|hashable|tuple\[str(?:, *str)*\]|union\[str\b.*?\]+),"
    r" *(?:Tensor|Union\[Tensor\b.*\])\]$",
    re.IGNORECASE,
)


_SETTINGS = re.compile(r"(dict|mapping)(\[str, *(Any|object)\])$", re.IGNORECASE)


_WHOLE = (Whole, Kinds, Grid, Cells, Extents)
_SCALARS: dict[str, Spec] = {
    "bool": Constant(False),
    "float": Constant(0.5),
    "str": Constant(""),
    "int": Constant(4),
    "dtype": Constant(torch.float32),
}


def _grouped(role: Role, kind: str, inner: str) -> Iterator[Spec]:
    if kind != "tuple" and re.match(r"(dict|Dict)\[str", inner) and role.lower == "targets":
        found: dict[str, Spec] = {"boxes": Boxes((3, 4)), "labels": Whole((3,), 2, 1)}
        yield Group("list", (Group("dict", tuple(found.values()), tuple(found)),) * 2)
    elif kind != "tuple" and (nested := _NESTED.match(inner)):
        each = next(_grouped(role, nested[1].lower(), nested[2]), None)
        yield from (Group("list", (each, each)),) if each is not None else ()
    elif "Tensor" in inner:
        made, many = "tuple" if kind == "tuple" else "list", kind != "tuple" or "..." in inner
        plain = _of_group(role)
        if kind != "tuple" and is_image(role.lower):
            colours = role.facts.number("in_channels", "in_chans", "channels") or 3
            sides = SPATIAL[role.facts.spatial() - 1]
            plain = Normal((colours, *sides))  # because the list is the batch
        elif many and not role.index:
            yield from (Group(made, maps) for maps in levels(role.facts))
        yield Group(made, (plain,) * (2 if many else inner.count("Tensor")))
    elif inner == "str" and kind != "tuple":
        yield Group("list", tuple(map(Constant, _TEXTS)))
    elif inner == "int" and _INDICES.search(role.lower):
        yield Group("tuple" if kind == "tuple" else "list", tuple(map(Constant, range(2))))
    elif re.fullmatch(r"int(\s*,\s*(int|\.\.\.))*", inner):
        sides = SPATIAL[2] if inner.count("int") == len(SPATIAL[2]) else SPATIAL[1]
        yield Group("tuple", tuple(map(Size, sides)))


_TEXTS = ("0", "1")
_INDICES = re.compile(r"(^|_)(idx|ids?|index|indices|types?|class(es)?|labels?)$")
"""Names of what counts no pixels, where others are those of sides."""


def _of_group(role: Role) -> Spec:
    """One of the tensors in a list or a mapping, by the name of one of them."""
    one = Role(role.facts, role.forward, re.sub(r"_dict$|s$", "", role.name), 0)
    ideas = (*features(one), *by_name(one))
    tensors = (idea for idea in ideas if not isinstance(idea, (Constant, Group)))
    return next(tensors, role.main())


_BATCH = re.compile(r"b|bs|n|batch(_?size)?|bsz|\.\.\.|\*\w+", re.IGNORECASE)
_TIME = re.compile(r"t|s|l|seq(_?len(gth)?)?|time|tokens?|len(gth)?|num_tokens", re.IGNORECASE)
_DURATION = re.compile(rf"{_TIME.pattern}|\w+_len(gth)?", re.IGNORECASE)
_SPACE = {"h": "height", "w": "width", "height": "height", "width": "width", "d": "depth"}


def remarked(role: Role) -> Iterator[Spec]:
    """What the name stands for, of the shape that a remark gives; one that leaves none open."""
    said = role.forward.said_shape(role.name)
    if len(said) > 1:
        yield from _documented(role, Documented(role.name, "", said, False))
    yield from _spelled(role)
    for entry in (*documented(role.forward.remarks), *told(role.forward.remarks)):
        if entry.name == role.name and entry.shape:
            yield from _documented(role, entry)


_COUNTED: frozenset[Dim] = frozenset({"batch", "nodes", "edges", *PACKED})
"""The sizes one of which a tensor has whatever it is of."""

_SPELLED = (Normal, Filled)


def _spelled(role: Role) -> Iterator[Spec]:
    """A shape in letters of more dimensions than the layers tell, as that of complex numbers.

    Or the same as that of another argument.
    """
    usual = next((idea for idea in by_name(role) if isinstance(idea, _SPELLED)), None)
    if usual is None:
        return
    if alike := role.forward.said_alike(role.name):
        for like in _spelled(Role(role.facts, role.forward, alike, 0)):
            yield reshaped(usual, getattr(like, "shape", ()))
    letters = role.forward.spelled_shape(role.name)
    if len(letters) > len(usual.shape):
        features = _features(role, len(letters))
        sizes = (_size_of(role, size, len(letters)) or features for size in letters)
        yield reshaped(usual, tuple(sizes))


_ROWS = 2
"""Dimensions of patches each of which is a row, as wide as the layer says that takes them."""
_TENSORS = (Normal, Whole)
_PLAIN = (*_TENSORS, Constant, Group)


def _documented(role: Role, entry: Documented) -> Iterator[Spec]:
    """The tensor that an entry of the docstring tells of, if each of its sizes is known here."""
    usual = tuple(by_name(role))
    sizes = [_size_of(role, size, len(entry.shape)) for size in entry.shape]
    packed = len(sizes) > _ROWS and getattr(usual[0], "shape", ())[:1] == PACKED
    if packed and sizes[0] in (None, "time"):
        sizes[0] = PACKED[0]  # because patches are counted by many names
    shape: Shape = tuple(size for size in sizes if size is not None)
    if not all(isinstance(idea, _PLAIN) for idea in usual):
        return  # because a mask or the sizes of images hold more than their shape tells
    if len(shape) < len(sizes) or _COUNTED.isdisjoint(shape):
        return
    if re.match("Long|Int", entry.kind):
        high = next((idea.high for idea in usual if isinstance(idea, Whole)), 2)
        yield Whole(shape, high)
    elif not entry.kind:
        yield from (reshaped(idea, shape) for idea in usual[:1] if isinstance(idea, _TENSORS))
    elif entry.kind != "BoolTensor":
        yield Normal(shape)


def _size_of(role: Role, size: str, rank: int) -> Dim | None:
    """One of `rank` sizes that are told: a number, a usual name, an attribute, or their product.

    What is a step longer, as `sequence_length + 1` says, counts as it is where that is not known.
    """
    further = re.search(r"_?([+-])_?(\d+)$", size)
    size = size[: further.start()] if further else size
    if size.isdigit():
        return int(size)
    if "*" in size.strip("*"):
        factors = [_size_of(role, factor.strip("_"), rank) for factor in size.split("*")]
        known = [factor for factor in factors if isinstance(factor, int)]
        return math.prod(known) if len(known) == len(factors) else None
    if counted := re.fullmatch(r"(?:num|n)_(nodes|edges)", size):
        return counted[1]
    if _BATCH.fullmatch(size):
        return "batch"
    if size.lower() in _SPACE and (len(size) > 1 or rank > 3):  # because D is a dimension, too
        return _SPACE[size.lower()]
    number = role.facts.number(size.removeprefix("self."))
    if number and further:
        return max(number + int(further[1] + further[2]), 1)
    return number or ("time" if _DURATION.fullmatch(size) else None)


def _jaxtyped(role: Role, kind: str, tokens: list[str]) -> Spec:
    shape = _jaxtyped_shape(role, tokens)
    if kind.lower().startswith(("int", "long", "uint")):
        return Whole(shape, role.facts.tokens() or 2)
    if kind == "Bool":
        return Filled(shape, 1.0)
    return Normal(shape, "complex64" if kind.lower().startswith("complex") else "float32")


def _jaxtyped_shape(role: Role, tokens: list[str]) -> Shape:
    shape: list[Dim] = []
    for token in tokens:
        name = token.lstrip("#?_").split("=")[-1]
        space = _SPACE.get(name.lower(), "") if len(tokens) > 3 else ""
        if name.isdigit():
            shape.append(int(name))
        elif _BATCH.fullmatch(name or "...") and "batch" not in shape:
            shape.append("batch")
        elif _TIME.fullmatch(name) and "time" not in shape:
            shape.append("time")
        else:
            shape.append(space or _features(role, len(tokens)))
    return tuple(shape)


def _features(role: Role, rank: int) -> int:
    layer = role.facts.first(nn.Conv2d, nn.Conv1d, nn.Conv3d) if rank > 3 else None
    if layer is not None:
        return channels_of(layer)
    main = role.main()
    sizes = [dim for dim in main.shape if isinstance(dim, int)] if isinstance(main, Normal) else []
    return sizes[0] if sizes else 16
