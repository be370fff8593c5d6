"""What a rehearsal of a lesson comes to: the share that is left unlearnt, and the trained model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from gradlint.protocol.training import loss_function
from gradlint.worker.lesson import Lesson
from gradlint.worker.rehearsal import Rehearsal
from gradlint.worker.run import Run, UnmeasurableError

STEPS = 300
RECALL_STEPS = 500  # because three networks began to recall after 430 and learnt
RECALLED = 0.1
"""The share left unlearnt at which the first step of a sequence counts as recalled."""
_HOPELESS, _LATE = 0.97, 200  # with so much left after so many steps none learnt more
_BRIEF = 40  # steps of a sequence: with longer ones 500 steps of training take too many seconds
_LAST = 20  # steps over which answers are counted
_SOON = 100  # steps: 11 networks overflowed sooner with each seed, and all failed


@dataclass(frozen=True, slots=True)
class Learning:
    """The share of a lesson that is left unlearnt, infinite after an overflow, and the model."""

    left: float
    model: nn.Module


def learning(run: Run, *, batch: int, steps: int, enough: float) -> Learning:
    """Rehearse a `Lesson` with `batch` samples, until a share of `enough` is left.

    `steps` is the length of a sequence whose first step is to be recalled, 0 for another task.

    Raises:
        UnmeasurableError: the loop's loss is not cross entropy, the model cannot be taught, the
            loss overflowed late, or a step cannot be taken.
    """
    if loss_function(run.training.loss) != "cross_entropy":
        raise UnmeasurableError(f"the loop's loss is {run.training.loss or 'unknown'}")
    return run.once((Learning, batch, steps, enough), lambda: _learning(run, batch, steps, enough))


def _learning(run: Run, batch: int, steps: int, enough: float) -> Learning:
    lesson, rehearsal = Lesson(run, batch=batch, steps=steps), Rehearsal(run)
    losses, wrong, left = [], [], math.nan
    late = RECALL_STEPS if 0 < steps <= _BRIEF else _LATE
    for step in range(RECALL_STEPS if steps else STEPS):
        losses.append(rehearsal.step(lesson.loss, on=lesson.draw(), draw=step))
        wrong.append(lesson.wrong)
        if not math.isfinite(losses[-1]):
            if step < _SOON:
                return Learning(math.inf, rehearsal.model)
            raise UnmeasurableError(f"the loss overflowed after {step} steps")
        chance = 1.0 - 1.0 / lesson.classes
        left = min(_mean(losses) / math.log(lesson.classes), _mean(wrong) / chance)
        if step >= _LAST and (left < enough or (step >= late and left > _HOPELESS)):
            break
    return Learning(left, rehearsal.model)


def _mean(values: list[float]) -> float:
    last = values[-_LAST:]
    return sum(last) / len(last)
