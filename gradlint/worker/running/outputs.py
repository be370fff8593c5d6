"""Which tensors of a model's output carry a gradient, and one loss over all of them."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping

import torch
from torch.distributions import Distribution, Independent, TransformedDistribution

from gradlint.worker.running.failure import UserError

_PROJECTION_SEED = 20_240_229
_NOT_OUTPUT = frozenset({"past_key_values"})


def tensors_of(output: object) -> tuple[torch.Tensor, ...]:
    """The floating-point and complex tensors in `output` that require a gradient, each once.

    Looks into tuples, lists, mappings (so also into the outputs of Hugging Face models),
    dataclasses, namespaces, packed sequences and distributions, in their own order, and at the
    tensors that any other object has for attributes.
    """
    found = {id(tensor): tensor for tensor in _leaves(output, set()) if tensor.requires_grad}
    return tuple(found.values())


def loss_of(output: object) -> torch.Tensor:
    """A scalar whose gradient reaches everything that the output depends on.

    A loss already in the output is used as it is: a scalar output, the entry `loss` of a mapping
    or dataclass, the sum where the output is nothing but scalars. Otherwise the sum over the
    output's tensors y of <R, y> / sqrt(numel), where R ~ N(0, 1) is drawn from a private generator
    with a constant seed: so the loss does not vanish at y = 0, and neither depends on the global
    random state nor disturbs it.

    Returns:
        A real tensor of shape ().

    Raises:
        UserError: at stage `forward`, where no tensor of the output requires a gradient.
    """
    tensors = tensors_of(output)
    if not tensors:
        raise UserError("forward", ValueError(_without_gradient(output)))
    ready = _ready_loss(output, tensors)
    if ready is not None:
        return ready
    if all(tensor.dim() == 0 and not tensor.is_complex() for tensor in tensors):
        return torch.stack([tensor.float() for tensor in tensors]).sum()
    generator = torch.Generator().manual_seed(_PROJECTION_SEED)
    return torch.stack([_projected(tensor, generator) for tensor in tensors]).sum()


def _without_gradient(output: object) -> str:
    return (
        f"the output ({type(output).__name__}) holds no tensor with a gradient; "
        "is it detached, of integers, or computed under no_grad?"
    )


def _ready_loss(output: object, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
    named = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    candidates = [named, tensors[0] if len(tensors) == 1 else None]
    for value in candidates:
        if isinstance(value, torch.Tensor) and value.requires_grad and value.numel() == 1:
            return value.reshape(()) if not value.is_complex() else None
    return None


def _projected(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    values = tensor.to_dense() if tensor.layout is not torch.strided else tensor
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    projection = torch.randn(tuple(values.shape), generator=generator)
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    total: torch.Tensor = (projection.to(wide) * wide).sum().cpu()
    return total / math.sqrt(max(values.numel(), 1))


def _leaves(value: object, seen: set[int]) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() or value.is_complex():
            yield value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    for part in _parts(value):
        yield from _leaves(part, seen)


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [part for name, part in value.items() if name not in _NOT_OUTPUT]
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, Distribution):
        return _distribution_parts(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return [getattr(value, name, None) for name in names if name not in _NOT_OUTPUT]
    if isinstance(value, types.SimpleNamespace):
        return list(vars(value).values())
    if isinstance(value, (torch.nn.Module, type, types.ModuleType, types.FunctionType)):
        return []
    return [
        part for part in getattr(value, "__dict__", {}).values() if isinstance(part, torch.Tensor)
    ]


def _distribution_parts(value: Distribution) -> list[object]:
    """The parameters a distribution was given; those it derives lazily would count twice."""
    if isinstance(value, (Independent, TransformedDistribution)):
        return [value.base_dist]
    names = sorted(name for name in value.arg_constraints if name in vars(value))
    given = [vars(value)[name] for name in names if name != "probs" or "logits" not in names]
    nested = [part for part in vars(value).values() if isinstance(part, Distribution)]
    return [*given, *nested]
