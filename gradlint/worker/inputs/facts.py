"""What a live model tells about the inputs it wants: its first layers and its attributes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from torch import nn

from gradlint.worker.running.attempt import tried

_CONVOLUTIONS = {
    nn.Conv1d: 1,
    nn.Conv2d: 2,
    nn.Conv3d: 3,
    nn.ConvTranspose1d: 1,
    nn.ConvTranspose2d: 2,
    nn.ConvTranspose3d: 3,
    nn.BatchNorm2d: 2,
    nn.BatchNorm3d: 3,
    nn.InstanceNorm1d: 1,
    nn.InstanceNorm2d: 2,
    nn.InstanceNorm3d: 3,
}
_RGB = 3
CHANNELS = ("in_channels", "num_features", "num_channels")
"""What layers call the number of channels that they take."""
_SEQUENCES = (
    nn.MultiheadAttention,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
_SIDES = (
    "img_size",
    "image_size",
    "input_size",
    "input_resolution",
    "resolution",
    "image_resolution",
)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_COLOURS = 4
"""Channels of an image, at most; what has more of them than this is a side."""
_NEST = 3
SPECIAL_TOKEN = re.compile(r"\w+_token_(id|index)")
"""What configurations call a token that stands for something else than a word."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A view of one live model; `given` is what it was constructed with, as far as is known."""

    model: nn.Module
    given: Mapping[str, object] = field(default_factory=dict)

    def leaves(self) -> Iterator[nn.Module]:
        """Modules that hold parameters themselves or model sequences, in registration order."""
        for module in self.model.modules():
            if isinstance(module, _SEQUENCES) or any(
                own is not None for own in module._parameters.values()
            ):
                yield module

    def first(self, *kinds: type[nn.Module]) -> nn.Module | None:
        """The first module of one of these kinds, or None."""
        return next((module for module in self.model.modules() if isinstance(module, kinds)), None)

    def layer(self, without: Collection[int] = ()) -> nn.Module | None:
        """The first layer whose input is known, those whose `id` is in `without` left out."""
        known = (*_CONVOLUTIONS, *_SEQUENCES, nn.RNNBase, nn.RNNCellBase, nn.Embedding, nn.Linear)
        known = (*known, nn.BatchNorm1d, nn.LayerNorm, nn.GroupNorm, nn.EmbeddingBag, nn.Bilinear)
        leaves = (leaf for leaf in self.leaves() if id(leaf) not in without)
        return next((leaf for leaf in leaves if isinstance(leaf, known)), None)

    def number(self, *names: str) -> int | None:
        """An attribute of the model or of its configuration that is a positive whole number."""
        for name in names:
            for holder in self._holders():
                value = holder.get(name)
                if type(value) is int and value > 0:
                    return value
        return None

    def token(self, name: re.Pattern[str]) -> int | None:
        """The special token that a configuration has under such a name."""
        for holder in self._holders():
            for key, value in holder.items():
                if name.fullmatch(key) and type(value) is int and value >= 0:
                    return value
        return None

    def sides(self) -> tuple[int, ...] | None:
        """The size of the images the model was made for, as an attribute of any module says.

        What the model itself and its configuration say comes before what its parts do, because
        those may be made for what others made of an image.
        """
        # because what a recurrent layer calls its input size is a number of features
        modules = (m for m in self.model.modules() if not isinstance(m, _RECURRENT))
        holders: list[Mapping[str, object]] = [*map(vars, modules), self.given]
        holders.insert(1, {"image_size": self.number("image_size")})
        for holder in holders:
            for name in _SIDES:
                value = holder.get(name)
                if (
                    isinstance(value, (tuple, list))
                    and value
                    and all(type(v) is int for v in value)
                ):
                    return tuple(side for side in value if side > _COLOURS) or tuple(value)
                if type(value) is int and value >= 8:
                    return (value,)
        return None

    def is_of_patches(self, features: int) -> bool:
        """Whether so many are the pixels of a patch, in three colours, as the model cuts them."""
        for holder in (*map(vars, self.model.modules()), self.given):
            size = holder.get("patch_size")
            sides = size if isinstance(size, tuple) else (size, size)
            if all(type(side) is int for side in sides):
                return features == _RGB * math.prod(sides)
        return False

    def published(self) -> int | None:
        """The side of the images that the weights of a published architecture were trained on."""
        for module in self.model.modules():
            for name in ("default_cfg", "pretrained_cfg"):
                configuration = vars(module).get(name)
                size = configuration.get("input_size") if isinstance(configuration, dict) else None
                if isinstance(size, (tuple, list)) and isinstance(size[-1], int):
                    return size[-1]
        size = vars(self.model).get("in_size")
        return size[-1] if isinstance(size, tuple) and type(size[-1]) is int else None

    def spatial(self) -> int:
        """How many spatial dimensions images have: those of the first convolution, else as told.

        That is by an argument, or by what the class is called; 2 where nothing tells.
        """
        layer = self.first(*_CONVOLUTIONS)
        if layer is not None:
            return spatial_of(layer)
        told = self.number("spatial_dims", "spatial_dim", "ndim", "ndims", "n_dims")
        called = re.search(r"([123])[dD]", type(self.model).__name__)
        return told if told in (1, 2, 3) else int(called[1]) if called else 2

    def tokens(self) -> int | None:
        """How many tokens the model's own table knows, or the one with the largest vocabulary."""
        own = getattr(self.model, "get_input_embeddings", None)
        table = tried(own).value if callable(own) else None
        if isinstance(table, nn.Embedding):
            return self.plain(table.num_embeddings)
        tables = [m.num_embeddings for m in self.model.modules() if isinstance(m, nn.Embedding)]
        return self.plain(max(tables)) if tables else None

    def plain(self, size: int) -> int:
        """How many tokens of a vocabulary stand for words, because one for an image needs it."""
        special = (token for token in self._special_tokens() if size // 2 <= token < size)
        return min(special, default=size)

    def hidden(self) -> int:
        """The size of a hidden state."""
        recurrent = self.first(nn.RNNBase, nn.RNNCellBase)
        if recurrent is not None:
            return cast(int, recurrent.hidden_size)
        named = self.number(
            "hidden_size", "hidden_dim", "hidden", "n_hidden", "hidden_channels", "nhid"
        )
        return named or 16

    def _special_tokens(self) -> Iterator[int]:
        """Tokens that stand for something else than a word, such as `image_token_id`."""
        for holder in self._holders():
            for name, value in holder.items():
                if SPECIAL_TOKEN.fullmatch(name) and type(value) is int:
                    yield value

    def _holders(self) -> Iterator[Mapping[str, object]]:
        modules = list(self.model.modules())[:_NEST]
        yield from (vars(module) for module in modules)
        for name in ("config", "_internal_dict", "cfg", "args", "opt", "hparams"):
            configuration = vars(self.model).get(name)
            if isinstance(configuration, dict):
                yield configuration
            elif hasattr(configuration, "__dict__"):
                values = vars(configuration)
                yield values
                yield from (vars(part) for name, part in values.items() if _is_part(name, part))
        yield self.given


def _is_part(name: str, value: object) -> bool:
    return name.endswith("_config") and hasattr(value, "__dict__")


def spatial_of(layer: nn.Module) -> int:
    """The number of spatial dimensions of a convolution's input."""
    return next((count for kind, count in _CONVOLUTIONS.items() if isinstance(layer, kind)), 2)


def channels_of(layer: nn.Module) -> int:
    """The number of channels that a convolution or normalisation takes; a lazy one takes any."""
    told = (cast(int, getattr(layer, name)) for name in CHANNELS if hasattr(layer, name))
    return next(told, _RGB) or _RGB
