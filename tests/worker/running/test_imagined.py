"""Models too large to run: what their values would be, and how they are judged without any."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gradlint.engine import lint
from gradlint.judging.evidence import Severity, Verdict
from gradlint.report import ModelStatus
from gradlint.settings.config import Config
from gradlint.worker.running.imagined import Imagination


def scaled() -> nn.Module:
    layer = nn.Linear(60, 40)
    layer.weight.data.mul_(0.1)
    return layer


def remembering() -> nn.Module:
    cell = nn.LSTM(40, 50)
    with torch.no_grad():
        dict(cell.named_parameters())["bias_hh_l0"][50:100] = 3.0
    return cell


def filled(fill: str, **settings: float) -> nn.Module:
    layer = nn.Linear(60, 40)
    getattr(nn.init, fill)(layer.weight, **settings)
    return layer


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(40, 50))


class Positions(nn.Module):
    """Its table is computed outside of torch, as that of sines in vision transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 200, 100), requires_grad=False)
        waves = np.sin(np.arange(20_000.0).reshape(200, 100))
        self.table.data.copy_(torch.from_numpy(waves).float().unsqueeze(0))


class Diagonal(nn.Module):
    """Its table is filled number by number, as those of relative positions are."""

    def __init__(self) -> None:
        super().__init__()
        table = torch.zeros(12, 12)
        for place in range(12):
            table[place, place] = 3.0
        self.table = nn.Parameter(table)


