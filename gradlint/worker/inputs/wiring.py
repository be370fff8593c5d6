"""What the arguments of a graph network are: edges, what lies on them, and features of nodes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import cast

from torch import nn

from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.specs import Filled, Group, Normal, Ring, Sets, Spec, Whole
from gradlint.worker.running.attempt import tried

_EDGES = re.compile(r"\w*edge_index\w*|edges|edge_list")
_ADJACENCY = re.compile(r"adj\w*|a_hat|laplacian|graph|support|connectivity\w*")
_NODES = re.compile(
    r"x(_(?!mask|ptr|batch|len)\w+|\d+)?|features?|nodes?|node_(?!types?|ids?)\w+|feat|h|inputs?"
)
_ENDS = re.compile(r"i|j|row|col|idx_\w+")
"""Arguments that hold one end of each edge, where another holds what lies on the edges."""
_CLOUD = frozenset({"z", "batch"})
"""Arguments beside the places of the atoms of molecules or of the points of clouds."""


def is_wiring(name: str) -> bool:
    """Whether an argument holds the edges of a graph or its adjacency matrix."""
    return bool(_EDGES.fullmatch(name) or _ADJACENCY.fullmatch(name))


def is_graph(role: Role) -> bool:
    """Whether `forward` takes a graph: its edges, or their ends, or the graph of each node."""
    names = [name.lower() for name in role.forward.required]
    ends = any(map(_ENDS.fullmatch, names)) and any("edge" in name for name in names)
    return (
        ends
        or any(map(is_wiring, names))
        or {"x", "batch"} <= set(names)
        or _sorts(role.forward)
        or any(_is_end(role.forward, name) for name in role.forward.required)
    )


def _sorts(forward: Forward) -> bool:
    """Whether `forward` adds up sets, told by the set of each row or by where each set begins."""
    return {"index", "ptr"} <= {*forward.required, *forward.optional}


def grouping(forward: Forward) -> tuple[str, ...]:
    """The optional argument that says to which set each row belongs.

    It is given, because all rows are one set without it, and one set has no statistics.
    """
    return ("index",) if _sorts(forward) and "index" in forward.optional else ()


def _ends_of_edges(forward: Forward) -> set[str]:
    """How `forward` writes the nodes at which its edges begin and end."""
    wires = [name for name in forward.required if _EDGES.fullmatch(name.lower())]
    parts = {part for name in wires for part in forward.unpacked(name)}
    return parts | {f"{name}[{end}]" for name in wires for end in (0, 1)}


def _is_end(forward: Forward, name: str) -> bool:
    """Whether an argument that is called like one end of each edge picks the rows of another."""
    return bool(_ENDS.fullmatch(name.lower())) and bool(forward.indexed_by(name))


def features(role: Role) -> Iterator[Spec]:
    """The features of the nodes, perhaps of several layers, where an argument should hold them."""
    yield from _in_words(role)
    named = any(pattern.fullmatch(role.lower) for pattern, _ in WIRING)
    first = (not role.index and not named) or _NODES.fullmatch(role.lower)
    passed = _passed(role.facts.model)
    picked = not _ends_of_edges(role.forward).isdisjoint(role.forward.indices_of(role.name))
    picked = picked or passed.get(role.name) == "nodes"
    single = bool(role.index and _SINGLE.search(role.lower))
    if is_graph(role) and (first or picked) and not is_wiring(role.lower):
        yield from _at_nodes(role, single)
    elif is_graph(role) and passed.get(role.name) == "edges" and not named:
        masks = (Filled(("edges", 1), 1.0, "float32"),) if "mask" in role.lower else ()
        yield from (*masks, *(Normal(("edges", *last)) for last in ((_width(role),), (1,), ())))
    elif any(_is_end(role.forward, name) for name in role.forward.required):
        yield from () if named else (Normal((at, _width(role))) for at in ("nodes", "edges"))


def _passed(model: nn.Module) -> dict[str, str]:
    """On what the arguments of the messages lie that a layer passes along edges.

    As frameworks for graphs call them, `x_i` and `x_j` are what the ends of an edge have of `x`.
    """
    message = getattr(model, "message", None) if hasattr(model, "propagate") else None
    signature = tried(lambda: inspect.signature(cast(Callable[..., object], message))).value
    names = list(signature.parameters) if isinstance(signature, inspect.Signature) else []
    ends = {name[:-2]: "nodes" for name in names if name.endswith(("_i", "_j"))}
    return dict.fromkeys(names, "edges") | ends


def _at_nodes(role: Role, single: bool) -> Iterator[Spec]:
    """What each node has: kinds that are looked up, a `single` number, or features."""
    main = role.main()
    if isinstance(main, Whole):
        columns = any("," in index for index in role.forward.indices_of(role.name))
        yield Whole(("nodes", "features") if columns else ("nodes",), main.high)
    if single:
        yield Normal(("nodes",))
    yield Normal(("nodes", _width(role)))
    yield Normal(("nodes", "time", _width(role)))
    yield Normal(("nodes",))


_BETWEEN = re.compile(r"\bedges|between (\w+ )?(nodes|atoms)|distances")
_AT = re.compile(r"\b(nodes|atoms|atomic)\b")
_KINDS = re.compile(r"\batomic numbers\b")
_SINGLE = re.compile(r"(time(stamp)?|weight|score|deg(ree)?|norm)s?$")
"""How arguments are called of which each node has one."""
_NUMBERS = re.compile(r"(distances|lengths|weights)\b")
_SPACE = re.compile(r"unit vectors?|directions?|positions|coordinates")
_AXES = 3
_ELEMENTS = 95


def _in_words(role: Role) -> Iterator[Spec]:
    """What the docstring says lies on the nodes or on the edges: numbers, vectors or features."""
    named = any(pattern.fullmatch(role.lower) for pattern, _ in WIRING)
    pattern = rf"^([ \t]*){role.name}\b[^:\n]*:(.*(?:\n\1[ \t]+.+)*)"
    entry = re.search(pattern, role.forward.remarks, re.MULTILINE)
    text = entry[2] if entry and not named else ""
    place = next((name for name, at in _PLACES if at.search(text)), "")
    if not place or re.search("ind(ex|ices)", text):
        return
    if _KINDS.search(text):
        yield Whole((place,), role.facts.tokens() or _ELEMENTS)
    elif _NUMBERS.search(text):
        yield Normal((place,))
    elif _SPACE.search(text):
        yield Normal((place, _AXES))
    elif "vector features" in text:
        yield Normal((place, _AXES, _width(role)))
    elif re.search("features|energies", text):
        yield Normal((place, _width(role)))


_PLACES = (("edges", _BETWEEN), ("nodes", _AT))


def graph(role: Role, parts: tuple[str, ...]) -> Group:
    """An argument that is unpacked into these parts, some of them edges, others on the nodes."""
    return Group("tuple", tuple(_of_graph(role, part.lower()) for part in parts))


def _of_graph(role: Role, name: str) -> Spec:
    kinds = (kind for pattern, kind in WIRING if pattern.fullmatch(name))
    known = (spec for kind in kinds for spec in kind(role))
    return next(known, Normal(("nodes", _width(role))))


def _width(role: Role) -> int:
    """How many features each node has."""
    sizes = (dim for dim in getattr(role.main(), "shape", ()) if isinstance(dim, int))
    return next(sizes, 16)


def _adjacency(role: Role) -> Iterator[Spec]:
    yield Ring(("nodes", "nodes"))
    yield Ring(("batch", "time", "time"))


def _edges(role: Role) -> Iterator[Spec]:
    yield Whole((2, "edges"), "nodes")


def _edge_values(role: Role) -> Iterator[Spec]:
    known = role.facts.number("edge_dim", "edge_attr_dim", "num_edge_features", "edge_in_channels")
    one, many = Normal(("edges",)), Normal(("edges", known or _width(role)))
    yield from (many, one) if known or re.search("attr|emb|feat", role.lower) else (one, many)


def _ends(role: Role) -> Iterator[Spec]:
    if is_graph(role):
        yield Whole(("edges",), "nodes")


def _node_kinds(role: Role) -> Iterator[Spec]:
    kinds = role.facts.number("num_node_types", "num_types")
    if kinds or is_graph(role):
        yield Whole(("nodes" if is_graph(role) else "batch",), kinds or 2)


def _edge_kinds(role: Role) -> Iterator[Spec]:
    kinds = role.facts.number("num_relations", "num_edge_types", "num_rels") or 2
    yield Whole(("edges" if is_graph(role) else "batch",), kinds)


def _positions(role: Role) -> Iterator[Spec]:
    names = (*role.forward.required, *role.forward.optional)
    if role.index and (is_graph(role) or _CLOUD & set(names)):
        yield Normal(("nodes", 3))


def _membership(role: Role) -> Iterator[Spec]:
    if is_graph(role):
        yield Sets(("nodes",))


def _set_of_each(role: Role) -> Iterator[Spec]:
    if _sorts(role.forward):
        yield Sets(("nodes",))


WIRING: tuple[tuple[re.Pattern[str], Callable[[Role], Iterator[Spec]]], ...] = (
    (_EDGES, _edges),
    (re.compile(r"edge_types?|rel(ation)?_types?"), _edge_kinds),
    (re.compile(r"node_types?|type_vec(tor)?"), _node_kinds),
    (_ENDS, _ends),
    (re.compile(r"edge_(?!index|types?)\w+"), _edge_values),
    (re.compile(r"pos(itions?)?|coords?|coordinates"), _positions),
    (re.compile(r"batch(_index|_idx)?"), _membership),
    (re.compile(r"index"), _set_of_each),
    (_ADJACENCY, _adjacency),
)
"""The names of such arguments and what they may be."""
