"""What operations on two tensors say when their sizes disagree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import torch
from torch import nn

from gradlint.worker.inputs.case import (
    SIDES,
    Case,
    dims_of,
    factored,
    larger,
    rescale,
    reshape,
    resize,
    uses,
    uses_of,
)
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import (
    Dim,
    Filled,
    Group,
    Normal,
    Shape,
    Size,
    Spec,
    Whole,
    reshaped,
)
from gradlint.worker.running.attempt import Call, sources_of


def elementwise(case: Case) -> Iterator[Guess]:
    """Two tensors whose sizes meet in a sum, a product or a comparison and disagree."""
    found = re.search(
        r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\)", case.failure.text
    )
    found = found or re.search(
        r"\[[\d, ]*?(\d+)\].*does not match the shape.*\[[\d, ]*?(\d+)\]", case.failure.text
    )
    call = case.failure.call
    if not found or call is None:
        return
    sizes = int(found[1]), int(found[2])
    tensors = met(call)
    if len(tensors) == 2 and not sources_of(tensors[0]):
        tensors, sizes = tensors[::-1], sizes[::-1]
    for tensor in list(filter(sources_of, tensors)) or tensors:
        for item in case.blamed(tensor):
            if isinstance(item.spec, Filled):
                yield from (case.guess.having(item.name, other) for other in item.others)
    yield from _counted(case, *sizes)
    yield from _in_rows(case, tensors)
    yield from (guess for _, guess in stepped(case, tensors))
    yield from _framed(case, tensors)
    yield from _in_depth(case, tensors, sizes[1])
    yield from _at_the_end(case, tensors, sizes[1])
    yield from _masks(case, *sizes)
    if not min(sizes):
        return  # because nothing is left of what was too small
    have, want = sizes
    both = len(tensors) == 2 and all(sources_of(tensor) for tensor in tensors)
    pairs = [(tensors[0], have, want), (tensors[-1], want, have)]
    for tensor, old, new in pairs if both else ():
        yield from _apart(case, tensor, old, new)
    for tensor, old, new in pairs if both else pairs[:1]:
        yield from _evened(case, tensor, old, new)
        if both and _has_sides(case, tensor):
            yield from larger(case)


_EXPANDED = re.compile(
    r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)"
)


def expansion(case: Case) -> Iterator[Guess]:
    """A tensor is expanded to sizes, perhaps those of another tensor, that do not fit its own."""
    call = case.failure.call
    if call is None or call.name not in ("expand", "expand_as"):
        return
    tensors = [tensor for tensor in call.tensors()[:2] if sources_of(tensor)]
    found = _EXPANDED.search(case.failure.text)
    if found:
        target, own = int(found[1]), int(found[2])
        for tensor in tensors:
            first = tensor is call.tensors()[0]
            yield from _evened(case, tensor, *((own, target) if first else (target, own)))
    elif "number of sizes provided" in case.failure.text:
        for tensor in tensors[::-1]:
            for item in case.blamed(tensor):
                dims: Shape = getattr(item.spec, "shape", ())
                shape = (*dims[:1], "time", *dims[1:])
                if tensor is call.tensors()[0]:
                    shape = dims[:1] + dims[2:]
                if len(shape) > 1:
                    yield from reshape(case, item, shape)


def _evened(case: Case, tensor: torch.Tensor, old: int, new: int) -> Iterator[Guess]:
    """What a tensor stems from, changed so that a size of the tensor becomes `new`."""
    items = case.blamed(tensor)
    masks = [item for item in items if isinstance(item.spec, Filled)]
    yield from factored(case, masks, old, new)
    yield from resize(case, items, old, new)
    yield from _of_its_own(case, items, old, new)
    yield from _joined(case, tensor, new - old)
    for extra in range(1, min(new - 1, 3)):
        yield from resize(case, items, old - extra, new - extra)
    if _has_sides(case, tensor):
        yield from _side_of_a_volume(case, old, new)
        yield from _side_of_a_volume(case, old - 1, new - 1)
        videos = [item for item in items if len(case.shape(item.spec)) > 4]
        yield from factored(case, videos, old, new)
        if tensor.dim() == 4:
            yield from rescale(case, (new / old) ** 2)
        yield from rescale(case, new / old)
        if old > 2 and new > 2:
            yield from rescale(case, (new - 1) / (old - 1))


def _of_its_own(case: Case, items: list[Argument], old: int, new: int) -> Iterator[Guess]:
    """A size that several arguments had in common becomes another for one of them."""
    for item in items:
        dims: Shape = getattr(item.spec, "shape", ())
        for index, dim in enumerate(dims):
            named = isinstance(dim, str) and dim != "batch" and "*" not in dim
            if named and case.guess.size[str(dim)] == old and uses_of(case.guess, str(dim)) > 1:
                yield from reshape(case, item, (*dims[:index], new, *dims[index + 1 :]))


def _has_sides(case: Case, tensor: torch.Tensor) -> bool:
    """Whether a tensor stems from images, volumes or signals of any size."""
    return any(dims_of(item.spec) & SIDES for item in case.blamed(tensor))


def met(call: Call) -> list[torch.Tensor]:
    """The two tensors whose sizes met; of attention the keys, as long as the scores, and a mask."""
    tensors = call.tensors()
    mask = call.argument(3, "attn_mask")
    if call.name == "scaled_dot_product_attention" and isinstance(mask, torch.Tensor):
        return [tensors[1], mask]
    return tensors[:2]


def _masks(case: Case, *sizes: int) -> Iterator[Guess]:
    """A mask has one value for all channels."""
    for item in case.guess.arguments:
        dims: Shape = getattr(item.spec, "shape", ())
        if "mask" in item.name and len(dims) == 3 and case.shape(item.spec)[1] in sizes:
            yield from reshape(case, item, (dims[0], 1, dims[2]))


def _in_rows(case: Case, tensors: list[torch.Tensor]) -> Iterator[Guess]:
    """The steps of all samples stand one below the other in one of two, and so in the other."""
    low, high = min(tensors, key=torch.Tensor.dim), max(tensors, key=torch.Tensor.dim)
    if high.dim() == low.dim() + 1 and low.shape[0] == high.shape[0] * high.shape[1]:
        for item in case.blamed(high) if sources_of(high) else ():
            dims: Shape = getattr(item.spec, "shape", ())
            if dims[:2] == ("batch", "time") and case.shape(item.spec) == tuple(high.shape):
                yield from reshape(case, item, ("batch*time", *dims[2:]))


def stepped(case: Case, tensors: list[torch.Tensor]) -> Iterator[tuple[Argument, Guess]]:
    """Of two, one has an axis of steps that the other lacks: what is given that, and the guess."""
    low, high = min(tensors, key=torch.Tensor.dim), max(tensors, key=torch.Tensor.dim)
    for item in case.blamed(low) if high.dim() == low.dim() + 1 else ():
        sizes = case.shape(item.spec)
        if isinstance(item.spec, Normal) and len(sizes) == 2:
            # because a table has a number of rows of its own, unless it is one row for all
            rows: Dim = "time" if sources_of(high) or high.shape[-2] == 1 else high.shape[-2]
            features = sizes[-1] if sources_of(high) or high.shape[-1] == 1 else high.shape[-1]
            yield from ((item, new) for new in reshape(case, item, ("batch", rows, features)))


_IMAGE_RANK = 4


def _framed(case: Case, tensors: list[torch.Tensor]) -> Iterator[Guess]:
    """What meets an image of the model's own for each frame is a video of as many."""
    low, high = min(tensors, key=torch.Tensor.dim), max(tensors, key=torch.Tensor.dim)
    held = low.dim() == _IMAGE_RANK and low.shape[1:] == high.shape[2:] and not sources_of(high)
    for item in case.blamed(low) if held else ():
        dims: Shape = getattr(item.spec, "shape", ())
        if case.shape(item.spec) == tuple(low.shape):
            yield from reshape(case, item, (dims[0], high.shape[1], *dims[1:]))


