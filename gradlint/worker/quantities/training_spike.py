"""Whether the first steps of training blow up."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import torch
from torch import nn

from gradlint.claim import Claim
from gradlint.training import Training
from gradlint.worker.build import on_cpu
from gradlint.worker.forward import seed_everything
from gradlint.worker.objective import loss_on_random_targets
from gradlint.worker.outputs import tensors_of
from gradlint.worker.remedy import CLIP_NORM
from gradlint.worker.run import Run, UnmeasurableError

STEPS = 20
_DEFAULT_RATES = {"SGD": 1e-2, "RMSprop": 1e-2}


def measure(run: Run, claim: Claim) -> float:
    """log10(max over steps 1 … 20 of lossₜ / loss₀), in decades, +inf once the loss is not finite.

    A copy of the model is trained for 20 steps with the optimizer, learning rate and loss of the
    user's loop, on one batch of random inputs with fixed random targets: a healthy step size can
    only lower that loss. 1 means that the loss rose to ten times its start.

    Raises:
        UnmeasurableError: the optimizer or a training step cannot be set up.

    Source: no quantity at initialisation predicts the need for clipping (best AUC .785); a short
    training run sees what they miss, such as orthogonal recurrent weights.

    >>> from gradlint.claim import Bound, Claim
    >>> from gradlint.quantity import Quantity
    >>> from gradlint.worker.quantities import Example
    >>> hot = Training(optimizer="SGD", learning_rate=100.0, loss="MSELoss")
    >>> claim = Claim(Quantity.TRAINING_SPIKE, "loss()", Bound())
    >>> measure(Run(Example(lambda: nn.Linear(4, 1), (8, 4)), 0, training=hot), claim) > 1
    True
    """
    model, inputs = _fresh(run)
    optimizer = _optimizer(model, run.training)
    limit = float(getattr(model, CLIP_NORM, math.inf))
    loss_of = _loss(run.training)
    losses: list[float] = []
    for _ in range(STEPS + 1):
        seed_everything(run.seed + 2)
        losses.append(_step(model, inputs, loss_of, optimizer, limit))
        if not math.isfinite(losses[-1]):
            return math.inf
    if losses[0] <= 0:
        raise UnmeasurableError(f"the loss starts at {losses[0]:.3g}, so it has no ratio")
    return math.log10(max(losses[1:]) / losses[0]) if max(losses[1:]) > 0 else -math.inf


def _fresh(run: Run) -> tuple[nn.Module, tuple[tuple[object, ...], dict[str, object]]]:
    seed_everything(run.seed)
    model = run.built.make()
    if run.prepare:
        run.prepare(model)
    seed_everything(run.seed + 1)
    return model, run.built.inputs()


def _spare_dynamo() -> None:
    """Keep optimizers from importing the compiler, because that takes longer than the training.

    They import it on first use to switch it off for some of their methods; here nothing is
    compiled.
    """
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dict__["__dynamo_disable"] = plain


def _optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    kind = getattr(torch.optim, training.optimizer or "SGD", None)
    if kind is None:
        raise UnmeasurableError(f"torch.optim has no {training.optimizer}")
    _spare_dynamo()
    rate = training.learning_rate or _DEFAULT_RATES.get(training.optimizer or "SGD", 1e-3)
    try:
        optimizer: torch.optim.Optimizer = kind(
            model.parameters(), lr=rate, **dict(training.arguments)
        )
    except (TypeError, ValueError) as error:
        raise UnmeasurableError(f"{training.optimizer} cannot be set up: {error}") from error
    return optimizer


def _step(
    model: nn.Module,
    inputs: tuple[tuple[object, ...], dict[str, object]],
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    limit: float,
) -> float:
    try:
        with on_cpu():
            outputs = tensors_of(model(*inputs[0], **inputs[1]))
            loss = loss_of(outputs[0])
            optimizer.zero_grad()
            loss.backward()
    except Exception as error:  # because it is the user's code that raises here
        raise UnmeasurableError(f"a training step failed: {error}") from error
    if math.isfinite(limit):
        nn.utils.clip_grad_norm_(model.parameters(), limit)
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)  # because the wrappers import the compiler
    return float(loss.detach())


def _loss(training: Training) -> Callable[[torch.Tensor], torch.Tensor]:
    """The loop's loss against random targets of the right kind; mean squared error if unknown."""
    return loss_on_random_targets(training.loss) or _squared


def _squared(output: torch.Tensor) -> torch.Tensor:
    return nn.functional.mse_loss(output, torch.randn_like(output))
