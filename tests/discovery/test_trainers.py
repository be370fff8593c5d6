"""The optimizer that other files of a project train a model with."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.training.trainers import family_elsewhere
from gradlint.protocol.training import OptimizerFamily

TRAIN = """
import torch
from net import Net

model = Net(10)
optimizer = torch.optim.{optimizer}(model.parameters(), lr=0.01)
"""


@pytest.mark.parametrize(
    ("optimizers", "family"),
    [
        pytest.param(["AdamW"], OptimizerFamily.ADAM, id="adam"),
        pytest.param(["SGD"], OptimizerFamily.SGD, id="sgd"),
        pytest.param(["Adam", "RMSprop"], OptimizerFamily.ADAM, id="two of one family"),
        pytest.param(["Adam", "SGD"], OptimizerFamily.UNKNOWN, id="both families"),
        pytest.param([], OptimizerFamily.UNKNOWN, id="nobody trains it"),
    ],
)
def test_files_that_construct_the_model_say_what_trains_it(
    tmp_path: Path, optimizers: list[str], family: OptimizerFamily
) -> None:
    (tmp_path / "net.py").write_text("class Net: ...")
    for number, optimizer in enumerate(optimizers):
        (tmp_path / f"train{number}.py").write_text(TRAIN.format(optimizer=optimizer))
    lookups = Lookups()
    assert family_elsewhere(tmp_path / "net.py", tmp_path, "Net", lookups) is family
    assert len(lookups.read) == len(optimizers)


def test_the_training_of_another_model_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Other: ...")
    (tmp_path / "train.py").write_text(TRAIN.format(optimizer="Adam"))
    found = family_elsewhere(tmp_path / "net.py", tmp_path, "Other", Lookups())
    assert found is OptimizerFamily.UNKNOWN


def test_a_network_that_is_chosen_by_name_is_trained_by_what_imports_the_choice(
    tmp_path: Path,
) -> None:
    (tmp_path / "net.py").write_text("class Net: ...")
    (tmp_path / "choice.py").write_text(
        "def define(name):\n    from net import Net as chosen\n    return chosen()\n"
    )
    (tmp_path / "train.py").write_text(
        "from torch.optim import Adam\nfrom choice import define\n\n"
        "model = define('net')\noptimizer = Adam(model.parameters(), lr=0.01)\n"
    )
    found = family_elsewhere(tmp_path / "net.py", tmp_path, "Net", Lookups())
    assert found is OptimizerFamily.ADAM