def _joined(case: Case, tensor: torch.Tensor, missing: int) -> Iterator[Guess]:
    """What was made of several sequences, one after the other, is too short by one of them."""
    items = case.blamed(tensor)
    sequences = all(len(case.shape(item.spec)) > 2 for item in items)
    for item in items if len(items) > 1 and sequences else ():
        dims: Shape = getattr(item.spec, "shape", ())
        sizes = case.shape(item.spec)
        if len(sizes) == 3 and sizes[1] + missing > 0:
            yield from reshape(case, item, (dims[0], sizes[1] + missing, dims[2]))


def _apart(case: Case, tensor: torch.Tensor, old: int, new: int) -> Iterator[Guess]:
    """Of two images one was made smaller before it met the other, as a hint for latents is."""
    sides: Shape = ("height", "width")
    images = [item for item in case.guess.arguments if _shape_of(item.spec)[-2:] == sides]
    for item in images if len(images) > 1 and tensor.dim() == 4 and new % old == 0 else ():
        if item in case.blamed(tensor):
            larger_sides = (case.guess.size[side] * new // old for side in ("height", "width"))
            yield from reshape(case, item, (*_shape_of(item.spec)[:-2], *larger_sides))


def _shape_of(spec: Spec) -> Shape:
    """The shape of a value, or of the first of several."""
    first = spec.items[0] if isinstance(spec, Group) and spec.items else spec
    shape: Shape = getattr(first, "shape", ())
    return shape


_FEW = {"depth": 2, "height": 4, "width": 4}


def _counted(case: Case, *sizes: int) -> Iterator[Guess]:
    """The steps of a sequence are the places of an image or a video, whose sides are told."""
    told = [item.spec.dim for item in case.guess.arguments if isinstance(item.spec, Size)]
    sides = {side: few for side, few in _FEW.items() if side in told}
    if len(sides) > 1 and math.prod(case.guess.size[side] for side in sides) in sizes:
        yield case.guess.sized(**sides, time=math.prod(sides.values()))


def _in_depth(case: Case, tensors: list[torch.Tensor], count: int) -> Iterator[Guess]:
    """Each step of a sequence has a token of each of `count` codebooks, or as many features."""
    if tensors[0].is_floating_point() or tensors[0].dim() == tensors[-1].dim() > 1:
        return  # because it is what became of tokens, or what is added is a row like theirs
    shape: Shape = ("batch", "time", count)
    features = any(tensor.is_floating_point() for tensor in tensors)
    for item in case.blamed(tensors[0]):
        if isinstance(item.spec, Whole) and item.spec.shape == shape[:2]:
            spec = Normal(shape) if features else reshaped(item.spec, shape)
            yield case.guess.having(item.name, spec)


def _at_the_end(case: Case, tensors: list[torch.Tensor], count: int) -> Iterator[Guess]:
    """Each of `count` channels has a number of its own, so they stand in the last dimension."""
    flat = len(tensors) == 2 and tensors[1].dim() == 1 and not sources_of(tensors[1])
    if not flat or case.facts.first(nn.Conv1d, nn.Conv2d, nn.Conv3d) is not None:
        return
    for item in case.blamed(tensors[0]):
        dims: Shape = getattr(item.spec, "shape", ())
        if isinstance(item.spec, Normal) and dims[1:2] == (count,) and SIDES.issuperset(dims[2:]):
            yield from reshape(case, item, ("batch", count))


def _side_of_a_volume(case: Case, have: int, want: int) -> Iterator[Guess]:
    """Both sides of the frames of a volume, or only one of its sides, have the wrong size."""
    if have <= 0 or want <= 0 or not uses(case.guess, "depth"):
        return
    frames = {side: case.guess.size[side] * math.sqrt(want / have) for side in ("height", "width")}
    if all(uses(case.guess, side) and size.is_integer() for side, size in frames.items()):
        yield case.guess.sized(**{side: int(size) for side, size in frames.items()})
    for name in ("depth", "width", "height"):
        size = case.guess.size[name] * want
        if uses(case.guess, name) and size % have == 0:
            yield case.guess.sized(**{name: size // have})
