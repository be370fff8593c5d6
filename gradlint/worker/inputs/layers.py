"""What the first layer of a model takes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterator

from torch import nn
from torch.nn.parameter import UninitializedParameter

from gradlint.worker.inputs.facts import CHANNELS, Facts, channels_of, spatial_of
from gradlint.worker.inputs.specs import SPATIAL, Dim, Normal, Shape, Spec, Whole

_COLOURS = 3


def last_size(main: Spec) -> Dim:
    """The size of the last dimension, 16 where that is not fixed."""
    return main.shape[-1] if isinstance(main, Normal) and isinstance(main.shape[-1], int) else 16


def main_spec(facts: Facts, without: Collection[int] = ()) -> Spec:
    """What the model's first layer takes, those whose `id` is in `without` left out."""
    layer = facts.layer(without)
    return (_taken(facts, layer) if layer is not None else None) or _from_attributes(facts)


def spec_of(facts: Facts) -> Spec | None:
    """What a submodule takes, None where it has no layer whose input is known."""
    layer = facts.layer()
    return _taken(facts, layer) if layer is not None else None


def _taken(facts: Facts, layer: nn.Module) -> Spec | None:
    """What the first layer takes, or the image whose patches an unfolding before it cuts."""
    known = _of_layer(facts, layer)
    before = itertools.takewhile(lambda module: module is not layer, facts.model.modules())
    cut = next((module for module in before if isinstance(module, nn.Unfold)), None)
    if cut is None or not isinstance(known, Normal):
        return known
    size = cut.kernel_size
    area = math.prod(size) if isinstance(size, tuple) else size * size
    channels, rest = divmod(int(last_size(known)), area)
    return known if rest else Normal(("batch", channels, *SPATIAL[1]))


def _of_layer(facts: Facts, layer: nn.Module) -> Spec | None:
    match layer:
        case nn.Embedding() | nn.EmbeddingBag():
            return Whole(("batch", "time"), _vocabulary(facts, layer))
        case nn.RNNBase():
            return recurrent(layer)
        case nn.RNNCellBase():
            return Normal(("batch", layer.input_size))
        case nn.Linear(in_features=int(pixels)) | nn.LayerNorm(normalized_shape=(int(pixels),)) if (
            facts.is_of_patches(pixels)
        ):
            return Normal(("batch", _COLOURS, "height", "width"))
        case nn.Linear() | nn.Bilinear():
            # because attention and layer norms stand over sequences
            sequence = facts.first(nn.MultiheadAttention, nn.LayerNorm) or asks(facts, layer)
            features = layer.in_features if isinstance(layer, nn.Linear) else layer.in1_features
            # because a lazy layer takes any number of features
            return Normal(("batch", *(("time",) if sequence else ()), features or "features"))
        case nn.LayerNorm():
            return Normal(("batch", "time", *layer.normalized_shape))
        case nn.MultiheadAttention():
            return _sequence(layer.batch_first, layer.embed_dim)
        case nn.BatchNorm1d():
            return Normal(("batch", layer.num_features))
        case nn.Module() if any(hasattr(layer, name) for name in CHANNELS):
            return _image(facts, layer)
        case nn.Module():
            return _transformer(facts)


_QUERIES = re.compile(r"(to_|w_?|c_)?(q|qk|kv|qkv|quer(y|ies)|attn)(_?(proj|linear|layer))?")


def asks(facts: Facts, layer: nn.Module | None) -> bool:
    """Whether a layer makes the queries of an attention, which has no choice among one token."""
    return _is_called(facts, layer, _QUERIES)


_KEYS = re.compile(r"(to_|w_?|c_)?(k|v|kv|key|value)(_?(proj|linear|layer))?")


def is_of_keys(facts: Facts, layer: nn.Module) -> bool:
    """Whether a layer makes the keys or the values of an attention."""
    return _is_called(facts, layer, _KEYS)


def _is_called(facts: Facts, layer: nn.Module | None, pattern: re.Pattern[str]) -> bool:
    named = (name for name, part in facts.model.named_modules() if part is layer)
    return any(pattern.fullmatch(name.lower().rpartition(".")[2]) for name in named)


def _image(facts: Facts, layer: nn.Module) -> Spec:
    """Images, signals or volumes; upsampling that starts from nothing takes single pixels."""
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        unpadded = not any(side for side in layer.padding) and layer.kernel_size[0] > 2
        side = 1 if unpadded else 8
        return Normal(("batch", layer.in_channels, *(side,) * spatial_of(layer)))
    spatial = facts.spatial() if isinstance(layer, nn.GroupNorm) else spatial_of(layer)
    return Normal(("batch", channels_of(layer), *SPATIAL[spatial - 1]))