def cloned() -> nn.Module:
    """A stack of deep copies, of which small parameters have values."""
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: nn.Linear(60, 40), id="linear"),
        pytest.param(lambda: nn.Conv2d(8, 32, 3), id="convolution"),
        pytest.param(lambda: nn.Embedding(50, 40, padding_idx=0), id="embedding"),
        pytest.param(lambda: nn.LayerNorm(9), id="norm"),
        pytest.param(lambda: nn.MultiheadAttention(32, 4), id="attention"),
        pytest.param(remembering, id="LSTM with a forget bias"),
        pytest.param(lambda: filled("trunc_normal_", std=0.02), id="truncated normal"),
        pytest.param(lambda: filled("kaiming_normal_"), id="He"),
        pytest.param(lambda: filled("xavier_uniform_", gain=2.0), id="Xavier"),
        pytest.param(lambda: filled("constant_", val=0.3), id="constant"),
        pytest.param(scaled, id="scaled by hand"),
        pytest.param(Table, id="parameter computed from a tensor"),
        pytest.param(Positions, id="parameter copied from an array"),
        pytest.param(Diagonal, id="parameter filled number by number"),
        pytest.param(cloned, id="deep copies"),
    ],
)
def test_imagined_values_have_the_moments_of_real_ones(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    imagination = Imagination()
    with imagination.building():
        fake = make()
    for (name, real), other in zip(make().named_parameters(), fake.parameters(), strict=True):
        values = imagination.values(other)
        values_of_real = real.detach()
        spread = float(values_of_real.std()) if real.numel() > 1 else 0.0
        assert values.mean == pytest.approx(
            float(values_of_real.mean()), abs=4 * spread / real.numel() ** 0.5 + 1e-6
        ), name
        assert values.square == pytest.approx(
            float(values_of_real.square().mean()), rel=0.35 if real.ndim < 2 else 0.12
        ), name


DEEP = """
import torch
from torch import nn

class Deep(nn.Module):
    def __init__(self, width={width}, depth=8):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.{activation}()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x):
        return self.head(self.body(x))

def demo():
    return Deep()(torch.randn(8, {width}))
"""


@pytest.mark.parametrize(
    ("activation", "found"),
    [pytest.param("Sigmoid", True, id="sick"), pytest.param("ReLU", False, id="healthy")],
)
def test_a_model_too_large_to_run_is_judged_by_prediction(
    tmp_path: Path, activation: str, found: bool
) -> None:
    path = tmp_path / "model.py"
    path.write_text(DEEP.format(width=100_000, activation=activation))
    (file,) = lint([path], Config(python=sys.executable), tmp_path).files
    (model,) = file.models
    assert model.status is ModelStatus.TRACED
    assert model.reason == "too large to run here, judged by prediction"
    assert model.parameters > 80_000_000_000
    assert model.trunk[0].measured == ()
    predicted = [each for each in file.findings if each.verdict is Verdict.PREDICTED]
    assert len(predicted) == found
    assert not any(each.verdict is Verdict.CONFIRMED for each in file.findings)
    for finding in predicted:
        assert finding.severity is Severity.ERROR
        assert finding.causes[0][0] == "activation derivative"


GATED = """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self, width=100_000, depth=4):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.embed = nn.Linear(64, width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mix = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.modulate = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        nn.init.normal_(self.time[0].weight, std=1e-3)
        nn.init.normal_(self.time[2].weight, std=1e-6)
        for layer in self.modulate:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x, t):
        c, x = self.time(t), self.embed(x)
        for mix, modulate in zip(self.mix, self.modulate):
            scale, gate = modulate(nn.functional.silu(c)).chunk(2, dim=1)
            x = x + gate * mix(nn.functional.gelu(self.norm(x) * (1 + scale)))
        return self.head(x)

def demo():
    return Gated()(torch.randn(8, 64), torch.randn(8, 64))
"""


def test_what_zeros_at_the_start_hide_is_not_judged_by_prediction(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(GATED)
    (file,) = lint([path], Config(python=sys.executable), tmp_path).files
    (model,) = file.models
    assert model.reason == "too large to run here, judged by prediction"
    assert model.trunk[0].predicted is None
    assert not any(each.verdict is Verdict.PREDICTED for each in file.findings)


class Scheduled(nn.Module):
    """Its constructor reads numbers from a schedule, and its forward branches on positions."""

    def __init__(self) -> None:
        super().__init__()
        rates = [rate.item() for rate in torch.linspace(0, 0.2, 3)]
        self.layers = nn.ModuleList(nn.Dropout(rate) for rate in rates)
        self.weight = nn.Parameter(torch.randn(5, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.arange(x.shape[0])
        kept = x[places[places > 1]]
        if bool((kept > 1e9).any()):
            raise ValueError("out of range")
        return kept @ self.weight


def test_numbers_that_depend_on_no_large_tensor_are_known_among_fake_ones() -> None:
    imagination = Imagination()
    with imagination.building():
        model = Scheduled()
        drops = [layer.p for layer in model.layers if isinstance(layer, nn.Dropout)]
        assert drops == pytest.approx([0.0, 0.1, 0.2])
    with imagination.running():
        assert model(torch.randn(8, 5)).shape == (6, 5)


class Counted(TorchDispatchMode):
    """Counts the operations that reach fake tensors."""

    calls = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def test_a_table_that_is_filled_number_by_number_costs_no_operation_for_each() -> None:
    with Imagination().building():
        table = torch.zeros(30, 30)
        with Counted() as counted:  # type: ignore[no-untyped-call]
            for place in range(30):
                table[place, -1] = 1
        assert counted.calls == 0
        assert table.sum().item() == 30.0


def test_what_was_written_over_by_something_unknown_is_unknown() -> None:
    with Imagination().running():
        number = torch.zeros(1)
        number.copy_(torch.randn(1000, 1000).sum())
        with pytest.raises(RuntimeError):
            number.item()


@pytest.mark.skipif(not hasattr(nn.functional, "grouped_mm"), reason="newer than the oldest torch")
def test_a_product_for_each_expert_is_imagined_in_single_precision() -> None:
    with Imagination().running():
        ends = torch.tensor([4, 8], dtype=torch.int32)
        output = nn.functional.grouped_mm(torch.randn(8, 16), torch.randn(2, 16, 32), offs=ends)
    assert output.shape == (8, 32)
    assert output.dtype is torch.float32


CHOICES: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], tuple[int, ...]]] = {
    "places of a mask": (lambda value, mask: mask.nonzero(), (60_000, 2)),
    "elements of a mask": (lambda value, mask: value[mask], (60_000,)),
    "rows of a mask": (lambda value, mask: value[mask[:, 0]], (3000, 20)),
    "entries where a mask is": (lambda value, mask: value[torch.where(mask)], (60_000,)),
    "a masked selection": (lambda value, mask: value.masked_select(mask), (60_000,)),
    "distinct values": (lambda value, mask: value.unique(), (60_000,)),
}


@pytest.mark.parametrize(("choose", "shape"), CHOICES.values(), ids=list(CHOICES))
def test_what_unknown_values_choose_is_imagined_as_if_all_were_chosen(
    choose: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], shape: tuple[int, ...]
) -> None:
    with Imagination().building():
        value = torch.randn(3000, 20)
        assert choose(value, value > 0).shape == shape
