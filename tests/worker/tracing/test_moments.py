from __future__ import annotations

import math

import pytest
import torch

from gradlint.worker.tracing.moments import moments

LARGE = 3 * (1 << 16) + 5


def test_the_moments_of_a_large_tensor_are_those_of_all_its_pieces() -> None:
    values = torch.randn(LARGE, generator=torch.Generator().manual_seed(0)) + 3.0
    wide = values.double()
    found = moments(values)
    assert found.mean == pytest.approx(float(wide.mean()), rel=1e-12)
    assert found.square == pytest.approx(float(wide.square().mean()), rel=1e-12)
    assert found.largest == float(wide.abs().max())


@pytest.mark.parametrize("place", [0, LARGE - 1])
def test_what_is_not_a_number_in_any_piece_is_told(place: int) -> None:
    values = torch.zeros(LARGE)
    values[place] = math.nan
    found = moments(values)
    assert all(map(math.isnan, (found.mean, found.square, found.largest)))


def test_of_complex_numbers_the_magnitudes_count() -> None:
    assert moments(torch.tensor([3 + 4j])).square == pytest.approx(25.0)


def test_an_empty_tensor_has_zeros() -> None:
    found = moments(torch.empty(0, 3))
    assert (found.mean, found.square, found.largest) == (0.0, 0.0, 0.0)
