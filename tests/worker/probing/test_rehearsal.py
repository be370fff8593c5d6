"""Short training runs end in time."""

from __future__ import annotations

import pytest
from torch import nn

from gradlint.protocol.training import Training
from gradlint.worker.probing import rehearsal
from gradlint.worker.probing.quantities import Example
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def test_training_that_takes_too_long_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_SECONDS", -1.0)
    run = Run(Example(lambda: nn.Linear(4, 2), (8, 4)), 0, training=Training(optimizer="SGD"))
    with pytest.raises(UnmeasurableError, match="takes more than"):
        rehearsal.Rehearsal(run).step(lambda output: output.square().mean())
