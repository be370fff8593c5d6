"""What the torch call that failed says about the inputs it wanted: errors read as equations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from gradlint.worker.inputs.batches import in_steps
from gradlint.worker.inputs.broadcasts import elementwise, expansion
from gradlint.worker.inputs.case import (
    SIDES,
    Case,
    Repair,
    dims_of,
    factored,
    larger,
    paired,
    rebatched,
    rescale,
    reshape,
    resize,
    shifted,
    traded,
    uses,
    view_sizes,
)
from gradlint.worker.inputs.convolutions import convolution, ranked
from gradlint.worker.inputs.einsums import einsum
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.indices import indices, pointers
from gradlint.worker.inputs.layers import recurrent
from gradlint.worker.inputs.specs import SPATIAL, Group, Normal, Shape, Spec, Whole, reshaped
from gradlint.worker.running.attempt import sources_of


def _embedding(case: Case) -> Iterator[Guess]:
    call = case.failure.call
    if call is None or call.name not in ("embedding", "embedding_bag"):
        return
    pair = [call.argument(0, "input"), call.argument(1, "weight")]
    tables = [
        v for v in pair if isinstance(v, torch.Tensor) and v.is_floating_point() and v.dim() == 2
    ]
    indices = [v for v in pair if v is not tables[0]] if len(tables) == 1 else pair[:1]
    table = tables[-1] if tables else None
    if table is None or not indices:
        return
    if not sources_of(indices[0]) and isinstance(case.failure.error, IndexError):
        yield from _named_tokens(case, table.shape[0])
        yield from _shorter(case, table.shape[0])
        return
    for item in case.blamed(indices[0]):
        yield from _tokens(case, item, _reached(case, item, indices[0], table.shape[0]))


def _named_tokens(case: Case, rows: int) -> Iterator[Guess]:
    """Fewer tokens in an argument that the failing line makes a tensor of, as `LongTensor(x)`."""
    frame = case.failure.user_frame()
    for item in case.guess.arguments:
        made = rf"\.(?:LongTensor|tensor|as_tensor|from_numpy)\({item.name}\b"
        beyond = isinstance(item.spec, Whole) and item.spec.high != rows
        if frame is not None and beyond and re.search(made, frame.text):
            yield from _tokens(case, item, rows)


def _reached(case: Case, item: Argument, indices: object, rows: int) -> int:
    """How many tokens find a row: fewer where columns share a table and are moved to their parts.

    Because no token is negative, a column was moved by its smallest index at most; where that
    leaves nothing, each has its share of the table, or half as many as were tried.
    """
    high = item.spec.high if isinstance(item.spec, Whole) else "nodes"
    if not (isinstance(high, int) and high <= rows and isinstance(indices, torch.Tensor)):
        return rows
    if not isinstance(case.failure.error, IndexError) or int(indices.max()) < rows:
        return rows
    columns = indices.reshape(-1, indices.shape[-1] if indices.dim() > 1 else 1)
    left, share = rows - int(columns.amin(0).max()), rows // columns.shape[1]
    return next((count for count in (left, share, high // 2) if 0 < count < high), 1)


def _shorter(case: Case, limit: int) -> Iterator[Guess]:
    """Positions beyond a table's end: no more steps than it has rows."""
    for name in ("time", "source", "length"):
        if uses(case.guess, name) and case.guess.size[name] > limit:
            yield case.guess.sized(**{name: limit})


def _tokens(case: Case, item: Argument, high: int) -> Iterator[Guess]:
    if isinstance(item.spec, Whole) and isinstance(item.spec.high, int):
        yield case.guess.having(item.name, Whole(item.spec.shape, min(item.spec.high, high)))
        yield from _shorter(case, high)
    elif isinstance(item.spec, Group):
        for index, part in enumerate(item.spec.items):
            if isinstance(part, (Normal, Whole)):
                parts = list(item.spec.items)
                parts[index] = Whole(part.shape[:2], high)
                yield case.guess.having(
                    item.name, Group(item.spec.kind, tuple(parts), item.spec.keys)
                )
    else:
        shape: Shape = getattr(item.spec, "shape", ())
        # because columns of dates, and those of nodes and edges, are looked up one by one
        if len(shape) > 2 or shape[:1] in (("nodes",), ("edges",)):
            yield case.guess.having(item.name, Whole(shape, high))
        yield case.guess.having(item.name, Whole(("batch", "time"), high))
        yield case.guess.having(item.name, Whole(("batch",), high))


