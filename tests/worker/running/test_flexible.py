"""Attention whose scores a function changes: as torch's own, with gradients on any device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import flex_attention as own
from torch.nn.functional import scaled_dot_product_attention

from gradlint.worker.building.build import build
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.flexible import attention
from tests.worker.models import module_of, request

Mask = Callable[..., torch.Tensor]
_BIAS = torch.randn(4, generator=torch.Generator().manual_seed(0))


def _earlier(batch: object, head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return query >= key


def _much_earlier(
    batch: object, head: object, query: torch.Tensor, key: torch.Tensor
) -> torch.Tensor:
    return query >= key + 2


def _biased(
    score: torch.Tensor, batch: object, head: torch.Tensor, query: object, key: object
) -> torch.Tensor:
    return score + _BIAS[head]


def _taken() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8), torch.randn(2, 2, 6, 8)


def _output(mask: Mask | None = None, score: Mask | None = None) -> torch.Tensor:
    block = own.create_block_mask(mask, None, None, 6, 6, device="cpu") if mask else None
    result = attention(*_taken(), score, block, enable_gqa=True)
    assert isinstance(result, torch.Tensor)
    return result


def test_a_mask_hides_what_it_does_not_keep() -> None:
    wanted = scaled_dot_product_attention(*_taken(), is_causal=True, enable_gqa=True)
    torch.testing.assert_close(_output(_earlier), wanted)


def test_what_sees_nothing_gets_zeros() -> None:
    output = _output(_much_earlier)
    assert not output[:, :, :2].any()
    assert output[:, :, 2:].all()


def test_scores_are_changed_by_head() -> None:
    bias = _BIAS.view(1, 4, 1, 1).expand(1, 4, 6, 6)
    wanted = scaled_dot_product_attention(*_taken(), attn_mask=bias, enable_gqa=True)
    torch.testing.assert_close(_output(score=_biased), wanted)


def test_what_the_scores_add_up_to_is_told_where_it_is_asked_for() -> None:
    query, key, value = torch.randn(3, 2, 4, 6, 8)
    result = attention(query, key, value, scale=1.0, return_lse=True)
    assert isinstance(result, tuple)
    torch.testing.assert_close(result[1], (query @ key.mT).logsumexp(-1))


_NET = """
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention


    def earlier(b, h, q, k):
        return q >= k

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(32, 96)

        def forward(self, x):
            b, t, d = x.shape
            q, k, v = self.qkv(x).view(b, t, 3, 4, -1).permute(2, 0, 3, 1, 4)
            mask = create_block_mask(earlier, None, None, t, t, device="cuda")
            return flex_attention(q, k, v, block_mask=mask).transpose(1, 2).reshape(b, t, d)
"""


def test_a_model_of_such_attention_runs_with_gradients() -> None:
    built = build(module_of(_NET), request("Net()"))
    args, _ = built.inputs()
    with on_cpu():
        model = built.make()
        model(*args).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_torch_is_left_as_it_was() -> None:
    before = own.flex_attention.__code__
    with on_cpu():
        assert own.flex_attention.__code__ is not before
    assert own.flex_attention.__code__ is before
