"""Attention whose scores a function of the program changes, without a kernel of its own."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Protocol

import torch

from gradlint.worker.running.replacing import replaced

Mask = Callable[..., torch.Tensor]
_FLEXIBLE = ("torch.nn.attention.flex_attention", "flex_attention")


class BlockMask(Protocol):
    """What torch calls the mask that goes with such an attention."""

    mask_mod: Mask


@contextlib.contextmanager
def without_kernels() -> Iterator[None]:
    """Within it such an attention is made of plain operations.

    Because that of torch has gradients on accelerators alone, and hides its calls.
    """
    with replaced(*_FLEXIBLE, _flexible):
        yield


def _flexible(*args: object, **kwargs: object) -> object:
    from gradlint.worker.running.flexible import attention as plain

    return plain(*args, **kwargs)  # type: ignore[arg-type]


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    score_mod: Mask | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: object = None,
    *,
    return_aux: object = None,
) -> object:
    """The same as torch's function of this kind, which says what the arguments mean.

    Returns:
        The output of shape (batch, heads, queries, features), and the logarithms of the sums of
        the exponentials of the scores beside it where these are asked for.
    """
    if enable_gqa:
        shared = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    scores = query @ key.transpose(-2, -1)
    scores = scores * (scale if scale is not None else 1 / math.sqrt(query.shape[-1]))
    places = tuple(_places(scores))
    if score_mod is not None:
        scores = score_mod(scores, *places)
    if block_mask is None:
        weights = scores.softmax(-1)
    else:
        kept = block_mask.mask_mod(*places)
        nothing = ~kept.any(-1, keepdim=True)  # because what sees nothing gets zeros
        scores = scores.masked_fill(~kept, -math.inf)
        weights = scores.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0)
    output = weights.to(value.dtype) @ value
    if return_aux is not None:
        kind = getattr(torch.nn.attention.flex_attention, "AuxOutput")  # noqa: B009
        return output, kind(lse=scores.logsumexp(-1), max_scores=scores.amax(-1))
    return (output, scores.logsumexp(-1)) if return_lse else output


def _places(scores: torch.Tensor) -> Iterator[torch.Tensor]:
    """The numbers of the batch, the head, the query and the key of each score."""
    for axis, size in enumerate(scores.shape):
        numbers = torch.arange(size, device=scores.device)
        yield numbers.view([-1 if other == axis else 1 for other in range(scores.dim())])
