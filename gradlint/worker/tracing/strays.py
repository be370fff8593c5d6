"""Trainable tensors that a model holds where `parameters()` does not look for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from gradlint.protocol.nodes import Stray
from gradlint.protocol.span import Span
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import parameter_of, shape_of
from gradlint.worker.tracing.construction import Construction
from gradlint.worker.tracing.mentions import Mentions

_REGISTERED = frozenset({"_parameters", "_buffers", "_modules"})
_NEST = 3


@dataclass(frozen=True, slots=True)
class Found:
    """A tensor found in an attribute of `owner`, and the module in a container that it is of."""

    id: str
    part: str
    held: str
    tensor: torch.Tensor
    owner: nn.Module
    module: nn.Module | None


def strays(model: nn.Module) -> tuple[Found, ...]:
    """What is to be found after the model was built; its forward pass may add to attributes.

    A module that hangs on an attribute unregistered, or alone in a container, was put there to hide
    it, as a frozen teacher is; such are left out.
    """
    known = {id(module) for module in model.modules()} | {id(p) for p in model.parameters()}
    found: dict[int, Found] = {}
    for path, owner in model.named_modules():
        for name, value in vars(owner).items():
            if name in _REGISTERED or isinstance(value, nn.Module):
                continue
            part = f"{path}.{name}" if path else name
            for item in _within(value, part, part, owner):
                if id(item.tensor) not in known and id(item.module) not in known:
                    found.setdefault(id(item.tensor), item)
    return tuple(found.values())


def _within(
    value: object, way: str, part: str, owner: nn.Module, held: str = "tensor", depth: int = _NEST
) -> Iterator[Found]:
    if isinstance(value, torch.Tensor):
        yield from (Found(way, part, held, leaf, owner, None) for leaf in _leaves(value))
    elif isinstance(value, nn.Module):
        for name, parameter in value.named_parameters():
            yield Found(f"{way}.{name}", part, held, parameter, owner, value)
    elif depth and isinstance(value, list | tuple | set | dict):
        kind = type(value).__name__ if held == "tensor" else held
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        if len(items) > 1 or not isinstance(items[0][1] if items else None, nn.Module):
            for key, item in items:
                yield from _within(item, f"{way}[{key!r}]", part, owner, kind, depth - 1)


def _leaves(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The trainable leaves that a tensor is, or was computed from while the model was built."""
    if tensor.is_leaf:
        if tensor.requires_grad:
            yield tensor
        return
    pending, seen = [tensor.grad_fn], set[object]()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = parameter_of(node)
        if leaf is not None:
            yield leaf
        pending.extend(ahead for ahead, _ in node.next_functions)


def stray_nodes(
    found: tuple[Found, ...], construction: Construction, mentions: Mentions
) -> tuple[Stray, ...]:
    """The strays as nodes of a layer graph."""
    return tuple(
        Stray(
            id=item.id,
            part=item.part,
            held=item.held,
            shape=shape_of(item.tensor),
            dtype=str(item.tensor.dtype).removeprefix("torch."),
            requires_grad=item.tensor.requires_grad,
            named_outside=mentions.named_outside(item.owner, item.part.rpartition(".")[2]),
            span=_line(item, construction),
        )
        for item in found
    )


def _line(item: Found, construction: Construction) -> Span | None:
    if item.module is not None:
        return construction.line_of(item.module)
    filled = construction.initialisation_of(item.tensor)
    return filled.span if filled else None


def register(model: nn.Module, part: str) -> None:
    """Register the modules and parameters that the attribute `part` hides, on the model itself.

    Raises:
        UnmeasurableError: it is a plain tensor in a container, which is no parameter yet.
    """
    for index, item in enumerate(found for found in strays(model) if found.part == part):
        name = f"_gradlint_registered_{index}"
        if item.module is not None:
            model.add_module(name, item.module)
        elif isinstance(item.tensor, nn.Parameter):
            model.register_parameter(name, item.tensor)
        elif item.id == part:
            attribute = part.rpartition(".")[2]
            delattr(item.owner, attribute)
            setattr(item.owner, attribute, nn.Parameter(item.tensor.detach()))
        else:
            raise UnmeasurableError(f"{item.id} would have to become a parameter first")
