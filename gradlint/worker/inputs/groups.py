"""What an error says of lists, mappings and packed sequences: their lengths and their entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import torch

from gradlint.worker.inputs.case import Case, Repair, dims_of, resize
from gradlint.worker.inputs.guesses import Guess, argument_for
from gradlint.worker.inputs.specs import (
    Constant,
    Group,
    Key,
    Normal,
    Packed,
    Shape,
    Spec,
    Whole,
    reshaped,
)


def _keyed(case: Case) -> Iterator[Guess]:
    """A mapping or an object with attributes was expected, or has too few entries."""
    error, text = case.failure.error, case.failure.text
    attribute = re.search(r"object has no attribute '(\w+)'", text)
    key = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    name = attribute[1] if attribute else key
    if not name.isidentifier():
        return
    if attribute and not re.search(r"'(Tensor|Record|dict)'", text):
        return
    kind = "namespace" if attribute else "dict"
    for item in case.blamed():
        entries: dict[Key, Spec] = dict(_entries(item.spec))
        if name not in entries and ((key and entries) or attribute):
            # because what a `batch` is shows in the `edge_index` beside it
            around = (
                replace(case.forward, required=(*map(str, entries), name))
                if entries
                else case.forward
            )
            new = argument_for(case.facts, around, name, len(entries))
            ideas = (idea for idea in (new.spec, *new.others) if idea != Constant(None))
            entries[name] = next(ideas, new.spec)
            if any("nodes" in dims_of(part) for part in entries.values()):
                entries = {key: _of_nodes(part) for key, part in entries.items()}
            yield case.guess.having(item.name, Group(kind, tuple(entries.values()), tuple(entries)))


def _of_nodes(spec: Spec) -> Spec:
    """The features of a graph have a row for each node, and no steps in it."""
    shape = tuple(size for size in getattr(spec, "shape", ()) if size != "time")
    return reshaped(spec, ("nodes", *shape[1:])) if shape[:1] == ("batch",) else spec


def _entries(spec: Spec) -> dict[Key, Spec]:
    if isinstance(spec, Group) and spec.keys:
        return dict(zip(spec.keys, spec.items, strict=True))
    return {}


_OF_TENSORS = re.compile(r"'(?:tuple|list)' object has no attribute '(\w+)'")


def _whole(case: Case) -> Iterator[Guess]:
    """A tensor was expected in place of its parts, with the columns that are read of it."""
    found = _OF_TENSORS.search(case.failure.text)
    if not found or not hasattr(torch.Tensor, found[1]):
        return
    for name in dict.fromkeys(item.within for item in case.guess.arguments if item.within):
        places = map(_COLUMN.fullmatch, case.forward.indices_of(name))
        columns = [int(place[1]) for place in places if place]
        for spec in _tables(max(columns) + 1) if columns else ():
            yield case.guess.joined(name, spec)


def _tables(columns: int) -> tuple[Spec, ...]:
    shape: Shape = ("batch", columns)
    return Whole(shape, _FEW), Normal(shape)


_COLUMN = re.compile(r"\(?:, (\d+)\)?")
_FEW = 16


def _parted(case: Case) -> Iterator[Guess]:
    """What was split has fewer parts than are asked for, because it is not long enough for more."""
    frame = case.failure.user_frame()
    if frame is None or "tuple index out of range" not in case.failure.text:
        return
    for name in re.findall(r"(\w+)\[", frame.text):
        parts = frame.variables.get(name)
        if isinstance(parts, (tuple, list)) and parts and isinstance(parts[0], torch.Tensor):
            for size in dict.fromkeys(parts[0].shape[1:]):
                more = size * (len(parts) + 1) // len(parts)
                yield from resize(case, case.blamed(parts[0]), size, more)


def _longer(case: Case) -> Iterator[Guess]:
    """A list has fewer items than are asked for."""
    if "list index out of range" in case.failure.text:
        for item in case.guess.arguments:
            if isinstance(item.spec, Group) and item.spec.kind == "list" and item.spec.items:
                items = (*item.spec.items, item.spec.items[-1])
                yield case.guess.having(item.name, Group("list", items))


def _packed(case: Case) -> Iterator[Guess]:
    frame = case.failure.user_frame()
    line = frame.text if frame else ""
    if "PackedSequence" in case.failure.text or "pad_packed_sequence" in line:
        for item in case.blamed():
            if isinstance(item.spec, Normal) and len(item.spec.shape) == 3:
                yield case.guess.having(item.name, Packed(("batch", "time", item.spec.shape[-1])))


GROUPS: tuple[Repair, ...] = (_keyed, _whole, _parted, _longer, _packed)
"""The repairs, the most specific first."""
