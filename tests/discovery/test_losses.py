"""Losses: which of torch's, on which output of which model, and after which operations."""

from __future__ import annotations

import pytest

from gradlint.program import LossCall
from gradlint.protocol.training import Objective
from tests.discovery.conftest import Read

_HEAD = """\
import torch
import torch.nn.functional as F
from torch import nn, optim
class Net(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.layer = nn.Linear(n, 2)
    def forward(self, x):
        return self.layer(x)
"""


def _loss(read: Read, body: str) -> LossCall:
    (found,) = read(_HEAD + body).losses
    return found


def _loop(body: str) -> str:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""\
def train(loader, y=None):
    model = Net()
    criterion = nn.CrossEntropyLoss()
    softmax = nn.Softmax(dim=1)
    for x, y in loader:
{lines}
        loss.backward()
"""


WAYS = {
    "directly": ("loss = criterion(model(x), y)", ()),
    "through a variable": ("out = model(x)\nloss = criterion(out, y)", ()),
    "by keyword": ("loss = criterion(input=model(x), target=y)", ()),
    "moved and reshaped": ("out = model(x.cuda()).cpu().view(-1, 2)\nloss = criterion(out, y)", ()),
    "a function": ("loss = criterion(F.softmax(model(x), dim=1), y)", ("softmax",)),
    "a function of torch": ("loss = criterion(torch.sigmoid(model(x)), y)", ("sigmoid",)),
    "a method": ("loss = criterion(model(x).softmax(-1), y)", ("softmax",)),
    "a module": ("loss = criterion(softmax(model(x)), y)", ("softmax",)),
    "a name bound again": (
        "out = model(x)\nout = F.softmax(out, 1)\nloss = criterion(out, y)",
        ("softmax",),
    ),
    "two in a row": (
        "loss = criterion(torch.log(model(x).softmax(1)), y)",
        ("softmax", "log"),
    ),
}


@pytest.mark.parametrize(("body", "applied"), WAYS.values(), ids=WAYS)
def test_what_lies_between_model_and_loss_is_read(
    read: Read, body: str, applied: tuple[str, ...]
) -> None:
    found = _loss(read, _loop(body))
    assert found.objective == Objective("CrossEntropyLoss", applied)
    assert found.model == "Net"
    assert len(found.applied) == len(applied)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("loss = criterion(mix(model(x)), y)", id="a function that nobody knows"),
        pytest.param("loss = criterion(x, y)", id="no model"),
        pytest.param("loss = criterion(model(x) * 2, y)", id="arithmetic"),
        pytest.param("loss = nn.TripletMarginLoss()(model(x), y, y)", id="another kind of loss"),
        pytest.param(
            "out = model(x)\nif y:\n    out = out.softmax(1)\nelse:\n    out = out.sigmoid()\n"
            "loss = criterion(out, y)",
            id="branches that differ",
        ),
    ],
)
def test_a_loss_whose_input_is_not_understood_is_left_out(read: Read, body: str) -> None:
    assert read(_HEAD + _loop(body)).losses == ()


def test_the_output_is_counted_where_a_model_gives_several(read: Read) -> None:
    found = _loss(read, _loop("first, second = model(x)\nloss = criterion(second, y)"))
    assert found.objective.output == 1


def test_each_loss_of_a_pair_of_models_has_its_own(read: Read) -> None:
    source = """\
class Other(Net):
    pass
def train(x, y):
    a, b = Net(), Other()
    (F.mse_loss(a(x), y) + F.l1_loss(b(x), y)).backward()
"""
    losses = read(_HEAD + source).losses
    assert [(loss.model, loss.objective.function) for loss in losses] == [
        ("Net", "mse_loss"),
        ("Other", "l1_loss"),
    ]


@pytest.mark.parametrize(
    ("target", "interval"),
    [
        ("torch.rand(8, 2)", (0.0, 1.0)),
        ("20 * torch.rand(8, 2) + 5", (5.0, 25.0)),
        ("torch.randn(8, 2)", (-3.0, 3.0)),
        ("torch.randint(0, 100, (8, 2)).float()", (0.0, 100.0)),
        ("torch.sin(x).unsqueeze(1)", (-1.0, 1.0)),
        ("torch.linspace(-2, 2, 8)[:, None]", (-2.0, 2.0)),
        ("load()", None),
        ("torch.rand(8, 2) + load()", None),
    ],
)
def test_the_range_of_a_target_is_read_where_it_is_made(
    read: Read, target: str, interval: tuple[float, float] | None
) -> None:
    body = f"y = {target}\nloss = F.mse_loss(model(x), y)"
    assert _loss(read, _loop(body)).target == interval


@pytest.mark.parametrize(
    ("lines", "half", "scales"),
    [
        pytest.param("with torch.autocast('cuda'):", True, False, id="default type"),
        pytest.param(
            "with torch.autocast('cuda', dtype=torch.float16):", True, False, id="float16"
        ),
        pytest.param("with torch.autocast('cuda', torch.bfloat16):", False, False, id="bfloat16"),
        pytest.param(
            "with torch.autocast('cuda', dtype=torch.bfloat16):",
            False,
            False,
            id="bfloat16 by name",
        ),
        pytest.param("with torch.autocast('cpu'):", False, False, id="on the CPU"),
        pytest.param("with torch.cuda.amp.autocast(enabled=False):", False, False, id="off"),
        pytest.param(
            "scaler = torch.amp.GradScaler()\n        with torch.amp.autocast('cuda'):",
            True,
            True,
            id="with a scaler",
        ),
    ],
)
def test_half_precision_and_scaling_are_read(
    read: Read, lines: str, half: bool, scales: bool
) -> None:
    source = f"""\
def train(loader):
    model = Net()
    for x, y in loader:
        {lines}
            loss = F.cross_entropy(model(x), y)
        loss.backward()
"""
    (loop,) = read(_HEAD + source).loops
    assert (loop.half, loop.scales) == (half, scales)


def test_a_model_that_is_converted_is_half(read: Read) -> None:
    source = """\
model = Net().cuda()
model.half()
for x, y in []:
    F.cross_entropy(model(x), y).backward()
"""
    (loop,) = read(_HEAD + source).loops
    assert loop.half
