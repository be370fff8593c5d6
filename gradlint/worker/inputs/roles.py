"""What an argument of `forward` may be, by its annotation, its use and its name."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradlint.worker.inputs.annotated import alternatives, annotated, names_no_entry, remarked
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.maps import feature_maps
from gradlint.worker.inputs.naming import HIDDEN, by_name, hidden
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.specs import (
    SPATIAL,
    Constant,
    Function,
    Group,
    Normal,
    Spec,
    Whole,
)
from gradlint.worker.inputs.wiring import features, graph, is_graph, is_wiring

_TENSOR = re.compile(r"(typing\.)?(Union\[)?(torch\.)?Tensor\b")
"""An annotation that allows a tensor, be it beside something else."""

_ONLY_TENSOR = re.compile(r"(torch\.)?(\w*Tensor)")


def ideas_for(facts: Facts, forward: Forward, name: str, index: int) -> tuple[Spec, ...]:
    """What an argument may be, the likeliest first; at least one idea."""
    ideas = tuple(dict.fromkeys(_ideas(Role(facts, forward, name, index))))
    if name in forward.required and _ONLY_TENSOR.fullmatch(forward.annotations.get(name, "")):
        tensors = tuple(idea for idea in ideas if idea != Constant(None))
        return (*tensors, Constant(None)) if tensors else ideas
    return ideas


def _ideas(role: Role) -> Iterator[Spec]:
    told = tuple(annotated(role, role.forward.annotations.get(role.name, "")))
    if any(isinstance(idea, Group) for idea in told):
        yield from told
        if not names_no_entry(role, role.forward.annotations.get(role.name, "")):
            return  # because a tensor in place of a list has the list's length for its batch
    yield from remarked(role)
    yield from told
    if role.forward.calls(role.name):
        yield Function()
    keys = role.forward.keys(role.name)
    if keys and _TENSOR.match(role.forward.annotations.get(role.name, "")):
        yield next(by_name(role))
    if keys:
        yield Group("dict", tuple(_part(role, key, i) for i, key in enumerate(keys)), keys)
    yield from (Constant(choice) for choice in role.forward.choices(role.name))
    yield from features(role)
    yield from _rows(role)
    yield from feature_maps(role)
    yield from _told_apart(role)
    inward = role.inward()
    parts = () if is_wiring(role.lower) else inward.forward.unpacked(inward.name)
    if any(is_wiring(part.lower()) for part in parts):
        yield graph(inward, parts)
    if parts:
        if HIDDEN.fullmatch(role.lower):
            yield from (idea for idea in hidden(role) if isinstance(idea, Group))
        yield Group("tuple", tuple(_part(inward, part, i) for i, part in enumerate(parts)))
    yield from by_name(role)
    yield from alternatives(role, role.forward.annotations.get(role.name, ""))


_IMAGE_RANK, _VOLUME_RANK = 4, 5


def _told_apart(role: Role) -> Iterator[Spec]:
    """Images and volumes with their features last, where `forward` tells these two apart.

    Because what the first layer takes may have neither form: it is a row of what was merged.
    """
    main, both = role.main(), role.forward.ranks(role.name) == (_VOLUME_RANK, _IMAGE_RANK)
    if both and isinstance(main, Normal) and len(main.shape) < _IMAGE_RANK:
        for sides in (SPATIAL[role.facts.spatial() - 1], SPATIAL[1], SPATIAL[2]):
            yield Normal(("batch", *sides, main.shape[-1]))


def _rows(role: Role) -> Iterator[Spec]:
    """The numbers of rows of a tensor that the model holds, where an argument picks them."""
    for path in role.forward.indexed_by(role.name):
        held: object = role.facts.model
        for name in path.split(".")[1:]:
            held = getattr(held, name, None)
        picks = path.startswith("self.") and "mask" not in role.lower and not is_graph(role)
        if picks and isinstance(held, torch.Tensor) and held.dim():
            yield Whole(("batch",), held.shape[0])


def _part(role: Role, name: str, index: int) -> Spec:
    """One entry of a batch or of a tuple, by its own name."""
    return next(by_name(Role(role.facts, role.forward, name, index)))
