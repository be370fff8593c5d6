"""A finished forward pass: its calls, and what flows from which of them into which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from gradlint.protocol.span import Span
from gradlint.worker.running.attempt import tried
from gradlint.worker.tracing.call import Call, GradFn, parameter_of
from gradlint.worker.tracing.trace import Recorder

LOSS = "loss()"
OVERWRITTEN = "modified by an inplace operation"
"""What torch says where a tensor that a gradient needs was written to after it was saved."""


@dataclass(slots=True)
class Forward:
    """A finished forward pass: the model, its recorded calls, its output tensors and the loss."""

    model: nn.Module
    recorder: Recorder
    inputs: dict[str, torch.Tensor]
    outputs: tuple[torch.Tensor, ...]
    loss: torch.Tensor

    @property
    def calls(self) -> dict[str, Call]:
        """The recorded calls by node id, in the order in which they ran."""
        return self.recorder.calls

    def edges(self) -> Iterator[tuple[str, str]]:
        """Pairs (source, target) of node ids: what flows into each call and into the loss."""
        seen: dict[tuple[str, str], None] = {}
        names = {id(p): name for name, p in self.model.named_parameters(remove_duplicate=True)}
        for node, target in self.recorder.owner.items():
            for ahead, _ in node.next_functions:
                source = self._source(ahead, names)
                if source is not None and source != target:
                    seen[source, target] = None
        for call in self.calls.values():
            for source in sorted(call.sources):
                seen[source, call.id] = None
        for source in self._sources_of_loss(names):
            seen[source, LOSS] = None
        yield from self._in_order(seen, names)

    def heads(self, edges: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """The calls of the outputs; where one is a number, those that such are reduced from.

        `edges` are those of this pass.

        A mean over n elements takes 1 / sqrt(n) of the gradient's norm, as every loss in use does;
        that says nothing about the layers below. Then a call that another head depends on is none.
        """
        producers = _producers(edges)
        outputs = [id for id in producers.get(LOSS, ()) if id in self.calls]
        if not any(_is_number(self.calls[id].shape) for id in outputs):
            return tuple(outputs)
        pending, found = list(outputs), dict[str, None]()
        seen = set(pending)
        while pending:
            id = pending.pop()
            if not _is_number(self.calls[id].shape):
                found[id] = None
                continue
            before = [each for each in producers.get(id, ()) if each in self.calls]
            pending += [each for each in before if each not in seen]
            seen.update(before)
        below = _leading_to(found, producers)
        return tuple(id for id in found if id not in below) or tuple(outputs)

    def overwritten(self) -> Span | None:
        """Where the call stands that saved a tensor for its gradient which was written to since."""
        owned = self.recorder.owner.items()
        return next((self.calls[id].span for node, id in owned if _is_overwritten(node)), None)

    def _in_order(
        self, edges: Iterable[tuple[str, str]], names: Mapping[int, str]
    ) -> list[tuple[str, str]]:
        """Edges into a node in the order of the call's arguments, those not among them last."""
        places: dict[tuple[str, str], int] = {}
        for call in self.calls.values():
            for place, key in enumerate(call.taken):
                known = self._came_from(key, call.id, names)
                if known is not None:
                    places.setdefault((known, call.id), place)
        last = len(places)
        return sorted(edges, key=lambda edge: places.get(edge, last))

    def _came_from(self, key: GradFn | str | int, id: str, names: Mapping[int, str]) -> str | None:
        """The node that a tensor came from which the call `id` took.

        What the call wrote in place is its own by now, and came from what was there before: the
        first that leads into it.
        """
        if isinstance(key, str):
            return key
        if isinstance(key, int):
            return names.get(key)
        before: GradFn | None = key
        while before is not None and self.recorder.owner.get(before) == id:
            before = next((ahead for ahead, _ in before.next_functions), None)
        return self._source(before, names)

    def _sources_of_loss(self, names: Mapping[int, str]) -> Iterator[str]:
        pending, seen = [self.loss.grad_fn], set()
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            source = self._source(node, names)
            if source is None:
                pending.extend(ahead for ahead, _ in node.next_functions)
            else:
                yield source

    def _source(self, node: GradFn | None, names: Mapping[int, str]) -> str | None:
        if node is None:
            return None
        variable = parameter_of(node)
        return names.get(id(variable)) if variable is not None else self.recorder.owner.get(node)


def _is_overwritten(node: GradFn) -> bool:
    """Whether a tensor that the gradient at `node` needs was written to since it was saved."""
    for name in (name for name in dir(node) if name.startswith("_saved_")):
        error = tried(getattr, node, name).error  # because torch says so when it is asked for it
        if error is not None and OVERWRITTEN in str(error):
            return True
    return False


def _is_number(shape: tuple[int, ...]) -> bool:
    return shape in ((), (1,))


def reaching(edges: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The nodes from which a path leads to the loss, itself included."""
    return frozenset({LOSS, *_leading_to([LOSS], _producers(edges))})


def _producers(edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """What flows into each node, directly."""
    found: dict[str, list[str]] = {}
    for source, target in edges:
        found.setdefault(target, []).append(source)
    return found


def _leading_to(ids: Iterable[str], producers: Mapping[str, list[str]]) -> set[str]:
    """All nodes that any of `ids` depends on."""
    pending = [source for id in ids for source in producers.get(id, ())]
    found = set(pending)
    while pending:
        new = [source for source in producers.get(pending.pop(), ()) if source not in found]
        found.update(new)
        pending += new
    return found
