"""Sums over tensors, piece by piece: a copy of a large one as a whole takes ten times as long."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from gradlint.worker.running.imagined import Values

_PIECE = 1 << 16  # numbers, so that a piece stays in the cache of a processor


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """All numbers of a tensor in rows of some ten thousand."""
    yield from tensor.detach().reshape(-1).split(_PIECE)


def moments(tensor: torch.Tensor) -> Values:
    """Mean, mean square and largest magnitude, summed in double precision; zeros where empty.

    Of complex numbers the magnitudes count.
    """
    total = square = largest = 0.0
    for piece in pieces(tensor) if tensor.numel() else ():
        wide = (piece.abs() if piece.is_complex() else piece).double()
        total += float(wide.sum())
        square += float(wide.dot(wide))
        top = float(wide.abs().max())
        largest = top if top > largest or math.isnan(top) else largest
    count = max(tensor.numel(), 1)
    return Values(total / count, square / count, largest)
