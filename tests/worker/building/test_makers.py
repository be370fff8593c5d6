"""A class that cannot be built is no model if nothing in its source could be trained."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from gradlint.protocol.wire import TraceModel
from gradlint.worker.building.build import build
from gradlint.worker.building.makers import may_train
from gradlint.worker.building.unrunnable import NoGradientError, NoParametersError
from gradlint.worker.running.failure import UserError
from tests.worker.models import module_of, request

_RESIZE = """
def pair(size):
    if len(size) != 2: raise ValueError("two sides are wanted")
    return size
class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = pair(size)
    def forward(self, x):
        return nn.functional.interpolate(x, self.size)
"""


def _imported(monkeypatch: pytest.MonkeyPatch, source: str) -> ModuleType:
    module = module_of(source)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_what_names_no_layer_has_nothing_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _imported(monkeypatch, _RESIZE)
    assert not may_train(module.Net)
    with pytest.raises(UserError) as raised:
        build(module, TraceModel("Net", (), 0))
    assert isinstance(raised.value.error, NoParametersError)


def test_what_only_pools_and_pads_has_nothing_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
class Net(nn.MaxPool2d):
    def __init__(self, kernel_size, image_size=None):
        super().__init__(kernel_size)
        rest = image_size % kernel_size
        self.pad = nn.ZeroPad2d(rest) if rest else nn.Identity()
    def forward(self, x):
        return super().forward(self.pad(x))
"""
    module = _imported(monkeypatch, source)
    assert not may_train(module.Net)


def test_what_runs_without_gradients_says_so_whatever_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = """
PARTS = [nn.Linear(3, 4)]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = PARTS[0]

    @torch.no_grad()
    def forward(self, x):
        return self.part(x)
"""
    module = _imported(monkeypatch, source)
    assert not may_train(module.Net)
    with pytest.raises(UserError) as raised:
        build(module, request("Net()"))
    assert isinstance(raised.value.error, NoGradientError)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.size = pair(size)", "self.size = nn.Parameter(pair(size))"),
        ("self.size = pair(size)", "self.register_parameter('size', pair(size))"),
        ("return size", "return nn.Linear(*size)"),
        ("class Net(nn.Module)", "class Net(nn.Linear)"),
        ("class Net(nn.Module)", "class Part(nn.Module):\n    of = nn.Linear\nclass Net(Part)"),
    ],
    ids=["a parameter", "registered", "a layer of a function", "a layer itself", "of a base"],
)
def test_what_names_one_may_have(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    assert may_train(_imported(monkeypatch, _RESIZE.replace(old, new)).Net)


def test_a_part_that_has_nothing_to_train_is_no_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    part = """
class Part(nn.Module):
    def forward(self, x):
        return x.flatten(1)
class Net(nn.Module):
    older = Part
"""
    source = _RESIZE.replace("class Net(nn.Module):", part.strip())
    assert not may_train(_imported(monkeypatch, source).Net)
    trained = source.replace("return x.flatten(1)", "return nn.Linear(4, 2)(x.flatten(1))")
    assert may_train(_imported(monkeypatch, trained).Net)


def test_of_what_cannot_be_read_nothing_is_said() -> None:
    assert may_train(None)
    assert may_train(type("Net", (module_of(_RESIZE).Net,), {}))
