from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gradlint.worker.running.imagined import Imagination
from gradlint.worker.running.wording import worded

DISAGREEING: dict[str, Callable[[], torch.Tensor]] = {
    "a product": lambda: torch.zeros(2, 3) @ torch.zeros(4, 5),
    "a linear layer": lambda: torch.nn.functional.linear(torch.zeros(2, 3), torch.zeros(5, 4)),
    "a sum": lambda: torch.zeros(2, 3, 5) + torch.zeros(4, 1),
    "a product of elements": lambda: torch.zeros(2, 6, 5) * torch.zeros(1, 4, 5),
}


@pytest.mark.parametrize("call", DISAGREEING.values(), ids=DISAGREEING.keys())
def test_imagined_tensors_complain_in_the_words_of_real_ones(
    call: Callable[[], torch.Tensor],
) -> None:
    with pytest.raises(RuntimeError) as real:
        call()
    with Imagination().running(), pytest.raises(RuntimeError) as imagined:
        call()
    assert worded(imagined.value) == worded(real.value) == str(real.value)
