"""What arguments are that hold images, their patches, what was made of them, and spectrograms."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

from torch import nn

from gradlint.worker.inputs.facts import Facts, channels_of
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.specs import (
    PACKED,
    Cells,
    Dim,
    Extents,
    Filled,
    Grid,
    Kinds,
    Normal,
    Spec,
    Whole,
)

_IMAGE = re.compile(r"(\w*_)?(images?|imgs?|pixel_values|pixels|picture|photo)(_?\w)?")
_GRID = re.compile(r"(\w+_)?grid_(thw|hws?)")
_MERGED = re.compile(r"(\w+_)?merge_sizes")
_CELLS = re.compile(r"(pixel|patch|image)\w*_position\w*")
_SHAPES = re.compile(r"(\w+_)?spatial_shapes?")
_FEATURES = re.compile(r"\w+_(feats?|features|embeds?|embeddings|hidden_states)")
_KINDS = re.compile(r"(\w+_)?token_type_ids|(image|img)_\w*(position|pos)_mask")
_AXES = re.compile(r"(img|image|txt|text|latent|video)_ids")
_EXTENTS = re.compile(r"(image|original|target)_sizes")
_EXTENT = re.compile(r"(image|original|target)_size|crop_(coords|size)|resolution")
"""What has a height and a width for each image where it is a tensor, else those of all images."""
_SEEING = re.compile(r"patch|vis|image")
_PLACES = re.compile(r"(\w+_)?(pos|bbox(es)?|boxes)")
_BINS = re.compile(r"mel|bin|freq|band")
_SPECTRUM = re.compile(r"input_(values|features)|(mel_?)?spec(trogram)?s?|mels?")


def is_image(name: str) -> bool:
    """Whether an argument holds images by its name."""
    return _IMAGE.fullmatch(name) is not None


def counts_patches(name: str) -> bool:
    """Whether an argument tells by its name how many patches each image has, whatever takes it."""
    return any(pattern.fullmatch(name) for pattern in (_GRID, _MERGED, _SHAPES))


def packed_patches(role: Role) -> Iterator[Spec]:
    """The patches of all images in one row, where `forward` must be told how many each has."""
    image = is_image(role.lower)
    beside = role.forward.optional if image else ()
    names = [name.lower() for name in (*role.forward.required, *beside)]
    told = any(map(_GRID.fullmatch, names))
    for pattern, count in ((_CELLS, "cells"), (_SHAPES, "patches")):
        if image and any(map(pattern.fullmatch, names)):
            yield from _in_rows(role, count)
    if not told or _GRID.fullmatch(role.lower) or (role.index and not image):
        return
    layer = _first_of_patches(role.facts)
    if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
        whole = (layer.in_channels, *layer.kernel_size)
        yield Normal((*PACKED, math.prod(whole)))
        yield Normal((*PACKED, *whole))
    elif isinstance(layer, nn.Linear):
        yield Normal((*PACKED, layer.in_features))


def _in_rows(role: Role, count: str) -> Iterator[Spec]:
    """The patches of each image in a row of its own, where `forward` must be told where each is."""
    layer = _first_of_patches(role.facts)
    if isinstance(layer, nn.Linear):
        yield Normal(("batch", count, layer.in_features))


def _first_of_patches(facts: Facts) -> nn.Module | None:
    """The layer that embeds patches, by its place in the model, or the first that might."""
    kinds = (nn.Conv2d, nn.Conv3d, nn.Linear)
    parts = facts.model.named_modules()
    named = (part for path, part in parts if isinstance(part, kinds) and _SEEING.search(path))
    return next(named, facts.first(*kinds))


def takes_images(role: Role) -> bool:
    """Whether an argument is called an image where a part embeds images, be it beside a text."""
    return (
        is_image(role.lower)
        and role.facts.first(nn.Conv2d) is not None
        and not isinstance(role.consumer(), nn.Embedding)
    )


def _image(role: Role) -> Iterator[Spec]:
    layer = role.facts.first(nn.Conv2d)
    if layer is not None and (role.consumer() is None or isinstance(role.main(), Whole)):
        yield Normal(("batch", channels_of(layer), "height", "width"))


def _extents(role: Role) -> Iterator[Spec]:
    yield Extents()


def _extent(role: Role) -> Iterator[Spec]:
    if role.index and role.forward.annotations.get(role.name, "").endswith("Tensor"):
        yield Extents()


def _kinds(role: Role) -> Iterator[Spec]:
    yield Kinds(("batch", "time"))


def _spectrum(role: Role) -> Iterator[Spec]:
    """A spectrogram that is taken for an image of one channel: a row for each frame.

    Or for each bin, where `forward` has names for the sides that say so.
    """
    layer, bins = role.facts.first(nn.Conv2d), role.facts.number("num_mel_bins", "n_mels")
    if isinstance(layer, nn.Conv2d) and layer.in_channels == 1 and bins:
        frames: Dim = role.facts.number("max_length", "max_frames") or "time"
        if any(_BINS.search(side) for side in role.forward.shape_names(role.name)[1:2]):
            yield Normal(("batch", bins, frames))
        yield Normal(("batch", frames, bins))
    signal = role.facts.first(nn.Conv1d)
    if role.index and isinstance(signal, nn.Conv1d) and role.consumer() is None:
        yield Normal(("batch", signal.in_channels, "length"))


def _grid(role: Role) -> Iterator[Spec]:
    yield Grid(3 if role.lower.endswith("thw") else 2)


def _shapes(role: Role) -> Iterator[Spec]:
    """How many patches each image has along its height and its width."""
    if any(map(is_image, (*role.forward.required, *role.forward.optional))):
        yield Grid(2)


def _merged(role: Role) -> Iterator[Spec]:
    """How many patches of a side of each image become one."""
    side = role.facts.number("spatial_merge_size", "merge_size") or 1
    yield Filled(("batch",), side, "int64")


def _places_of_patches(role: Role) -> Iterator[Spec]:
    """The column and the row of each patch of an image."""
    yield Cells(("batch", "cells", 2))


def _features_of(role: Role) -> Iterator[Spec]:
    """What another model made of an image or a text."""
    if role.consumer() is None and (role.index or isinstance(role.main(), Whole)):
        yield Normal(("batch", "source" if role.index else "time", role.facts.hidden()))


def _axes(role: Role) -> Iterator[Spec]:
    """Where each step of a sequence stands: its frame, its row and its column."""
    for axes in (3, 4):
        yield Whole(("time", axes), 8)
        yield Whole(("batch", "time", axes), 8)


def _places(role: Role) -> Iterator[Spec]:
    if role.index and role.consumer() is None:
        yield Normal(("batch", "source", 4))


Idea = tuple[re.Pattern[str], Callable[[Role], Iterator[Spec]]]
KINDS: Idea = (_KINDS, _kinds)
"""The names of the kinds of tokens, and what they may be."""
CELLS: Idea = (_CELLS, _places_of_patches)
"""The names of the places of patches, and what they may be."""
IMAGES: Idea = (_IMAGE, _image)
"""The names of images, and ideas for them."""
VISION: tuple[Idea, ...] = (
    (_AXES, _axes),
    (_EXTENTS, _extents),
    (_EXTENT, _extent),
    (_SPECTRUM, _spectrum),
    (_GRID, _grid),
    (_SHAPES, _shapes),
    (_MERGED, _merged),
    (_FEATURES, _features_of),
    (_PLACES, _places),
)
"""Names that mean something beside images, and ideas for them, the likeliest first."""