def _vocabulary(facts: Facts, layer: nn.Embedding | nn.EmbeddingBag) -> int:
    named = facts.number("vocab_size", "n_vocab", "vocab", "num_tokens", "ntoken", "src_vocab_size")
    return facts.plain(min(layer.num_embeddings, named) if named else layer.num_embeddings)


def recurrent(layer: nn.RNNBase) -> Spec:
    """The input of an RNN, LSTM or GRU."""
    return _sequence(layer.batch_first, layer.input_size)


def _sequence(batch_first: bool, features: int) -> Spec:
    return Normal(("batch", "time", features) if batch_first else ("time", "batch", features))


def _transformer(facts: Facts) -> Spec:
    attention = facts.first(nn.MultiheadAttention)
    if isinstance(attention, nn.MultiheadAttention):
        return _sequence(attention.batch_first, attention.embed_dim)
    return Normal(("batch", "time", "features"))


def _from_attributes(facts: Facts) -> Spec:
    """Without a layer of torch's own: by the shapes of the model's own parameters."""
    channels = facts.number("in_channels", "in_chans", "channels", "num_channels")
    features = facts.number("in_features", "input_size", "input_dim", "in_dim", "dim", "embed_dim")
    parameters = [p for p in facts.model.parameters() if not isinstance(p, UninitializedParameter)]
    matrix = any(parameter.dim() == 2 for parameter in parameters)
    if len(parameters) < sum(1 for _ in facts.model.parameters()):
        return Normal(("batch", features or "features"))  # because a lazy layer takes any number
    if channels and not features and not matrix:
        return Normal(("batch", channels, *SPATIAL[facts.spatial() - 1]))
    spatial = re.search("([123])d", type(facts.model).__name__)
    for parameter in parameters:
        if parameter.dim() >= 3 and (met := _met_by(parameter.shape)):
            return Normal(met)
        if parameter.dim() >= 3:
            return Normal(("batch", parameter.shape[1], *SPATIAL[min(parameter.dim() - 3, 2)]))
        if parameter.dim() == 2:
            return Normal(("batch", features or channels or parameter.shape[-1]))
        if parameter.dim() == 1 and parameter.numel() > 1 and spatial:
            return Normal(("batch", parameter.numel(), *SPATIAL[int(spatial[1]) - 1]))
        if parameter.dim() == 1 and parameter.numel() > 1:
            return Normal(("batch", "time", parameter.numel()))
    return Normal(("batch", features) if features else ("batch", 3, "height", "width"))


def _met_by(shape: tuple[int, ...]) -> Shape:
    """The shape of what a parameter is broadcast over, () where no size of it is 1 or all are.

    A row of ones at its end stands for the sides of an image, others for places of a sequence.
    """
    own = tuple(size for size in shape if size > 1)
    if not own or len(own) == len(shape):
        return ()
    inner = shape[1:] if shape[0] == 1 else shape
    flat = len(inner) - next(i for i, size in enumerate(reversed(inner)) if size > 1)
    sides = SPATIAL[min(len(inner) - flat, len(SPATIAL)) - 1] if flat < len(inner) else ()
    return ("batch", *(size if size > 1 else "time" for size in inner[:flat]), *sides)


def others(facts: Facts, main: Spec) -> Iterator[Spec]:
    """What else a model's main input may be, of every usual rank."""
    size = last_size(main)
    if isinstance(main, Normal):
        size = next((dim for dim in main.shape if isinstance(dim, int)), size)
    tokens = facts.tokens()
    if tokens:
        yield Whole(("batch", "time"), tokens)
        yield Whole(("batch",), tokens)
    convolution = facts.first(nn.Conv2d, nn.Conv1d, nn.Conv3d)
    if convolution is not None:
        yield Normal(("batch", channels_of(convolution), *SPATIAL[spatial_of(convolution) - 1]))
    yield Normal(("batch", "time", size))
    yield Normal(("batch", size))
    yield Normal(("batch", size, "height", "width"))
    yield Normal(("batch", size, "length"))
    yield Normal(("batch", 3, "height", "width"))
    yield Normal(("batch", "time", size, "height", "width"))
    yield Whole(("batch", "time"), tokens or 2)
