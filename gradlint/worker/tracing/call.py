"""One call of a forward pass, and what can be told of it by looking: name, shape, settings."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

import torch
from torch import nn

from gradlint.protocol.span import Span
from gradlint.worker.running.attempt import tried
from gradlint.worker.tracing.moments import moments

Setting = bool | int | float | str
GradFn = torch.autograd.graph.Node

_CONTAINERS = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


@dataclass(slots=True)
class Call:
    """One recorded call: what ran, where it stands, and the autograd nodes of its outputs.

    `taken` are the tensors among its arguments, in order: the autograd node, the `id` of a leaf, or
    the inputs that a tensor without gradient comes from.
    """

    id: str
    op: str
    path: str
    index: int
    module: nn.Module | None
    span: Span | None
    shape: tuple[int, ...]
    dtype: str
    settings: tuple[tuple[str, Setting], ...] = ()
    exits: list[GradFn] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    taken: list[GradFn | str | int] = field(default_factory=list)
    arguments: tuple[object, ...] = ()
    output: torch.Tensor | None = None


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is one layer of `torch.nn`, not a container and not the user's own."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    forward = getattr(type(module), "forward", None)
    if forward is nn.Module.forward:
        return False  # because it runs by another method of its own
    defined_in = getattr(forward, "__module__", "") or ""
    return defined_in.startswith("torch.nn.modules") and not isinstance(module, _CONTAINERS)


def is_installed(kind: type) -> bool:
    """Whether a class is of an installed package, torch's own layers aside."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None) or ""
    return "site-packages" in file and not kind.__module__.startswith("torch.nn.")


def class_name(module: nn.Module) -> str:
    """The `torch.nn` class that a layer is, or is made from by inheritance."""
    for kind in type(module).__mro__:
        parametrised = kind.__module__.startswith("torch.nn.utils.")
        if kind.__module__.startswith("torch.nn.") and not parametrised:
            return f"torch.nn.{kind.__name__}"
    return f"torch.jit.{type(module).__name__}"


def function_name(func: Callable[..., object]) -> str:
    """What a function of torch is called; an attribute is called by its own name."""
    name = getattr(func, "__name__", type(func).__name__)
    if name in ("__get__", "__set__"):
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    return name.strip("_") or name


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """The sizes of a tensor; the mean, at least 1, for one that differs in a nested tensor."""
    if all(isinstance(size, int) for size in tensor.shape):
        return tuple(tensor.shape)
    known = math.prod(size for size in tensor.shape if isinstance(size, int))
    mean = max(tensor.values().numel() // max(known, 1), 1) if tensor.is_nested else 1
    return tuple(size if isinstance(size, int) else mean for size in tensor.shape)


def dtype_of(tensor: torch.Tensor) -> str:
    """The element type, such as `float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def module_settings(module: nn.Module) -> tuple[tuple[str, Setting], ...]:
    """The plain attributes of a layer, of a list its first value."""
    own = ((name, _first(value)) for name, value in vars(module).items() if name[0] != "_")
    return tuple(
        (name, value) for name, value in own if name != "training" and isinstance(value, Setting)
    )


def call_settings(
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    origin: Callable[[torch.Tensor], Collection[str]],
) -> tuple[tuple[str, Setting], ...]:
    """Plain arguments as they are; of constant tensors their shape, mean and mean square.

    A tensor is constant if no gradient flows to it and no input has a part in it but whole numbers,
    such as positions: `origin` names the others that it comes from. So is a choice by truth values.
    """
    named = [(f"argument{index}", value) for index, value in enumerate(args)]
    named += list(kwargs.items())
    plain = ((name, _first(value)) for name, value in named)
    settings = [(name, value) for name, value in plain if isinstance(value, Setting)]
    for name, value in named:
        if _is_constant(value) and (value.dtype is torch.bool or not origin(value)):
            settings += _statistics(name, value)
    return tuple(settings)


def input_settings(
    tensors: Iterable[torch.Tensor], derived: Callable[[torch.Tensor], bool]
) -> tuple[tuple[str, Setting], ...]:
    """Sizes, mean and mean square of what an input became on its way here without gradient.

    Such as pixels that were divided by 255, or what a frozen network makes of them.
    """
    found = (tensor for tensor in tensors if _is_constant(tensor) and derived(tensor))
    first = next((tensor for tensor in found if tensor.is_floating_point()), None)
    return () if first is None else tuple(_statistics("input", first, sizes="sizes"))


def _is_constant(value: object) -> TypeGuard[torch.Tensor]:
    """Whether the value is a tensor that no gradient flows to, such as a buffer or a mask."""
    return (
        isinstance(value, torch.Tensor)
        and type(value) in (torch.Tensor, nn.Parameter)
        and not value.requires_grad
        and value.layout is torch.strided
        and (value.is_floating_point() or value.dtype is torch.bool)
        and value.numel() > 0
    )


_HIDING = 1e30
"""What stands for infinity in a mean square, because a mask may hold it."""


def _statistics(name: str, tensor: torch.Tensor, sizes: str = "shape") -> list[tuple[str, Setting]]:
    """Sizes and moments of a tensor, [] where it has none or, as within `vmap`, hides them."""
    moments = tried(_moments, tensor).value
    if not isinstance(moments, tuple):
        return []
    mean, square = moments
    return [
        (f"{name}.{sizes}", ",".join(map(str, tensor.shape))),
        (f"{name}.mean", mean),
        (f"{name}.square", square),
    ]


def _moments(tensor: torch.Tensor) -> tuple[float, float] | None:
    """Mean and mean square of what are numbers, infinities cut; None where there are none."""
    with torch._C.DisableTorchFunction(), torch.no_grad():
        found = moments(tensor)
        if not found.largest <= _HIDING:
            known = tensor[~torch.isnan(tensor)].double().clamp(-_HIDING, _HIDING)
            found = moments(known)
            return (found.mean, found.square) if known.numel() else None
        return found.mean, found.square


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple | list) and value else value


def parameter_of(node: GradFn) -> torch.Tensor | None:
    """The leaf tensor behind an AccumulateGrad node, None for every other node."""
    variable = getattr(node, "variable", None)
    return variable if isinstance(variable, torch.Tensor) and not node.next_functions else None