_FACTORS = re.compile(
    r"\(\d+x(\d+) and (\d+)x\d+\)|batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]"
)


def _matrix(case: Case) -> Iterator[Guess]:
    """A matrix product whose inner sizes disagree."""
    call, have, want = case.failure.call, 0, 0
    found = _FACTORS.search(case.failure.text)
    value: object = call.argument(0, "input") if call else None
    if found:
        have, want = (int(size) for size in found.groups() if size)
    elif call and call.name == "linear" and isinstance(value, torch.Tensor) and value.dim():
        weight = call.argument(1, "weight")
        have, want = value.shape[-1], cast(torch.Tensor, weight).shape[-1]
    else:
        return
    if call and not sources_of(value):
        value = next((tensor for tensor in call.tensors() if sources_of(tensor)), None)
    items = case.blamed(value)
    yield from resize(case, items, have, want)
    yield from shifted(case, items, 0, have, want)
    yield from _split(case, items, have, want)
    yield from traded(case, items, have, want)
    sided = any(dims_of(item.spec) & SIDES for item in items)
    if sided and have:
        yield from rescale(case, want / have)
    yield from factored(case, items, have, want)
    yield from paired(case, items, have, want)
    for item in items:
        yield from reshape(case, item, ("batch", want))
        yield from reshape(case, item, ("batch", "time", want))


_PRODUCT = re.compile(r"\b(\w+) must be a (vector|matrix|3D tensor)")
_DIMENSIONS = {"vector": 1, "matrix": 2, "3D tensor": 3}
_SECOND = ("mat2", "batch2", "vec")


def _ranked_product(case: Case) -> Iterator[Guess]:
    """A product is given a tensor of more or fewer dimensions, and so is all that it stems from."""
    call, found = case.failure.call, _PRODUCT.search(case.failure.text)
    value = call.argument(int(found[1] in _SECOND), found[1]) if call and found else None
    if not found or not isinstance(value, torch.Tensor) or not sources_of(value):
        return
    extra = value.dim() - _DIMENSIONS[found[2]]
    guess = case.guess
    for item in case.blamed(value):
        dims: Shape = getattr(item.spec, "shape", ())
        if isinstance(item.spec, (Normal, Whole)) and len(dims) > max(extra, 0):
            rest = dims[1 + extra :] if extra > 0 else ("time",) * -extra + dims[1:]
            guess = guess.having(item.name, reshaped(item.spec, (*dims[:1], *rest)))
    yield guess


