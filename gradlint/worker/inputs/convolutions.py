"""What a convolution that failed says about the images and signals it wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from gradlint.worker.inputs.case import Case, paired, reshape, resize, shifted
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import PACKED, SPATIAL, Shape, reshaped
from gradlint.worker.running.attempt import sources_of

_CONVOLUTION = re.compile(r"conv(_transpose)?([123])d")


def convolution(case: Case) -> Iterator[Guess]:
    """The input of a convolution has other channels, or dimensions, than its weights."""
    call = case.failure.call
    match = _CONVOLUTION.fullmatch(call.name) if call else None
    if call is None or match is None:
        return
    value, weight = call.argument(0, "input"), call.argument(1, "weight")
    if not isinstance(value, torch.Tensor) or not isinstance(weight, torch.Tensor):
        return
    groups = call.argument(7 if match[1] else 6, "groups")
    times = groups if isinstance(groups, int) else 1
    channels = weight.shape[0] if match[1] else weight.shape[1] * times
    rank = int(match[2]) + 2
    if value.dim() == rank:
        yield from _broadcast(case, value, channels)
        yield from _shared(case, value, channels)
        yield from shifted(case, case.blamed(value), rank - 2, value.shape[1], channels)
        yield from _joined(case, value, channels)
    for item in case.blamed(value):
        if value.dim() == rank and value.shape[1] != channels:
            yield from _swapped(case, item, value, channels)
            yield from resize(case, [item], value.shape[1], channels)
            yield from _stacked(case, item, value.shape[1], channels)
            yield from paired(case, [item], value.shape[1], channels)
            yield from _permuted(case, item, value.shape[1], channels)
            yield from _folded(case, item, value, channels)
        elif value.dim() != rank:
            alike = [other for other in item.others if len(case.shape(other)) == rank]
            patches = [other for other in alike if getattr(other, "shape", ())[:1] == PACKED]
            yield from (case.guess.having(item.name, other) for other in patches)
            yield from ranked(case, item, value.dim(), (channels, *SPATIAL[rank - 3]))


def _broadcast(case: Case, value: torch.Tensor, channels: int) -> Iterator[Guess]:
    """Something of an image's rank was added to less, as noise of each sample's own strength."""
    for item in case.blamed(value):
        shape = case.shape(item.spec)
        if 0 < len(shape) < value.dim() and tuple(value.shape[-len(shape) :]) == shape:
            yield from reshape(case, item, ("batch", channels, *SPATIAL[value.dim() - 3]))


def _shared(case: Case, value: torch.Tensor, channels: int) -> Iterator[Guess]:
    """Several images of as many channels each were joined: each has its share of the channels."""
    items = case.blamed(value) if sources_of(value) else []
    sizes = [case.shape(item.spec)[1:2] for item in items]
    each = channels // max(len(items), 1)
    alike = len(items) > 1 and len(set(sizes)) == 1 and sum(map(sum, sizes)) == value.shape[1]
    if alike and each * len(items) == channels:
        guess = case.guess
        for item in items:
            dims: Shape = getattr(item.spec, "shape", ())
            guess = guess.having(item.name, reshaped(item.spec, (dims[0], each, *dims[2:])))
        yield guess


def _joined(case: Case, value: torch.Tensor, channels: int) -> Iterator[Guess]:
    """Several sequences were joined by their features, which became channels behind that."""
    items = case.blamed(value) if sources_of(value) else []
    lasts = [case.shape(item.spec)[2:] for item in items]
    if len(items) > 1 and set(map(len, lasts)) == {1} and sum(map(sum, lasts)) == value.shape[1]:
        yield from shifted(case, items, 0, value.shape[1], channels)


def _stacked(case: Case, item: Argument, have: int, want: int) -> Iterator[Guess]:
    """The pixels of each patch became channels: fewer channels lead to those that are wanted."""
    dims: Shape = getattr(item.spec, "shape", ())
    sizes = case.shape(item.spec)
    if len(sizes) > 1 and have > sizes[1] and have % sizes[1] == sizes[1] * want % have == 0:
        yield from reshape(case, item, (dims[0], sizes[1] * want // have, *dims[2:]))


def _folded(case: Case, item: Argument, value: torch.Tensor, channels: int) -> Iterator[Guess]:
    """The samples are groups of channels, as where each has weights of its own."""
    batch = case.guess.size["batch"]
    if value.shape[0] == 1 and value.shape[1] % batch == channels % batch == 0:
        yield from resize(case, [item], value.shape[1] // batch, channels // batch)


def _swapped(case: Case, item: Argument, value: torch.Tensor, channels: int) -> Iterator[Guess]:
    """The channels changed places with another dimension, as with the frames of a video."""
    dims: Shape = getattr(item.spec, "shape", ())
    sizes = case.shape(item.spec)
    for index in range(2, len(sizes)):
        swapped = [*sizes]
        swapped[1], swapped[index] = sizes[index], sizes[1]
        if sizes[1] == channels and swapped == [*value.shape]:
            yield from reshape(
                case, item, (dims[0], dims[index], *dims[2:index], dims[1], *dims[index + 1 :])
            )


def _permuted(case: Case, item: Argument, have: int, want: int) -> Iterator[Guess]:
    """The layer's channels are another dimension of the argument, as after `permute`."""
    dims = getattr(item.spec, "shape", ())
    for index, size in enumerate(case.shape(item.spec)):
        if index and size == have:
            yield from reshape(case, item, (*dims[:index], want, *dims[index + 1 :]))


def ranked(case: Case, item: Argument, rank: int, wanted: Shape) -> Iterator[Guess]:
    """The layer wants (batch, *wanted) and got `rank` dimensions; views may stand in between."""
    lift = rank - len(case.shape(item.spec))
    if 0 < lift < len(wanted):
        yield from reshape(case, item, ("batch", *wanted[lift:]))
    yield from reshape(case, item, ("batch", *wanted))
    yield from reshape(case, item, ("batch", "time", *wanted))
