"""Seeded runs: a fresh model, fresh inputs, one recorded forward pass, gradients on demand."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.outputs import loss_of, tensors_of
from gradlint.worker.tracing.call import tensors_in
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.recording import Forward
from gradlint.worker.tracing.stops import as_remedied
from gradlint.worker.tracing.trace import Intervention, Observer, Recorder


class Built(Protocol):
    """What a seeded run needs of a model: how to make it and how to draw its inputs."""

    def make(self) -> nn.Module:
        """A fresh model in training mode, initialised from torch's current random state."""

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """Fresh positional and keyword arguments of `forward`, from the current random state."""


Preparation = Callable[[nn.Module], Mapping[str, Intervention]]

_SIGN_STEP = 1e-2  # the size of Adam's first step at a learning rate of 1e-2


def seed_everything(seed: int) -> None:
    """Seed torch, `random` and, where the user's code imported it, numpy."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


def forward(
    built: Built,
    seed: int,
    *,
    source: Source | None = None,
    prepare: Preparation | None = None,
    keep: Iterable[str] = (),
    observe: Observer | None = None,
) -> Forward:
    """Build a model from `seed`, let `prepare` change it, and record one forward pass.

    Raises:
        UserError: the constructor or `forward` raised.
    """
    seed_everything(seed)
    model = built.make()
    interventions = prepare(model) if prepare else {}
    seed_everything(seed + 1)
    return run(built, model, source=source, interventions=interventions, keep=keep, observe=observe)


def run(
    built: Built,
    model: nn.Module,
    *,
    source: Source | None = None,
    interventions: Mapping[str, Intervention] | None = None,
    keep: Iterable[str] = (),
    observe: Observer | None = None,
) -> Forward:
    """Record one forward pass of a live model on inputs drawn from the current random state.

    Raises:
        UserError: drawing inputs or `forward` raised, or no output depends on a parameter.
    """
    args, kwargs = _inputs(built)
    recorder = Recorder(model, source, interventions, keep, observe)
    named = {f"input {i}": tensor for i, tensor in enumerate(tensors_in([*args, *kwargs.values()]))}
    recorder.feed(named)
    try:
        with on_cpu(), as_remedied(model), recorder.recording():
            output = model(*args, **kwargs)
    except Exception as error:  # because it is the user's code that raises here
        raise UserError("forward", error) from error
    outputs = tuple(tensor for tensor in tensors_of(output) if tensor.requires_grad)
    if not outputs:
        nothing = "forward returns None" if output is None else ""
        reason = nothing or "no output of forward depends on a parameter"
        raise UserError("backward", RuntimeError(reason))
    return Forward(model, recorder, named, outputs, loss_of(output))


def _inputs(built: Built) -> tuple[tuple[object, ...], dict[str, object]]:
    try:
        return built.inputs()
    except Exception as error:  # because the inputs may be the user's expressions
        raise UserError("inputs", error) from error


@dataclass(slots=True)
class Gradients:
    """Norms that one backward pass left behind; tensors are not kept.

    `at` holds the L2 norm of the gradient at a call's output, `root` that at the model's outputs
    or, where these are numbers such as a loss, at what they are reduced from, `parameters` the
    root mean square of each parameter's gradient. A norm that overflowed is infinite.
    """

    root: float
    at: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)

    def decades(self, node: str) -> float:
        """log10 of the norm at `node` over the norm at the root; -inf where nothing arrives."""
        norm = self.at.get(node, 0.0)
        if not math.isfinite(norm) or not math.isfinite(self.root):
            return math.inf
        return math.log10(norm / self.root) if norm > 0 and self.root > 0 else -math.inf


def gradients(forward: Forward, nodes: Iterable[str]) -> Gradients:
    """Differentiate the loss once and take the norms at `nodes`.

    Raises:
        UserError: backward raised.
    """
    squares: dict[str, float] = {}
    roots: list[float] = []
    reduced = any(tensor.numel() == 1 for tensor in forward.outputs)
    heads = forward.heads(forward.edges()) if reduced else ()
    whole = () if reduced else forward.outputs
    handles = [tensor.register_hook(_adder(roots)) for tensor in whole]
    for node in dict.fromkeys((*nodes, *heads)):
        call = forward.calls.get(node)
        exits = [e for e in call.exits if forward.recorder.owner.get(e) == node] if call else []
        handles += [exit_.register_prehook(_summer(squares, node)) for exit_ in exits]
    forward.model.zero_grad(set_to_none=True)
    try:
        forward.loss.backward()
    except Exception as error:  # because custom backward passes are the user's code
        raise UserError("backward", error) from error
    finally:
        for handle in handles:
            handle.remove()
    return Gradients(
        root=_root(sum(roots) + sum(squares.get(node, 0.0) for node in heads)),
        at={node: _root(square) for node, square in squares.items()},
        parameters={
            name: rms(parameter.grad)
            for name, parameter in forward.model.named_parameters()
            if parameter.grad is not None
        },
    )


def _adder(squares: list[float]) -> Callable[[torch.Tensor], None]:
    def hook(gradient: torch.Tensor) -> None:
        squares.append(_square(gradient))

    return hook


def _summer(
    squares: dict[str, float], node: str
) -> Callable[[tuple[torch.Tensor | None, ...]], None]:
    def hook(gradients: tuple[torch.Tensor | None, ...]) -> None:
        new = sum(_square(gradient) for gradient in gradients if gradient is not None)
        squares[node] = squares.get(node, 0.0) + new

    return hook


def _square(gradient: torch.Tensor) -> float:
    """The sum of squares, in double precision because single precision underflows below 1e-19."""
    if gradient.is_sparse:
        gradient = gradient.coalesce()
    if gradient.is_sparse or gradient.is_nested:
        gradient = gradient.values()
    norm = torch.linalg.vector_norm(gradient.detach(), dtype=_wide(gradient))
    return float(norm) ** 2


def _wide(gradient: torch.Tensor) -> torch.dtype:
    return torch.complex128 if gradient.is_complex() else torch.float64


def _root(square: float) -> float:
    return math.sqrt(square) if math.isfinite(square) else math.inf


def rms(tensor: torch.Tensor) -> float:
    """The root mean square of the elements; infinite where their squares overflow."""
    return _root(_square(tensor) / max(tensor.numel(), 1))


def sign_step(model: nn.Module) -> None:
    """Move every parameter against the sign of its gradient, as Adam's first step does.

    Zero-initialised layers let no gradient through until they have moved; a step by the sign moves
    them far enough to see what they then let through, whatever the size of their own gradient.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None and not parameter.grad.is_sparse:
                parameter.sub_(_SIGN_STEP * parameter.grad.sgn())
