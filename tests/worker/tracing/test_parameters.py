"""What is told of the parameters of a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlint.worker.tracing.parameters import connections


@pytest.mark.parametrize(
    ("layer", "fans"),
    [
        (nn.ConvTranspose2d(8, 6, 4, stride=2), (32, 96)),
        (nn.ConvTranspose2d(8, 6, 2, stride=2), (8, 24)),
        (nn.ConvTranspose2d(8, 6, 3), (72, 54)),
        (nn.ConvTranspose2d(8, 8, 4, stride=2, groups=4), (8, 32)),
    ],
    ids=["overlapping", "side by side", "without a stride", "in groups"],
)
def test_an_output_of_a_transposed_convolution_sums_what_meets_there(
    layer: nn.ConvTranspose2d, fans: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        layer.weight.normal_()
        output = layer(torch.randn(64, 8, 12, 12))[:, :, 4:-4, 4:-4]
        measured = output.var() / layer.weight.square().mean()
    assert connections(layer.weight, layer) == fans
    assert float(measured) == pytest.approx(fans[0], rel=0.15)


def test_a_vector_connects_nothing() -> None:
    layer = nn.LayerNorm(4)
    assert connections(layer.weight, layer) == (0, 0)