def _split(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """Several arguments were concatenated: share the wanted size among them."""
    lasts = [case.shape(item.spec)[-1:] or (0,) for item in items if isinstance(item.spec, Normal)]
    if len(lasts) < 2 or want < len(lasts) or sum(last[0] for last in lasts) != have:
        return
    if len({last[0] for last in lasts}) == 1 and want % len(lasts) == 0:
        alike = case.guess
        for item in (item for item in items if isinstance(item.spec, Normal)):
            alike = _with_last(alike, item, want // len(lasts))
        yield alike
    rest = want
    guess = case.guess
    for item, last in reversed(list(zip(items, lasts, strict=False))[1:]):
        share = min(last[0], max(want // (2 * len(lasts)), 1))
        rest -= share
        guess = _with_last(guess, item, share)
    yield _with_last(guess, items[0], rest)
    yield _with_last(case.guess, items[0], want - have + lasts[0][0]) if want > have else guess


def _with_last(guess: Guess, item: Argument, size: int) -> Guess:
    shape = getattr(item.spec, "shape", ())
    return guess.having(item.name, reshaped(item.spec, (*shape[:-1], size)))


def _normalisation(case: Case) -> Iterator[Guess]:
    call, text = case.failure.call, case.failure.text
    for module in case.failure.modules()[:1]:
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d)):
            rank = {"1": 0, "2": 2, "3": 3}[type(module).__name__[-2]]
            value = call.argument(0, "input") if call else None
            if re.search(r"expected \d.*input \(got", text):
                wanted = (module.num_features, *(SPATIAL[rank - 1] if rank else ()))
                for item in case.blamed(value):
                    yield from ranked(case, item, len(case.shape(item.spec)), wanted)
    if call is None or call.name not in ("layer_norm", "batch_norm", "group_norm", "rms_norm"):
        return
    value = call.argument(0, "input")
    shape = call.argument(1, "normalized_shape")
    if not isinstance(value, torch.Tensor):
        return
    if isinstance(shape, (tuple, list)) and all(isinstance(size, int) for size in shape):
        yield from _trailing(case, value, tuple(shape))
        return
    sizes = [t.shape[0] for t in call.tensors() if t is not value and t.dim() == 1]
    if sizes and value.dim() > 1:
        yield from resize(case, case.blamed(value), value.shape[1], sizes[0])
        yield from shifted(case, case.blamed(value), value.dim() - 2, value.shape[1], sizes[0])


def _trailing(case: Case, value: torch.Tensor, shape: tuple[int, ...]) -> Iterator[Guess]:
    items = case.blamed(value)
    have = tuple(value.shape[-len(shape) :])
    if len(shape) == 1:
        yield from resize(case, items, have[-1], shape[-1])
        yield from _merged(case, items, have[-1], shape[-1])
        yield from _split(case, items, have[-1], shape[-1])
        yield from shifted(case, items, 0, have[-1], shape[-1])
        yield from in_steps(case)  # because joined in one row they may be rows one below the other
        yield from _side_of_an_image(case, items, shape[-1] / max(have[-1], 1))
    for item in items:
        rank = len(case.shape(item.spec)) - len(shape)
        lead = ("batch", "time", "source")[: max(rank, 1)]
        yield from reshape(case, item, (*lead, *shape))
        yield from reshape(case, item, ("batch", "time", *shape))


def _merged(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """Several rows of an argument were joined to one: it has a part of the features."""
    for item in items:
        dims, sizes = getattr(item.spec, "shape", ()), case.shape(item.spec)
        joined = len(sizes) > 2 and have > sizes[-1] and have % sizes[-1] == 0
        if joined and want < have and (sizes[-1] * want) % have == 0:
            yield from reshape(case, item, (*dims[:-1], sizes[-1] * want // have))


def _side_of_an_image(case: Case, items: list[Argument], factor: float) -> Iterator[Guess]:
    """One side of images whose rows or columns became features, as of spectrograms."""
    for side in sorted(SIDES.intersection(*(dims_of(item.spec) for item in items))):
        size = round(case.guess.size[side] * factor)
        if size > 0:
            yield case.guess.sized(**{side: size})


def _recurrent(case: Case) -> Iterator[Guess]:
    layer = next(
        (m for m in case.failure.modules()[:2] if isinstance(m, (nn.RNNBase, nn.RNNCellBase))), None
    )
    if layer is None:
        return
    frame = next(
        (f for f in reversed(case.failure.frames) if f.variables.get("self") is layer), None
    )
    value = frame.variables.get("input") if frame else None
    tensor = value.data if isinstance(value, nn.utils.rnn.PackedSequence) else value
    have = tensor.shape[-1] if isinstance(tensor, torch.Tensor) and tensor.dim() else 0
    for item in case.blamed(tensor):
        yield from resize(case, [item], have, layer.input_size)
        yield from shifted(case, [item], 0, have, layer.input_size)
        if isinstance(item.spec, Whole):
            flat = [other for other in item.others if len(case.shape(other)) == 1]
            yield from (case.guess.having(item.name, other) for other in flat)
            yield from reshape(case, item, item.spec.shape[:-1] or ("batch",))
        elif isinstance(layer, nn.RNNBase):
            yield case.guess.having(item.name, recurrent(layer))
            yield from reshape(case, item, ("batch", "time", layer.input_size))
            yield case.guess.having(item.name, Normal(("batch", layer.input_size)))
        else:
            yield case.guess.having(item.name, Normal(("batch", layer.input_size)))


_STATE = re.compile(
    r"[Ee]xpected hidden(?:\[(\d)\])? size \((\d+), (\d+), (\d+)\), got \[([\d, ]+)\]"
)


_STATE_RANK = re.compile(r"hx (?:and cx )?should also be ([23])-D")


def _state(case: Case) -> Iterator[Guess]:
    """The state that a recurrent layer was given has another number of dimensions than its own."""
    found = _STATE_RANK.search(case.failure.text)
    layer = next((m for m in case.failure.modules()[:2] if isinstance(m, nn.RNNBase)), None)
    frame = next((f for f in reversed(case.failure.frames) if "hx" in f.variables), None)
    if found is None or layer is None or frame is None:
        return
    given = frame.variables["hx"]
    part = given[0] if isinstance(given, tuple) and given else given
    layers = layer.num_layers * (2 if layer.bidirectional else 1)
    lead: Shape = (layers, "batch") if found[1] == "3" else (layers,)
    deep, cell = (
        Normal((*lead, layer.proj_size or layer.hidden_size)),
        Normal((*lead, layer.hidden_size)),
    )
    apart = isinstance(given, tuple) and sources_of(given[0]) != sources_of(given[-1])
    for item in case.blamed(part) if sources_of(part) else ():
        pair = isinstance(layer, nn.LSTM) and not apart
        yield case.guess.having(item.name, Group("tuple", (deep, cell)) if pair else deep)


def _hidden(case: Case) -> Iterator[Guess]:
    """The state that a recurrent layer was given does not fit."""
    found = _STATE.search(case.failure.text)
    if not found:
        return
    layers, batch, size = (int(found[i]) for i in (2, 3, 4))
    frame = next((f for f in reversed(case.failure.frames) if "hx" in f.variables), None)
    state = frame.variables["hx"] if frame else None
    part = state[int(found[1] or 0)] if isinstance(state, tuple) else state
    lead = next((name for name in ("batch", "time") if case.guess.size[name] == batch), batch)
    if sources_of(part):
        for item in case.blamed(part):
            yield case.guess.having(item.name, _stated(item.spec, Normal((layers, lead, size))))
    got = [int(number) for number in found[5].split(",")]
    if len(got) == 3:
        yield from rebatched(case, batch, got[1])


def _stated(spec: Spec, state: Normal) -> Spec:
    if isinstance(spec, Group) and spec.kind in ("tuple", "list"):
        return Group(spec.kind, (state,) * len(spec.items))
    return state


def _concatenation(case: Case) -> Iterator[Guess]:
    call, text = case.failure.call, case.failure.text
    if call is None or call.name not in (
        "cat",
        "concat",
        "concatenate",
        "stack",
        "hstack",
        "vstack",
    ):
        return
    parts = call.tensors()
    ranks = [part.dim() for part in parts]
    if "same number of dimensions" in text or "equal size" in text or len(set(ranks)) > 1:
        yield from _same_rank(case, parts)
    sizes = re.search(
        r"Expected (?:size )?(\d+)(?: in dimension \d)? but got (?:size )?(\d+)", text
    )
    if sizes:
        wanted, have = int(sizes[1]), int(sizes[2])
        for change in (resize, factored):
            for part in parts[1:]:
                yield from change(case, case.blamed(part), have, wanted)
            yield from change(case, case.blamed(parts[0]), wanted, have)
        yield from larger(case)


def _same_rank(case: Case, parts: list[torch.Tensor]) -> Iterator[Guess]:
    named = [(part, item) for part in parts for item in case.blamed(part)[:1] if sources_of(part)]
    # because a layer that wants what the other has would take less for something else
    for part, item in sorted(named, key=lambda pair: pair[0].dim()):
        for other, model in named:
            if part.dim() != other.dim() and item.name != model.name:
                shape = getattr(model.spec, "shape", ())
                own = getattr(item.spec, "shape", ())
                if shape and own:
                    yield from reshape(case, item, (*shape[:-1], own[-1]))
                if shape and isinstance(item.spec, Group):
                    yield from reshape(case, item, shape)
                yield case.guess.having(item.name, model.spec)
    most, least = max(part.dim() for part in parts), min(part.dim() for part in parts)
    for part, item in named:
        sizes: Shape = getattr(item.spec, "shape", ())
        if part.dim() == most > least and len(sizes) > 1:
            yield from reshape(case, item, (sizes[0], *sizes[2:]))


def _viewed(case: Case) -> Iterator[Guess]:
    """An argument is viewed as samples of several sizes, as in `x.view(-1, 1, steps, features)`."""
    found, call = _SAMPLES.search(case.failure.text), case.failure.call
    sizes = [size for size in map(int, found[1].split(",")) if size > 1] if found else []
    viewed = call.args[0] if call and call.args else None
    for item in case.blamed(viewed) if len({*sizes}) > 1 else ():
        if case.shape(item.spec) == getattr(viewed, "shape", None):
            yield from reshape(case, item, ("batch", *sizes))


_SAMPLES = re.compile(r"shape '\[-1, ([\d, ]+)\]' is invalid")
_VECTORS = re.compile(r"shape '\[-1, (\d+)\]' is invalid")


def _view(case: Case) -> Iterator[Guess]:
    sizes, call = view_sizes(case), case.failure.call
    if sizes is None or not min(sizes) or call is None or not call.args:
        return
    have, want = sizes
    batch = case.guess.size["batch"]
    if want == have * batch and not sources_of(call.args[0]):
        yield case.guess.sized(batch=1)  # because what the model holds is enough for one sample
    items = case.blamed(call.args[0])
    last = call.args[0].shape[-1] if isinstance(call.args[0], torch.Tensor) else 1
    if vector := _VECTORS.search(case.failure.text):
        apart = [item for item in items if last in getattr(item.spec, "shape", ())]
        yield from resize(case, apart, last, int(vector[1]))
        yield from _lengthened(case, items, int(vector[1]) - last)
    if "-1" in case.failure.text and have % want:  # because what is open is the size of a vector
        yield from rescale(case, want * last / have)
    if any(dims_of(item.spec) & SIDES for item in items):
        yield from rescale(case, want / have)
    sample = want // batch
    for item in items if want == batch else ():
        if isinstance(item.spec, Whole):  # because it is one label for each sample
            yield from reshape(case, item, ("batch",))
    yield from resize(case, items, have // batch, sample)
    sizes_of = call.args[0].shape[1:] if isinstance(call.args[0], torch.Tensor) else ()
    for size in reversed(sizes_of):  # because it may be taken apart, as the heads of features are
        if size * want % have == 0:
            yield from resize(case, items, size, size * want // have)
    for item in items:
        for inner in dict.fromkeys((sample, _last_wanted(case))):
            if inner > 1:
                yield from reshape(case, item, ("batch", inner))
                yield from reshape(case, item, ("batch", "time", inner))
    yield from _told_by_another(case, items, have, want)


def _told_by_another(case: Case, viewed: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """An argument that is not viewed says how often, as a mask has a column for each image."""
    for item in case.guess.arguments:
        for size in case.shape(item.spec)[1:] if item not in viewed else ():
            if size * have % want == 0:
                yield from resize(case, [item], size, size * have // want)


def _lengthened(case: Case, items: list[Argument], by: int) -> Iterator[Guess]:
    """Any dimension of an argument stands in what was joined, as the steps of each feature do."""
    for item in items:
        dims: Shape = getattr(item.spec, "shape", ())
        for index, size in enumerate(case.shape(item.spec)):
            if index and by and size + by > 0 and dims[index] not in SIDES:
                yield from reshape(case, item, (*dims[:index], size + by, *dims[index + 1 :]))


def _last_wanted(case: Case) -> int:
    found = re.search(r"(-?\d+)\]' is invalid", case.failure.text)
    return int(found[1]) if found else 0


CALLS: tuple[Repair, ...] = (
    _embedding,
    indices,
    pointers,
    convolution,
    _state,
    _hidden,
    _recurrent,
    _normalisation,
    _matrix,
    _ranked_product,
    elementwise,
    expansion,
    _concatenation,
    _viewed,
    _view,
    einsum,
)
"""The repairs, the most specific first."""
