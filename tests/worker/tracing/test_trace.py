"""A forward pass is recorded call by call, and every gradient path is in the graph."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from gradlint.worker.tracing.call import input_settings
from gradlint.worker.tracing.forward import gradients
from tests.worker.live import of_chain, traced

SOURCE = """\
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)
        self.act = nn.ReLU(inplace=True)
        nn.init.normal_(self.fc.weight, std=0.5)

    def forward(self, x):
        x = x + self.act(self.fc(x))
        return torch.tanh(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        return self.blocks(self.first(x))
"""


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("traced_model", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_modules_and_functions_are_layers_in_the_order_in_which_they_ran(
    module: ModuleType,
) -> None:
    graph, _ = traced(module.Net, (4, 8), module.__file__ or "")
    assert [layer.id for layer in graph.layers] == [
        "first",
        *("blocks.0.fc", "blocks.0.act", "blocks.0.add", "blocks.0.tanh"),
        *("blocks.1.fc", "blocks.1.act", "blocks.1.add", "blocks.1.tanh"),
    ]
    assert graph.layer("blocks.0.add").op == "aten.add"
    assert graph.layer("blocks.0.act").op == "torch.nn.ReLU"


def test_the_trunk_leaves_out_the_residual_branches(module: ModuleType) -> None:
    graph, _ = traced(module.Net, (4, 8), module.__file__ or "")
    assert [layer.id for layer in graph.trunk] == [
        *("first", "blocks.0.add", "blocks.0.tanh", "blocks.1.add", "blocks.1.tanh")
    ]


def test_a_layer_knows_the_line_that_built_it_and_the_line_that_called_it(
    module: ModuleType,
) -> None:
    graph, _ = traced(module.Net, (4, 8), module.__file__ or "")
    layer = graph.layer("blocks.1.fc")
    assert layer.constructed is not None
    assert layer.span is not None
    assert (layer.constructed.line, layer.span.line) == (8, 13)


def test_a_parameter_knows_how_it_was_initialised(module: ModuleType) -> None:
    graph, _ = traced(module.Net, (4, 8), module.__file__ or "")
    filled = {p.id: p.initialisation for p in graph.parameters}
    by_hand, default = filled["blocks.0.fc.weight"], filled["first.weight"]
    assert by_hand is not None
    assert default is not None
    assert (by_hand.function, dict(by_hand.settings)["std"]) == ("normal_", 0.5)
    assert by_hand.span is not None
    assert by_hand.span.line == 10
    assert default.function == "default"


def test_a_parameter_that_nothing_uses_is_in_the_graph_and_reaches_no_layer(
    module: ModuleType,
) -> None:
    graph, _ = traced(module.Net, (4, 8), module.__file__ or "")
    assert "unused.weight" in {p.id for p in graph.parameters}
    consumed = {p.id for layer in graph.layers for p in graph.parameters_of(layer)}
    assert "unused.weight" not in consumed


def test_a_module_that_runs_twice_is_two_layers_with_one_weight() -> None:
    shared = nn.Linear(4, 4)
    graph, _ = traced(of_chain(shared, nn.Tanh(), shared), (2, 4))
    assert [layer.id for layer in graph.layers] == ["0", "1", "0#1"]
    assert graph.parameters_of(graph.layer("0#1")) == graph.parameters_of(graph.layer("0"))


def test_tensors_written_in_place_keep_their_path_to_the_loss() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.fc(x)
            y[:, 0] = 0
            y += 1
            return y

    graph, _ = traced(Writes, (2, 4))
    assert graph.reaches_loss(graph.layer("fc"))
    assert graph.trunk[0].id == "fc"


def test_what_is_divided_in_place_stands_before_the_divisor() -> None:
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.fc(x).sigmoid()
            whole = y.sum(-1, keepdim=True)
            y /= whole
            return y

    graph, _ = traced(Shares, (2, 4))
    assert [edge.source for edge in graph.arriving("div")] == ["sigmoid", "sum"]


def test_a_custom_autograd_function_is_a_layer_of_its_own() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
            return 2 * gradient

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(Double.apply(self.a(x)))  # type: ignore[no-untyped-call]

    graph, _ = traced(Net, (2, 4))
    assert [layer.op for layer in graph.trunk] == [
        *("torch.nn.Linear", "autograd.Double", "torch.nn.Linear")
    ]


def test_the_trunk_starts_at_what_depends_on_the_input() -> None:
    class Positional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(4))
            self.mix, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            position = torch.tanh(torch.tanh(self.mix(self.table * 2)))
            return self.out(x.mean(1, keepdim=True) * position)

    graph, _ = traced(Positional, (2, 4))
    assert graph.trunk[0].id in ("mul#1", "out")


def test_nothing_stays_patched_after_a_model_raised() -> None:
    before = nn.Module.__call__, nn.Module.__init__

    class Raises(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no")

    with pytest.raises(Exception, match="no"):
        traced(Raises, (2, 4))
    assert (nn.Module.__call__, nn.Module.__init__) == before


class Ragged(nn.Module):
    """Sequences of 3 and 5 rows, as a nested tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.nested.nested_tensor([x[0, :3], x[1]], layout=torch.jagged)
        mixed: torch.Tensor = self.fc(rows).relu()
        return mixed.to_padded_tensor(0.0)


def test_a_nested_tensor_has_the_mean_of_its_ragged_sizes_and_a_gradient() -> None:
    graph, forward = traced(Ragged, (2, 5, 4))
    assert graph.layer("fc").shape == (2, 4, 6)
    assert math.isfinite(gradients(forward, ["fc"]).decades("fc"))


class Neighbours(nn.Module):
    """Sums the features of neighbours by a sparse matrix in compressed rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        edges = torch.eye(len(x)).to_sparse_csr()
        return torch.sparse.mm(edges, self.layer(x))


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_sparse_matrix_is_recorded_without_statistics() -> None:
    graph, forward = traced(Neighbours, (8, 4))
    assert graph.layer("layer").shape == (8, 4)
    assert math.isfinite(gradients(forward, ["layer"]).decades("layer"))


def test_what_is_hidden_within_a_vmap_is_recorded_without_statistics() -> None:
    seen = []

    def task(row: torch.Tensor) -> torch.Tensor:
        seen.append(input_settings([row], lambda _: True))
        return row * 2.0

    torch.func.vmap(task)(torch.randn(8, 4))
    assert seen == [()]
