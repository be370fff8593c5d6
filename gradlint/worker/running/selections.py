"""Results that are as long as values say, among tensors that have none: as if all were chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch


def of_all(func: Callable[..., object], args: Sequence[object]) -> object:
    """What an operation gives where its mask lets everything through and no two values are alike.

    Boxes, tokens and pairs are chosen by masks. Of none the rest of a forward pass would not exist,
    and what one mask chooses from two tensors fits together in this way, too.

    Raises:
        NotImplementedError: `func` is not known to choose.
    """
    name = getattr(func, "_schema").name.partition("::")[2]  # noqa: B009
    value = cast(torch.Tensor, args[0])
    match name:
        case "nonzero":
            return _places((value.numel(), value.dim()))
        case "masked_select":
            return torch.broadcast_tensors(value, cast(torch.Tensor, args[1]))[0].flatten()
        case "index":
            return func(value, [p for item in cast(list[object], args[1]) for p in _indices(item)])
        case "_unique2":
            return value.flatten(), _places(value.shape), _places((value.numel(),))
    raise NotImplementedError(name)


def _indices(index: object) -> list[object]:
    """An index as it is, a mask as the places that it lets through: one tensor a dimension."""
    if isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8):
        return [_places((index.numel(),)) for _ in index.shape]
    return [index]


def _places(shape: Sequence[int]) -> torch.Tensor:
    return torch.zeros(tuple(shape), dtype=torch.int64)
