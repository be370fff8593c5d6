"""Classes built and fed as they are inside of a whole, and how that is written."""

from __future__ import annotations

import functools
import inspect

import pytest
import torch
from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel, Whole
from gradlint.worker.building.build import build
from gradlint.worker.building.parts import Parts
from gradlint.worker.building.written import NotWrittenError, Writer
from tests.worker.models import module_of

PYRAMID = """
    class Decoder(nn.Module):
        def __init__(self, channels, act=nn.ReLU, scale=1.0):
            super().__init__()
            self.layers = nn.ModuleList([nn.Conv2d(c, 4, 1) for c in channels])
            self.act = act()

        def forward(self, features, *, size):
            return sum(l(f).mean((2, 3)) for l, f in zip(self.layers, features, strict=True)) * size

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 6, 2, 2)
            self.decoder = Decoder([3, 6], act=nn.GELU)

        def forward(self, x):
            return self.decoder([x, self.down(x)], size=2)

    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = Decoder([5])

        def forward(self, x):
            raise ValueError("never")
"""


def wanted(*names: str, part: str = "Decoder") -> TraceModel:
    """A request for a part of wholes in the same file."""
    candidates = ((name, (Candidate(BuiltFrom.DEFAULTS, f"{name}()"),)) for name in names)
    return TraceModel(part, (), 0, wholes=tuple(Whole("", name, made) for name, made in candidates))


class TestParts:
    def test_a_part_is_built_and_fed_as_in_the_first_whole_that_runs(self) -> None:
        module = module_of(PYRAMID)
        (candidate,) = Parts(module).of(wanted("Broken", "Net"))
        assert candidate.built_from is BuiltFrom.USE_IN_PROJECT
        assert candidate.constructor == "Decoder(channels=[3, 6], act=nn.GELU)"
        assert candidate.inputs == (
            "features=[torch.randn((8, 3, 32, 32)), torch.randn((8, 6, 16, 16))]",
            "size=2",
        )

    def test_the_part_can_then_be_built_alone_and_its_sizes_are_not_the_users(self) -> None:
        module = module_of(PYRAMID)
        built = build(module, TraceModel("Decoder", Parts(module).of(wanted("Net")), 0))
        args, kwargs = built.inputs()
        assert built.make()(*args, **kwargs).shape == (8, 4)
        assert built.searched

    def test_classes_are_as_they_were_afterwards(self) -> None:
        module = module_of(PYRAMID)
        before = dict(vars(module.Decoder))
        Parts(module).of(wanted("Net"))
        assert dict(vars(module.Decoder)) == before

    def test_a_part_that_no_whole_holds_is_an_error(self) -> None:
        with pytest.raises(LookupError, match="holds a Decoder"):
            Parts(module_of(PYRAMID)).of(wanted("Broken"))


def given(value: object = None) -> None:
    """A function with one argument."""


def written(value: object) -> str:
    """How a value is written as the argument of a call, for a module that has torch and nn."""
    (text,) = Writer(module_of("")).inputs(inspect.signature(given), (value,), {})
    return text.removeprefix("value=")


WRITTEN: dict[str, tuple[object, str]] = {
    "nested literals": ({"a": [1, (2.5,), "x"]}, "{'a': [1, (2.5,), 'x']}"),
    "what is not finite": (float("-inf"), "float('-inf')"),
    "a layer class": (nn.Linear, "nn.Linear"),
    "a layer without parameters": (nn.Dropout(0.5), "nn.Dropout(p=0.5, inplace=False)"),
    "a function of a module": (
        torch.nn.functional.relu,
        "__import__('importlib').import_module('torch.nn.functional').relu",
    ),
    "a partial": (
        functools.partial(nn.Linear, 3, bias=False),
        "__import__('functools').partial(nn.Linear, 3, bias=False)",
    ),
    "a type of numbers": (torch.float16, "torch.float16"),
    "floating-point numbers": (torch.arange(6.0).view(2, 3), "torch.randn((2, 3))"),
    "one number many times": (torch.zeros(2), "torch.full((2,), 0.0, dtype=torch.float32)"),
    "whole numbers": (
        torch.tensor([[3, 7]]),
        "torch.randint(3, 8, (1, 2), dtype=torch.int64)",
    ),
    "flags": (torch.tensor([True, False]), "torch.randint(0, 2, (2,), dtype=torch.bool)"),
}


class TestWriter:
    @pytest.mark.parametrize(("value", "text"), WRITTEN.values(), ids=WRITTEN.keys())
    def test_a_value_is_written_so_that_it_can_be_read_back(self, value: object, text: str) -> None:
        assert written(value) == text
        eval(text, {"torch": torch, "nn": nn})

    @pytest.mark.parametrize(
        "value",
        [
            pytest.param(object(), id="any other object"),
            pytest.param(nn.Linear(2, 2), id="a layer with parameters"),
            pytest.param(lambda: None, id="a nameless function"),
        ],
    )
    def test_a_value_that_no_expression_gives_is_refused(self, value: object) -> None:
        with pytest.raises(NotWrittenError):
            written(value)

    def test_what_is_as_the_default_is_left_out(self) -> None:
        assert Writer(module_of("")).call("f", inspect.signature(given), (None,), {}) == "f()"
