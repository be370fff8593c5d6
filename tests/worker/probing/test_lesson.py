"""What a model is taught: it can be learnt, and what cannot be taught is said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.training import Training
from gradlint.worker.probing.lesson import Lesson
from gradlint.worker.probing.quantities import Example, measure
from gradlint.worker.probing.rehearsal import Rehearsal
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

ADAM = Training(optimizer="Adam", learning_rate=3e-3, loss="cross_entropy")


class Tokens(Example):
    """Inputs of 128 different tokens."""

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (torch.randint(0, 128, self.shape),), {}


class Last(nn.Module):
    """The answer of a recurrent layer after its last step, time first or second."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 32, batch_first=batch_first)
        self.head = nn.Linear(32, 4)
        self.time = int(batch_first)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.head(self.rnn(x)[0].select(self.time, -1))
        return answers


def share(example: Example, training: Training = ADAM, *, steps: int = 0) -> float:
    claim = Claim(Quantity.UNLEARNED_SHARE, "loss()", Bound(at_most=0.6), steps=steps, batch=32)
    return measure(Run(example, 0, training=training), claim)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            Example(lambda: nn.Sequential(nn.Flatten(), nn.Linear(128, 10)), (8, 2, 8, 8)),
            id="images",
        ),
        pytest.param(
            Example(lambda: nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 5)), (8, 16)),
            id="numbers",
        ),
        pytest.param(
            Example(lambda: nn.Sequential(nn.Linear(12, 8)), (8, 6, 12)),
            id="an answer for each step",
        ),
        pytest.param(
            Tokens(lambda: nn.Sequential(nn.Embedding(128, 32), nn.Linear(32, 128)), (8, 24)),
            id="an answer for each token",
        ),
        pytest.param(
            Tokens(lambda: nn.Sequential(nn.EmbeddingBag(128, 32), nn.Linear(32, 3)), (8, 24)),
            id="an answer for each text",
        ),
    ],
)
def test_a_sound_model_learns_the_lesson(example: Example) -> None:
    assert share(example) < 0.3


def test_a_rate_of_zero_teaches_nothing() -> None:
    still = Training(optimizer="SGD", learning_rate=1e-12, loss="cross_entropy")
    assert share(Example(lambda: nn.Linear(16, 10), (8, 16)), still) > 0.9


def test_an_overflow_is_infinitely_far_from_learning() -> None:
    hot = Training(optimizer="SGD", learning_rate=1e30, loss="cross_entropy")
    net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
    assert share(Example(lambda: net, (8, 16)), hot) == math.inf


def test_a_late_overflow_is_one_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = itertools.chain([2.2] * 150, itertools.repeat(math.inf))
    monkeypatch.setattr(Rehearsal, "step", lambda *_, **__: next(losses))
    assert share(Example(lambda: nn.Linear(16, 10), (8, 16))) == math.inf


def test_samples_have_half_of_their_square_in_common() -> None:
    run = Run(Example(lambda: nn.Linear(400, 10), (256, 400)), 0)
    samples = Lesson(run).draw()
    assert 0.4 < float(samples.mean(0).square().mean() / samples.square().mean()) < 0.6


def test_neighbours_in_a_sequence_are_often_of_one_class() -> None:
    run = Run(Tokens(lambda: nn.Embedding(128, 10), (64, 32)), 0)
    classes = Lesson(run).draw() % 10
    alike = (classes[:, 1:] == classes[:, :-1]).float().mean()
    assert 0.5 < float(alike) < 0.6


@pytest.mark.parametrize("batch_first", [True, False], ids=["time second", "time first"])
def test_only_the_first_step_of_a_sequence_tells_the_class(*, batch_first: bool) -> None:
    shape = (9, 5, 6) if batch_first else (5, 9, 6)
    lesson = Lesson(Run(Example(lambda: Last(batch_first=batch_first), shape), 0), steps=5)
    batches = [lesson.draw() for _ in range(2)]
    first, later = [
        [batch.select(int(batch_first), step).unique(dim=0) for batch in batches] for step in (0, 1)
    ]
    assert all(len(rows) <= 4 for rows in first)
    assert all(len(rows) == 9 for rows in later)


@pytest.mark.parametrize(
    ("make", "shape", "reason"),
    [
        pytest.param(
            lambda: nn.Conv2d(3, 4, 1), (8, 3, 5, 6), "belong to no places", id="images out"
        ),
        pytest.param(lambda: nn.Linear(4, 1), (8, 4), "nothing to tell apart", id="one number"),
    ],
)
def test_what_does_not_tell_classes_apart_is_not_taught(
    make: Callable[[], nn.Module], shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(UnmeasurableError, match=reason):
        Lesson(Run(Example(make, shape), 0))
