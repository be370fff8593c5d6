"""What is measured of a recurrence after a rehearsal of recall."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import OptimizerFamily, Training
from gradlint.worker.probing.learning import learning
from gradlint.worker.probing.lesson import Lesson
from gradlint.worker.probing.quantities import Example, measure
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

STEPS = 5
UNLEARNED = Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.6), steps=STEPS, batch=16)
DECAY = Claim(Quantity.TRAINED_DECAY, "rnn", Bound(at_least=-2), steps=STEPS, batch=16)


class Orthogonal(nn.Module):
    """A recurrence whose gradient survives all of its steps at the start."""

    def __init__(self, nonlinearity: str = "tanh") -> None:
        super().__init__()
        self.rnn = nn.RNN(6, 16, batch_first=True, nonlinearity=nonlinearity)
        self.head = nn.Linear(16, 4)
        nn.init.orthogonal_(self.rnn.get_parameter("weight_hh_l0"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.head(self.rnn(x)[0][:, -1])
        return answers


def run(optimizer: str, rate: float, nonlinearity: str = "tanh") -> Run:
    training = Training(optimizer=optimizer, learning_rate=rate, loss="cross_entropy")
    return Run(
        Example(lambda: Orthogonal(nonlinearity), (8, STEPS, 6)), 0, training=training, keep=["rnn"]
    )


def test_steps_that_are_too_large_end_the_memory_of_an_orthogonal_recurrence() -> None:
    hot = run("SGD", 10.0)
    start = Claim(Quantity.RECURRENT_DECAY, "rnn", Bound(at_least=-2), steps=STEPS)
    assert measure(hot, UNLEARNED) > 0.9
    assert DECAY.bound.holds(measure(hot, start))
    assert not DECAY.bound.holds(measure(hot, DECAY))


def test_a_recurrence_that_learnt_to_recall_has_not_lost_its_memory() -> None:
    with pytest.raises(UnmeasurableError, match="learnt to recall"):
        measure(run("Adam", 3e-3), DECAY)


def test_a_recurrence_whose_training_overflows_has_no_memory_left() -> None:
    assert measure(run("SGD", 1e6, "relu"), DECAY) == -math.inf


def test_what_two_quantities_need_of_a_run_is_computed_once() -> None:
    still = run("SGD", 0.1)
    assert still.once("key", lambda: "first") == "first"
    assert still.once("key", lambda: "second") == "first"


def steps_taken(monkeypatch: pytest.MonkeyPatch, family: OptimizerFamily, *, lasting: bool) -> int:
    taken: list[int] = []
    loss = Lesson.loss

    def counted(lesson: Lesson, output: torch.Tensor) -> torch.Tensor:
        taken.append(1)
        return loss(lesson, output)

    monkeypatch.setattr(Lesson, "loss", counted)
    training = Training(family, "SGD", 0.1, loss="cross_entropy")
    sound = Run(Example(lambda: nn.Linear(32, 10), (8, 32)), 0, training=training)
    assert learning(sound, batch=32, steps=0, enough=0.5, lasting=lasting).left < 0.5
    monkeypatch.undo()
    return len(taken)


def test_what_sgd_learnt_has_to_last_as_long_again(monkeypatch: pytest.MonkeyPatch) -> None:
    once = steps_taken(monkeypatch, OptimizerFamily.UNKNOWN, lasting=True)
    assert steps_taken(monkeypatch, OptimizerFamily.SGD, lasting=True) == 2 * once - 1
    assert steps_taken(monkeypatch, OptimizerFamily.SGD, lasting=False) <= once
