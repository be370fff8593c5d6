"""Hidden states as a model's own method makes them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import nn

from gradlint.worker.inputs.specs import Constant, Dim, Group, Normal, Spec
from gradlint.worker.running.attempt import tried

_MAKING = re.compile(
    r"(init|get_init|initial|zero|get)_?(the_)?(hidden|states?|hiddens|hidden_state)"
)


def own_states(model: nn.Module) -> Iterator[Spec]:
    """What `init_hidden(batch)` or the like of the model returns, as values over the batch."""
    for name in dir(type(model)):
        method = getattr(model, name, None)
        if _MAKING.fullmatch(name.lower()) and callable(method):
            made = [_made(method, batch) for batch in (2, 3)]
            found = _spec(made[0], made[1])
            if found is not None:
                yield found


def _made(method: Callable[..., object], batch: int) -> object:
    outcome = tried(lambda: inspect.signature(method))
    parameters = cast(inspect.Signature, outcome.value).parameters if outcome.value else {}
    needed = [p for p in parameters.values() if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
    return tried(lambda: method(batch)).value if len(needed) == 1 else tried(method).value


def _spec(two: object, three: object) -> Spec | None:
    """The value that was made for a batch of two and of three; the sizes that differ are it."""
    match two, three:
        case torch.Tensor(), torch.Tensor() if two.dim() == three.dim():
            sizes = zip(two.shape, three.shape, strict=True)
            shape: tuple[Dim, ...] = tuple(a if a == b else "batch" for a, b in sizes)
            return Normal(shape) if two.is_floating_point() else None
        case ((list() | tuple()), (list() | tuple())) if two and len(two) == len(three):
            parts = [_spec(a, b) for a, b in zip(two, three, strict=True)]
            kind = "list" if isinstance(two, list) else "tuple"
            return Group(kind, tuple(p for p in parts if p)) if all(parts) else None
        case None, None:
            return Constant(None)
        case _:
            return None
