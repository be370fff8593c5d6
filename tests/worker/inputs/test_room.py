from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlint.worker.inputs.room import Narrow
from gradlint.worker.inputs.search import Search
from gradlint.worker.inputs.specs import described


class Halving(nn.Module):
    """Convolutions that each halve an image or a signal, with one that looks around at the end."""

    def __init__(self, times: int, kind: type[nn.Conv1d | nn.Conv2d] = nn.Conv2d) -> None:
        super().__init__()
        self.halves = nn.Sequential(*(kind(3, 3, 3, stride=2, padding=1) for _ in range(times)))
        self.last: nn.Module = kind(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(self.halves(x))
        return result


class Attending(nn.Module):
    """Attention among patches of 32 pixels."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.patches, self.fused = nn.Conv2d(3, 8, 32, 32), fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).mT
        if self.fused:
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        result: torch.Tensor = (tokens @ tokens.mT).softmax(-1) @ tokens
        return result


class Padding(Halving):
    """The last convolution stands behind a padding of its own."""

    def __init__(self) -> None:
        super().__init__(5)
        self.last = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 3, 3))


class Gated(nn.Module):
    """One number for each channel, made by a convolution that looks around what was pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.gate = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.image(x)
        result: torch.Tensor = maps * self.gate(maps.mean((2, 3), keepdim=True)).sigmoid()
        return result


class Known(Halving):
    """The same, and it says how large its images are."""

    def __init__(self) -> None:
        super().__init__(5)
        self.image_size = 32


class Framed(nn.Module):
    """Attention among frames of a waveform, whose last frame is filled up."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.frames, self.size = nn.Conv1d(channels, 8, 400, 400), 400

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        filled = nn.functional.pad(x, (0, -x.shape[-1] % self.size))
        tokens = self.frames(filled).mT
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)


class Filled(Framed):
    """The same without attention."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.frames(nn.functional.pad(x, (0, -x.shape[-1] % self.size)))
        return result


ROOM = {
    "frames of a waveform": (Framed(), "float32[8,1,4096]"),
    "a frame of which little was not filled up": (Filled(), "float32[8,1,4096]"),
    "other signals grow only as long as that helps": (Framed(16), "float32[8,16,64]"),
    "nothing is cramped": (Halving(3), "float32[8,3,32,32]"),
    "a network that halves its images five times": (Halving(5), "float32[8,3,64,64]"),
    "one that halves them seven times": (Halving(7), "float32[8,3,256,256]"),
    "signals": (Halving(6, nn.Conv1d), "float32[8,3,128]"),
    "attention among few patches": (Attending(), "float32[8,3,64,64]"),
    "fused attention among few patches": (Attending(fused=True), "float32[8,3,64,64]"),
    "a padding in front of a convolution": (Padding(), "float32[8,3,64,64]"),
    "no image is large enough": (Gated(), "float32[8,3,32,32]"),
    "the model says how large its images are": (Known(), "float32[8,3,32,32]"),
}


@pytest.mark.parametrize(("model", "expected"), ROOM.values(), ids=ROOM.keys())
def test_images_and_signals_have_room_for_what_looks_around(
    model: nn.Module, expected: str
) -> None:
    args, _ = Search(model).found().drawn()
    assert described(args[0]) == expected


def test_a_sequence_length_that_was_asked_for_is_kept() -> None:
    args, _ = Search(Halving(6, nn.Conv1d), sequence_length=64).found().drawn()
    assert described(args[0]) == "float32[8,3,64]"


def test_hooks_are_gone_once_a_model_is_watched() -> None:
    model, narrow = Halving(5), Narrow()
    with narrow.watching(model):
        model(torch.randn(1, 3, 32, 32))
    assert narrow.count == 1
    model(torch.randn(1, 3, 32, 32))
    assert narrow.count == 1


class Captioned(nn.Module):
    """Images with a text beside each."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = Halving(5), nn.Embedding(9, 3)

    def forward(self, image: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.image(image).mean((2, 3)) + self.text(tokens).mean(1)
        return result


def test_a_text_beside_larger_images_stays_as_long() -> None:
    args, _ = Search(Captioned()).found().drawn()
    assert list(map(described, args)) == ["float32[8,3,64,64]", "int64[8,32]"]
