"""The loss that a user's loop computes, on targets of the right kind drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from gradlint.protocol.training import Objective, loss_function
from gradlint.worker.running.failure import UnmeasurableError

LEFT_OUT = "_gradlint_left_out"
"""The attribute under which a model carries the operations that a remedy leaves out of the loop."""
REPLACED = "_gradlint_loss"
"""The attribute under which a model carries the loss that a remedy trains it with instead."""
SCALE = "_gradlint_scale"
"""The attribute under which a model carries the factor that a remedy multiplies its loss by."""

Value = Callable[[torch.Tensor], torch.Tensor]


def fed_by(model: nn.Module, objective: Objective, output: torch.Tensor) -> torch.Tensor:
    """What the loss is given: the output after the operations that the loop applies to it.

    Raises:
        UnmeasurableError: an operation is unknown.
    """
    left_out = list(getattr(model, LEFT_OUT, ()))
    for name in objective.applied:
        if name in left_out:
            left_out.remove(name)
            continue
        if name not in _OPERATIONS:
            raise UnmeasurableError(f"what {name} does before the loss is not known")
        output = _OPERATIONS[name](output)
    return output


def value_of(model: nn.Module, objective: Objective, output: torch.Tensor) -> torch.Tensor:
    """The loss of an output, against targets drawn from torch's current random state.

    Classes are drawn evenly, probabilities as 0 or 1, numbers from N(0, 1).

    Raises:
        UnmeasurableError: the loss is unknown, or cannot be computed from such an output.
    """
    loss = loss_on_random_targets(str(getattr(model, REPLACED, objective.loss)))
    if loss is None:
        raise UnmeasurableError(f"what {objective.loss} computes is not known")
    fed = fed_by(model, objective, output)
    try:
        return loss(fed)
    except (RuntimeError, ValueError, IndexError) as error:
        raise UnmeasurableError(f"{objective.loss} cannot be computed: {error}") from error


def loss_on_random_targets(name: str) -> Value | None:
    """The loss class or function `name` as a function of what it is fed, None if unknown."""
    return _LOSSES.get(loss_function(name))


def _class_axis(output: torch.Tensor) -> int:
    return 1 if output.ndim >= 4 else output.ndim - 1


def by_class(output: torch.Tensor) -> torch.Tensor:
    """Logits (N, C) from (N, C), (N, T, C) or the images (N, C, H, W)."""
    moved = output.movedim(_class_axis(output), -1) if output.ndim else output.reshape(1)
    return moved.reshape(-1, moved.shape[-1])


def _classes(flat: torch.Tensor) -> torch.Tensor:
    return torch.randint(flat.shape[1], flat.shape[:1])


def _cross_entropy(output: torch.Tensor) -> torch.Tensor:
    flat = by_class(output)
    return nn.functional.cross_entropy(flat, _classes(flat))


def _negative_log_likelihood(output: torch.Tensor) -> torch.Tensor:
    flat = by_class(output)
    return nn.functional.nll_loss(flat, _classes(flat))


def _binary_logits(output: torch.Tensor) -> torch.Tensor:
    target = torch.randint_like(output, 2)
    return nn.functional.binary_cross_entropy_with_logits(output, target)


def _binary(output: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy(output, torch.randint_like(output, 2))


def _divergence(output: torch.Tensor) -> torch.Tensor:
    flat = by_class(output)
    target = torch.softmax(torch.randn_like(flat), dim=-1)
    return nn.functional.kl_div(flat, target, reduction="batchmean")


_LOSSES: Mapping[str, Value] = {
    "cross_entropy": _cross_entropy,
    "nll_loss": _negative_log_likelihood,
    "binary_cross_entropy_with_logits": _binary_logits,
    "binary_cross_entropy": _binary,
    "kl_div": _divergence,
    "mse_loss": lambda output: nn.functional.mse_loss(output, torch.randn_like(output)),
    "l1_loss": lambda output: nn.functional.l1_loss(output, torch.randn_like(output)),
    "smooth_l1_loss": lambda output: nn.functional.smooth_l1_loss(output, torch.randn_like(output)),
    "huber_loss": lambda output: nn.functional.huber_loss(output, torch.randn_like(output)),
}

_OPERATIONS: Mapping[str, Value] = {
    "softmax": lambda output: torch.softmax(output, dim=_class_axis(output)),
    "log_softmax": lambda output: torch.log_softmax(output, dim=_class_axis(output)),
    "sigmoid": torch.sigmoid,
    "logsigmoid": nn.functional.logsigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "log": torch.log,
    "exp": torch.exp,
    "softplus": nn.functional.softplus,
    "hardtanh": nn.functional.hardtanh,
    "hardsigmoid": nn.functional.hardsigmoid,
}
