"""A short training run of a fresh copy: the user's optimizer and learning rate on one batch."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable

import torch
from torch import nn

from gradlint.protocol.training import Training
from gradlint.worker.probing.remedy import CLIP_NORM, RATE
from gradlint.worker.probing.run import Run
from gradlint.worker.running.compiler import spare_compiler
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.running.outputs import tensors_of
from gradlint.worker.tracing.forward import seed_everything

_SECONDS = 10.0  # of processor time, because a model must not be lost for one slow quantity
_DEFAULT_RATES = {"SGD": 1e-2, "RMSprop": 1e-2}


class Rehearsal:
    """A copy of the model of a seeded run, remedied as the run is, and an optimizer for it.

    Raises:
        UnmeasurableError: the optimizer cannot be set up.
    """

    def __init__(self, run: Run) -> None:
        self._seed = run.seed
        seed_everything(run.seed)
        self.model = run.built.make()
        """The copy, as its last step left it."""
        if run.prepare:
            run.prepare(self.model)
        seed_everything(run.seed + 1)
        self._inputs = run.built.inputs()
        self._optimizer = _optimizer(self.model, run.training)
        for group in self._optimizer.param_groups:
            group["lr"] *= float(getattr(self.model, RATE, 1.0))
        self._limit = float(getattr(self.model, CLIP_NORM, math.inf))
        self._deadline = time.thread_time() + _SECONDS

    @property
    def overdue(self) -> bool:
        """Whether no time is left for another step."""
        return time.thread_time() > self._deadline

    def step(
        self,
        loss_of: Callable[[torch.Tensor], torch.Tensor],
        *,
        on: torch.Tensor | None = None,
        draw: int = 0,
    ) -> float:
        """Take one step down `loss_of` the first output, and return the loss before it.

        `on` takes the place of the tensors that the model is given; steps of the same `draw` see
        the same random numbers.

        Raises:
            UnmeasurableError: the user's code raised, or the steps take too long.
        """
        if self.overdue:
            raise UnmeasurableError(f"training takes more than {_SECONDS:g} s")
        seed_everything(self._seed + 2 + draw)
        args, kwargs = self._inputs if on is None else _exchanged(self._inputs, on)
        try:
            with on_cpu():
                loss = loss_of(tensors_of(self.model(*args, **kwargs))[0])
                self._optimizer.zero_grad()
                loss.backward()
        except UnmeasurableError:
            raise
        except Exception as error:  # because it is the user's code that raises here
            raise UnmeasurableError(f"a training step failed: {error}") from error
        if math.isfinite(self._limit):
            nn.utils.clip_grad_norm_(self.model.parameters(), self._limit)
        with torch.no_grad():  # unwrapped because the wrappers import the compiler
            inspect.unwrap(type(self._optimizer).step)(self._optimizer)
        return float(loss.detach())


_Inputs = tuple[tuple[object, ...], dict[str, object]]


def _exchanged(inputs: _Inputs, new: torch.Tensor) -> _Inputs:
    args, kwargs = inputs
    return (
        tuple(new if isinstance(value, torch.Tensor) else value for value in args),
        {n: new if isinstance(value, torch.Tensor) else value for n, value in kwargs.items()},
    )


def _optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    kind = getattr(torch.optim, training.optimizer or "SGD", None)
    if kind is None:
        raise UnmeasurableError(f"torch.optim has no {training.optimizer}")
    spare_compiler()
    rate = training.learning_rate or _DEFAULT_RATES.get(training.optimizer or "SGD", 1e-3)
    try:
        optimizer: torch.optim.Optimizer = kind(
            model.parameters(), lr=rate, **dict(training.arguments)
        )
    except (TypeError, ValueError) as error:
        raise UnmeasurableError(f"{training.optimizer} cannot be set up: {error}") from error
    return optimizer
