"""Values for the arguments of a constructor by their annotations."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import nn

from gradlint.worker.building.typed import annotations_of, of_argument, of_type, options_of
from gradlint.worker.inputs.passing import PassThrough

Edge = tuple[str, str, str]
Metadata = tuple[list[str], list[Edge]]


class Kind(enum.Enum):
    NARROW = "narrow"


@dataclass
class Settings:
    width: int
    kind: Kind


class Net:
    """A network of a graph.

    Args:
        aggregators (list[str]): How to aggregate, such as :obj:`"mean"` and
            :obj:`"max"`.
        deg (Tensor): A histogram, not "text".

    Beside "aggregators", nothing is told.
    """

    def __init__(self, aggregators: list[str], metadata: Metadata) -> None: ...

    def forward(self, x_dict: object, edge_index_dict: object) -> None: ...


class Base(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What subclasses do."""
        raise NotImplementedError


class Early(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class First(Base):
    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_features, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x)
        return out


class Second(First):
    """Takes what the first does."""


KINDS: dict[str, tuple[object, object]] = {
    "a number": (int, 64),
    "an alias of what is told apart by its index": (
        Metadata,
        (["0", "1"], [("0", "0", "0"), ("1", "1", "1")]),
    ),
    "a mapping": (dict[Edge, int], {("0", "0", "0"): 64, ("1", "1", "1"): 64}),
    "one of several texts": (Literal["a", "b"], "a"),
    "the first that is known": (Sequence[float] | None, [0.5, 0.5]),
    "a class of settings": (Settings, Settings(32, Kind.NARROW)),
}


class TestTypes:
    @pytest.mark.parametrize(("kind", "value"), KINDS.values(), ids=KINDS.keys())
    def test_a_type_is_given_one_of_its_values(self, kind: object, value: object) -> None:
        text = of_type(kind)
        assert text is not None
        assert eval(text) == value

    def test_modules_and_functions_are_stood_in_for(self) -> None:
        for kind in (nn.Module, Callable[..., torch.Tensor], nn.Module | nn.ModuleList):
            assert isinstance(eval(str(of_type(kind)), {"PassThrough": PassThrough}), PassThrough)

    def test_a_base_that_leaves_its_forward_open_is_one_of_those_that_take_what_most_do(
        self,
    ) -> None:
        assert type(eval(str(of_type(Base)))) is First

    def test_a_tensor_has_a_row_of_numbers(self) -> None:
        assert eval(str(of_type(torch.Tensor))).shape == (64,)

    def test_what_is_said_too_little_of_has_no_value(self) -> None:
        assert of_type(object) is None
        assert of_type(None) is None

    def test_the_nodes_of_a_graph_have_features_and_no_colours(self) -> None:
        assert of_argument(Net, "in_channels", {}) == "64"
        assert of_argument(Settings, "in_channels", {}) == "3"

    def test_texts_are_those_that_the_docstring_quotes(self) -> None:
        hints = annotations_of(Net)
        options = options_of(Net, "aggregators")
        assert eval(str(of_type(hints["aggregators"], options))) == ["mean", "max"]
        assert options_of(Net, "metadata") == ()
