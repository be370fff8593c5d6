"""A model is initialised as the program does it after its construction."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.discovery.conftest import Read

_NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x):
        return self.fc(x)
def draw(m, std=1.0):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=std)
def init_weights(net, std):
    for m in net.modules():
        draw(m, std)
"""


@pytest.mark.parametrize(
    ("program", "then"),
    [
        ("net = Net()\nnet.apply(draw)", ("_made.apply(draw)",)),
        ("net = Net().apply(draw).to('cuda')", ("_made.apply(draw)",)),
        (
            "net = Net()\nnet = net.to('cuda')\ninit_weights(net, 0.1)",
            ("init_weights(_made, 0.1)",),
        ),
        ("net = Net()\nnn.init.zeros_(net.fc.bias)", ("nn.init.zeros_(_made.fc.bias)",)),
        ("net = Net()\nnet.fc.weight.data.fill_(0)", ("_made.fc.weight.data.fill_(0)",)),
        ("net = Net()\nnet.fc = nn.Linear(4, 2)", ("_made.fc = nn.Linear(4, 2)",)),
        (
            "net = Net()\nwith torch.no_grad():\n    for p in net.parameters(): p.normal_()",
            ("for p in _made.parameters():\n    p.normal_()",),
        ),
        (
            "def make():\n    net = Net()\n    return init_weights(net, 1.0)",
            ("init_weights(_made, 1.0)",),
        ),
        (
            "class A:\n  def __init__(self):\n    self.net = Net()\n    self.net.apply(draw)",
            ("_made.apply(draw)",),
        ),
    ],
    ids=[
        *("applied", "chained", "by a function", "by torch", "filled", "another part", "in a loop"),
        *("returned", "kept"),
    ],
)
def test_what_initialises_a_model_is_done_to_it(
    read: Read, program: str, then: tuple[str, ...]
) -> None:
    candidates = read(f"{_NET}\n{program}\n").models[0].candidates
    assert candidates[0].then == then


@pytest.mark.parametrize(
    "program",
    [
        "net = Net()\nnet.train()\nprint(net)\noptimizer = torch.optim.SGD(net.parameters(), 1)",
        "net = Net()\nfor p in net.parameters():\n    p.requires_grad = False",
        "net = Net()\nother.apply(draw)",
        "def run(how):\n    net = Net()\n    net.apply(how)",
        "net = Net()\nif torch.cuda.is_available():\n    net.apply(draw)",
    ],
    ids=["uses", "freezing", "of another", "out of sight", "perhaps"],
)
def test_other_statements_are_left_alone(read: Read, program: str) -> None:
    candidates = read(f"{_NET}\n{program}\n").models[0].candidates
    assert {candidate.then for candidate in candidates} == {()}


def test_the_names_of_a_statement_are_bound(read: Read) -> None:
    program = "def main():\n    scale = 0.5\n    net = Net()\n    init_weights(net, 2 * scale)"
    first, *_ = read(f"{_NET}\n{program}\n").models[0].candidates
    assert (first.then, first.bindings) == (
        ("init_weights(_made, 2 * scale)",),
        (("scale", "0.5"),),
    )


def test_what_a_function_does_first_to_the_model_it_is_given_counts(read: Read) -> None:
    program = """
def train(net):
    def zero(m):
        for p in m.parameters():
            nn.init.zeros_(p)
    net.apply(zero)
    torch.optim.SGD(net.parameters(), 1)
train(Net())
"""
    first, *_ = read(f"{_NET}\n{program}\n").models[0].candidates
    assert [text.splitlines()[0] for text in first.then] == ["def zero(m):"]
    assert first.then[0].endswith("\n_made.apply(zero)")


def test_what_another_file_does_to_a_model_is_done_to_it(read: Read) -> None:
    train = """
import torch
import torch.nn as nn
from torch.nn import init
from model import Net
def fill(weight, gain):
    init.xavier_normal_(weight, gain=gain)
def draw_all(m):
    if isinstance(m, nn.Linear):
        fill(m.weight, 0.5)
def main():
    net = Net()
    net.apply(draw_all)
"""
    first, *_ = read(_NET, others={"train.py": train}).models[0].candidates
    assert first.then[0].startswith("def fill(weight, gain):")
    assert first.then[0].endswith("\n_made.apply(draw_all)")
    assert dict(first.bindings).keys() == {"init", "nn"}


def test_what_only_another_file_knows_is_not_done(read: Read) -> None:
    train = "from model import Net\nfrom other import draw_all\nnet = Net()\nnet.apply(draw_all)\n"
    candidates = read(_NET, others={"train.py": train}).models[0].candidates
    assert {candidate.then for candidate in candidates} == {()}


def test_a_model_rests_on_the_files_that_construct_it_and_not_on_all(read: Read) -> None:
    others = {"train.py": "from model import Net\nnet = Net()\n", "other.py": "class Net: ...\n"}
    program = read(_NET, others=others)
    assert [Path(path).name for path in program.read] == ["train.py"]
