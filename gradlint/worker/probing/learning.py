"""What a rehearsal of a lesson comes to: the share that is left unlearnt, and the trained model."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from torch import nn

from gradlint.protocol.training import OptimizerFamily, loss_function
from gradlint.worker.probing.lesson import Lesson
from gradlint.worker.probing.rehearsal import Rehearsal
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

STEPS = 300
RECALL_STEPS = 500  # because three networks began to recall after 430 and learnt
RECALLED = 0.1
"""The share left unlearnt at which the first step of a sequence counts as recalled."""
_HOPELESS, _LATE = 0.97, 200  # with so much left after so many steps none learnt more
_BRIEF = 40  # steps of a sequence: with longer ones 500 steps of training take too many seconds
_LAST = 20  # steps over which answers are counted
_PROOF = {OptimizerFamily.SGD: 2}  # times as long as it took; Adam's steps do not grow


@dataclass(frozen=True, slots=True)
class Learning:
    """The share of a lesson that is left unlearnt, infinite after an overflow, and the model."""

    left: float
    model: nn.Module


def learning(run: Run, *, batch: int, steps: int, enough: float, lasting: bool = True) -> Learning:
    """Rehearse a `Lesson` with `batch` samples, until no more than a share of `enough` is left.

    Where that is to be `lasting`, it is asked of loss and answers, and with SGD for as many steps
    again as it took, because its steps grow with the gradient: of five networks that failed at
    digits, although a rehearsal had come that far, two had lost it by then with every seed, and
    none of seven did that learnt. Otherwise either will do, once.

    An overflow is for good, be it early or late: of 12 networks whose loss overflowed with each
    seed, after up to 142 steps, all failed.

    `steps` is the length of a sequence whose first step is to be recalled, 0 for another task.

    Raises:
        UnmeasurableError: the loop's loss is not cross entropy, the model cannot be taught, or a
            step cannot be taken.
    """
    if loss_function(run.training.loss) != "cross_entropy":
        raise UnmeasurableError(f"the loop's loss is {run.training.loss or 'unknown'}")
    key = Learning, batch, steps, enough, lasting
    return run.once(key, lambda: _learning(run, batch, steps, enough, lasting=lasting))


def _learning(run: Run, batch: int, steps: int, enough: float, *, lasting: bool) -> Learning:
    lesson, rehearsal = Lesson(run, batch=batch, steps=steps), Rehearsal(run)
    record, until = _Record(lesson.classes), 0
    late = RECALL_STEPS if 0 < steps <= _BRIEF else _LATE
    proof = _PROOF.get(run.training.family, 1) if lasting else 1
    for step in range(RECALL_STEPS if steps else STEPS):
        loss = rehearsal.step(lesson.loss, on=lesson.draw(), draw=step)
        if not math.isfinite(loss):
            return Learning(math.inf, rehearsal.model)
        record.add(loss, lesson.wrong)
        if step >= late and record.left > _HOPELESS:
            break
        learnt = (record.uncertain if lasting else record.left) < enough
        if step >= _LAST and learnt:
            until = until or step * proof
        if (learnt and 0 < until <= step) or (rehearsal.overdue and record.left < enough):
            break
    return Learning(record.left, rehearsal.model)


class _Record:
    """What the last steps left of a lesson of so many classes, by the loss and by wrong answers."""

    def __init__(self, classes: int) -> None:
        self._all = math.log(classes), 1.0 - 1.0 / classes
        self._shares: deque[tuple[float, float]] = deque(maxlen=_LAST)

    def add(self, loss: float, wrong: float) -> None:
        self._shares.append((loss / self._all[0], wrong / self._all[1]))

    @property
    def left(self) -> float:
        """By whichever is less, because large weights make wrong answers certain ones."""
        return min(self._means)

    @property
    def uncertain(self) -> float:
        """By whichever is more: with both the curvature of the loss has gone, too."""
        return max(self._means)

    @property
    def _means(self) -> tuple[float, float]:
        count = len(self._shares)
        return sum(x for x, _ in self._shares) / count, sum(x for _, x in self._shares) / count
