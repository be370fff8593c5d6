"""What a failed forward pass says about the inputs it wanted: errors read as equations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from gradlint.worker.attempt import Failure, sources_of
from gradlint.worker.facts import Facts
from gradlint.worker.forwards import Forward
from gradlint.worker.guesses import Argument, Guess, argument_for
from gradlint.worker.layers import recurrent
from gradlint.worker.specs import (
    SPATIAL,
    Constant,
    Dim,
    Filled,
    Group,
    Normal,
    Packed,
    Shape,
    Spec,
    Whole,
    reshaped,
)

LADDER = (28, 32, 48, 64, 84, 96, 112, 128, 160, 192, 224, 256, 299, 384, 512)
_GROWING = (32, 64, 128, 224, 299, 512)
_LONG = (64, 256, 1024, 4096, 16384)
_SIDES = frozenset(name for names in SPATIAL for name in names)


@dataclass(frozen=True, slots=True)
class Case:
    """A failed guess."""

    failure: Failure
    guess: Guess
    facts: Facts
    forward: Forward

    def blamed(self, tensor: object = None) -> list[Argument]:
        """The arguments a tensor stems from; all that hold tensors where that is not known."""
        known = sources_of(tensor)
        items = [item for item in self.guess.arguments if not isinstance(item.spec, Constant)]
        return [item for item in items if item.name in known] or items

    def shape(self, spec: Spec) -> tuple[int, ...]:
        """The sizes that were drawn for a value."""
        dims = getattr(spec, "shape", ())
        return tuple(self.guess.size.get(dim, 0) if isinstance(dim, str) else dim for dim in dims)


Repair = Callable[[Case], Iterator[Guess]]


def repairs(case: Case) -> Iterator[tuple[bool, Guess]]:
    """Better guesses than the one that failed, the most specific first, and whether each was deduced.

    Those that were not are mere alternatives.
    """
    for repair in _REPAIRS:
        yield from ((True, guess) for guess in repair(case))
    for repair in _ALTERNATIVES:
        yield from ((False, guess) for guess in repair(case))


# Single changes.


def _reshape(case: Case, item: Argument, shape: Shape) -> Iterator[Guess]:
    """Give an argument another shape."""
    if hasattr(item.spec, "shape"):
        yield case.guess.having(item.name, reshaped(item.spec, shape))
    elif isinstance(item.spec, Group):
        parts = [
            reshaped(part, shape) if isinstance(part, Normal) else part for part in item.spec.items
        ]
        yield case.guess.having(item.name, Group(item.spec.kind, tuple(parts), item.spec.keys))


def _resize(case: Case, items: Iterable[Argument], have: int, want: int) -> Iterator[Guess]:
    """Where an argument has a size `have`, make it `want`; the last such dimension first."""
    if have == want or want <= 0:
        return
    if want == case.guess.size["batch"] and have in case.guess.size.values():
        return  # because it is the batch that stands where another size should
    for item in items:
        yield from (
            case.guess.having(item.name, spec) for spec in _resized(case, item.spec, have, want)
        )
    for name, size in case.guess.sizes:
        if size == have and name != "batch" and _uses(case.guess, name):
            both = {dim: want for dim in _SIDES if case.guess.size[dim] == have}
            if name in both:
                yield case.guess.sized(**both)
            yield case.guess.sized(**{name: want})


def _resized(case: Case, spec: Spec, have: int, want: int) -> Iterator[Spec]:
    if isinstance(spec, Group):
        for index, part in enumerate(spec.items):
            for new in _resized(case, part, have, want):
                items = (*spec.items[:index], new, *spec.items[index + 1 :])
                yield Group(spec.kind, items, spec.keys)
        return
    dims = getattr(spec, "shape", ())
    for index in reversed(range(len(dims))):
        if isinstance(dims[index], int) and dims[index] == have:
            yield reshaped(spec, (*dims[:index], want, *dims[index + 1 :]))


def _uses(guess: Guess, name: str) -> bool:
    return any(name in _dims(item.spec) for item in guess.arguments)


def _dims(spec: Spec) -> set[Dim]:
    if isinstance(spec, Group):
        return set[Dim]().union(*(_dims(item) for item in spec.items))
    return set(getattr(spec, "shape", ())) | {getattr(spec, "of", ""), getattr(spec, "dim", "")}


def _rescale(case: Case, ratio: float, dims: int = 2) -> Iterator[Guess]:
    """Scale the sides of images or the length of signals so that their volume grows by `ratio`."""
    names = [name for name in sorted(_SIDES) if _uses(case.guess, name)]
    if not names or ratio <= 0:
        return
    factor = ratio ** (1 / len(names))
    size = case.guess.size
    exact = {name: size[name] * factor for name in names}
    if all(abs(value - round(value)) < 1e-6 for value in exact.values()):
        yield case.guess.sized(**{name: round(value) for name, value in exact.items()})
    usual = sorted(
        LADDER if len(names) > 1 else _LONG, key=lambda s: abs(math.log(s / exact[names[0]]))
    )
    if 0.8 < usual[0] / exact[names[0]] < 1.25:
        yield case.guess.sized(**dict.fromkeys(names, usual[0]))
    for grain in (4, 1):
        yield case.guess.sized(
            **{name: max(round(value / grain) * grain, 1) for name, value in exact.items()}
        )
    for shift in (-1, 1, -2, 2, -4, 4):
        yield case.guess.sized(
            **{name: max(round(value) + shift, 1) for name, value in exact.items()}
        )


def _larger(case: Case) -> Iterator[Guess]:
    """The next usual sizes of images or signals."""
    names = [name for name in sorted(_SIDES) if _uses(case.guess, name)]
    if names:
        now = max(case.guess.size[name] for name in names)
        steps = _GROWING if len(names) > 1 else _LONG
        for side in [step for step in steps if step > now][:3]:
            yield case.guess.sized(**dict.fromkeys(names, side))


# Repairs by the torch function that failed.


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
        yield from _shorter(case, table.shape[0])
        return
    for item in case.blamed(indices[0]):
        yield from _tokens(case, item, table.shape[0])


def _shorter(case: Case, limit: int) -> Iterator[Guess]:
    """Positions beyond a table's end: no more steps than it has rows."""
    for name in ("time", "source", "length"):
        if _uses(case.guess, name) and case.guess.size[name] > limit:
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
        yield case.guess.having(item.name, Whole(("batch", "time"), high))
        yield case.guess.having(item.name, Whole(("batch",), high))


_CONVOLUTION = re.compile(r"conv(_transpose)?([123])d")


def _convolution(case: Case) -> Iterator[Guess]:
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
    for item in case.blamed(value):
        if value.dim() == rank and value.shape[1] != channels:
            yield from _resize(case, [item], value.shape[1], channels)
            yield from _permuted(case, item, value.shape[1], channels)
        elif value.dim() != rank:
            yield from _ranked(case, item, value.dim(), (channels, *SPATIAL[rank - 3]))


def _permuted(case: Case, item: Argument, have: int, want: int) -> Iterator[Guess]:
    """The layer's channels are another dimension of the argument, as after `permute`."""
    dims = getattr(item.spec, "shape", ())
    for index, size in enumerate(case.shape(item.spec)):
        if index and size == have:
            yield from _reshape(case, item, (*dims[:index], want, *dims[index + 1 :]))


def _ranked(case: Case, item: Argument, rank: int, wanted: Shape) -> Iterator[Guess]:
    """The layer wants (batch, *wanted) and got `rank` dimensions; views may stand in between."""
    lift = rank - len(case.shape(item.spec))
    if 0 < lift < len(wanted):
        yield from _reshape(case, item, ("batch", *wanted[lift:]))
    yield from _reshape(case, item, ("batch", *wanted))
    yield from _reshape(case, item, ("batch", "time", *wanted))


def _matrix(case: Case) -> Iterator[Guess]:
    """A matrix product whose inner sizes disagree."""
    call, have, want = case.failure.call, 0, 0
    found = re.search(r"\((\d+)x(\d+) and (\d+)x(\d+)\)", case.failure.text)
    value: object = call.argument(0, "input") if call else None
    if found:
        have, want = int(found[2]), int(found[3])
    elif call and call.name == "linear" and isinstance(value, torch.Tensor) and value.dim():
        weight = call.argument(1, "weight")
        have, want = value.shape[-1], cast(torch.Tensor, weight).shape[-1]
    else:
        return
    if call and not sources_of(value):
        value = next((tensor for tensor in call.tensors() if sources_of(tensor)), None)
    items = case.blamed(value)
    yield from _resize(case, items, have, want)
    yield from _shifted(case, items, want - have)
    yield from _split(case, items, have, want)
    sided = any(_dims(item.spec) & _SIDES for item in items)
    if sided:
        yield from _rescale(case, want / have)
    yield from _factored(case, items, have, want)
    for item in items:
        yield from _reshape(case, item, ("batch", want))
        yield from _reshape(case, item, ("batch", "time", want))


def _split(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """Several arguments were concatenated: share the wanted size among them."""
    lasts = [case.shape(item.spec)[-1:] or (0,) for item in items if isinstance(item.spec, Normal)]
    if len(lasts) < 2 or want < len(lasts) or sum(last[0] for last in lasts) != have:
        return
    rest = want
    guess = case.guess
    for item, last in reversed(list(zip(items, lasts, strict=False))[1:]):
        share = min(last[0], max(want // (2 * len(lasts)), 1))
        rest -= share
        guess = _with_last(guess, item, share)
    yield _with_last(guess, items[0], rest)
    yield _with_last(case.guess, items[0], want - have + lasts[0][0]) if want > have else guess


def _shifted(case: Case, items: list[Argument], missing: int) -> Iterator[Guess]:
    """An argument was concatenated with something else: it takes up the whole difference."""
    if len(items) > 1 or missing > 0:
        for item in items:
            shape = case.shape(item.spec)
            if isinstance(item.spec, Normal) and len(shape) > 1 and shape[-1] + missing > 0:
                if isinstance(item.spec.shape[-1], int):
                    yield _with_last(case.guess, item, shape[-1] + missing)


def _with_last(guess: Guess, item: Argument, size: int) -> Guess:
    shape = getattr(item.spec, "shape", ())
    return guess.having(item.name, reshaped(item.spec, (*shape[:-1], size)))


def _factored(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """The layer sees `have` for a flattened or tiled argument: change one size in proportion."""
    for item in items:
        dims = getattr(item.spec, "shape", ())
        for index, size in enumerate(case.shape(item.spec)):
            if index and size > 1 and (size * want) % have == 0:
                yield from _reshape(
                    case, item, (*dims[:index], size * want // have, *dims[index + 1 :])
                )


def _normalisation(case: Case) -> Iterator[Guess]:
    call, text = case.failure.call, case.failure.text
    for module in case.failure.modules()[:1]:
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm2d)):
            rank = {"1": 0, "2": 2, "3": 3}[type(module).__name__[-2]]
            value = call.argument(0, "input") if call else None
            if re.search(r"expected \d.*input \(got", text):
                wanted = (module.num_features, *(SPATIAL[rank - 1] if rank else ()))
                for item in case.blamed(value):
                    yield from _ranked(case, item, len(case.shape(item.spec)), wanted)
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
        yield from _resize(case, case.blamed(value), value.shape[1], sizes[0])


def _trailing(case: Case, value: torch.Tensor, shape: tuple[int, ...]) -> Iterator[Guess]:
    items = case.blamed(value)
    have = tuple(value.shape[-len(shape) :])
    if len(shape) == 1:
        yield from _resize(case, items, have[-1], shape[-1])
    for item in items:
        rank = len(case.shape(item.spec)) - len(shape)
        lead = ("batch", "time", "source")[: max(rank, 1)]
        yield from _reshape(case, item, (*lead, *shape))
        yield from _reshape(case, item, ("batch", "time", *shape))


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
        yield from _resize(case, [item], have, layer.input_size)
        if isinstance(item.spec, Whole):
            flat = [other for other in item.others if len(case.shape(other)) == 1]
            yield from (case.guess.having(item.name, other) for other in flat)
            yield from _reshape(case, item, item.spec.shape[:-1] or ("batch",))
        elif isinstance(layer, nn.RNNBase):
            yield case.guess.having(item.name, recurrent(layer))
            yield from _reshape(case, item, ("batch", "time", layer.input_size))
            yield case.guess.having(item.name, Normal(("batch", layer.input_size)))
        else:
            yield case.guess.having(item.name, Normal(("batch", layer.input_size)))


_STATE = re.compile(
    r"[Ee]xpected hidden(?:\[(\d)\])? size \((\d+), (\d+), (\d+)\), got \[([\d, ]+)\]"
)


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
        yield from _rebatched(case, batch, got[1])


def _stated(spec: Spec, state: Normal) -> Spec:
    if isinstance(spec, Group) and spec.kind in ("tuple", "list"):
        return Group(spec.kind, (state,) * len(spec.items))
    return state


def _rebatched(case: Case, ours: int, theirs: int) -> Iterator[Guess]:
    """The model fixes its batch size, or takes the first dimension for the time."""
    if ours == case.guess.size["batch"]:
        yield case.guess.sized(batch=theirs)


def _elementwise(case: Case) -> Iterator[Guess]:
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
    tensors = call.tensors()[:2]
    if len(tensors) == 2 and not sources_of(tensors[0]):
        tensors, sizes = tensors[::-1], sizes[::-1]
    for tensor in tensors:
        for item in case.blamed(tensor):
            if isinstance(item.spec, Filled):
                yield from (case.guess.having(item.name, other) for other in item.others)
    have, want = sizes
    both = len(tensors) == 2 and all(sources_of(tensor) for tensor in tensors)
    for tensor, old, new in ((tensors[0], have, want), (tensors[-1], want, have))[
        : 2 if both else 1
    ]:
        yield from _resize(case, case.blamed(tensor), old, new)
        offset = [(o, n) for extra in (1, 2) for o, n in [(old - extra, new - extra)]]
        for o, n in offset:
            yield from _resize(case, case.blamed(tensor), o, n)
        if any(_dims(item.spec) & _SIDES for item in case.blamed(tensor)):
            yield from _rescale(case, new / old)
            if old > 2 and new > 2:
                yield from _rescale(case, (new - 1) / (old - 1))
            if both:
                yield from _larger(case)


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
    sizes = re.search(r"Expected size (\d+) but got size (\d+)", text)
    if sizes:
        for part in parts[1:]:
            yield from _resize(case, case.blamed(part), int(sizes[2]), int(sizes[1]))
        yield from _resize(case, case.blamed(parts[0]), int(sizes[1]), int(sizes[2]))
        yield from _larger(case)


def _same_rank(case: Case, parts: list[torch.Tensor]) -> Iterator[Guess]:
    named = [(part, item) for part in parts for item in case.blamed(part)[:1] if sources_of(part)]
    for part, item in named:
        for other, model in named:
            if part.dim() != other.dim() and item.name != model.name:
                shape = getattr(model.spec, "shape", ())
                own = getattr(item.spec, "shape", ())
                if shape and own:
                    yield from _reshape(case, item, (*shape[:-1], own[-1]))
                yield case.guess.having(item.name, model.spec)


def _view(case: Case) -> Iterator[Guess]:
    sizes, call = _view_sizes(case), case.failure.call
    if sizes is None or call is None or not call.args:
        return
    have, want = sizes
    batch = case.guess.size["batch"]
    items = case.blamed(call.args[0])
    if any(_dims(item.spec) & _SIDES for item in items):
        yield from _rescale(case, want / have)
    sample = want // batch
    yield from _resize(case, items, have // batch, sample)
    for item in items:
        for inner in dict.fromkeys((sample, _last_wanted(case))):
            if inner > 1:
                yield from _reshape(case, item, ("batch", inner))
                yield from _reshape(case, item, ("batch", "time", inner))


def _last_wanted(case: Case) -> int:
    found = re.search(r"(-?\d+)\]' is invalid", case.failure.text)
    return int(found[1]) if found else 0


# Repairs by the text of the error.


def _dtype(case: Case) -> Iterator[Guess]:
    text, call = case.failure.text, case.failure.call
    if not re.search(
        r"dtype|scalar type|tensors? used as indices|only applicable to index|Long|Double|Half|Float|Input type|complex",
        text,
    ):
        return
    tensors = call.tensors() if call else []
    wide = next((t.dtype for t in tensors if not sources_of(t) and t.is_floating_point()), None)
    wide = wide or next(case.facts.model.parameters(), torch.empty(0)).dtype
    values = [tensor for tensor in tensors if sources_of(tensor)] or [None]
    for tensor in values:
        for item in case.blamed(tensor):
            yield from _retyped(case, item, str(wide).removeprefix("torch."))


def _retyped(case: Case, item: Argument, dtype: str) -> Iterator[Guess]:
    spec = item.spec
    if isinstance(spec, Normal):
        if dtype != spec.dtype and dtype in (
            "float64",
            "float16",
            "bfloat16",
            "complex64",
            "complex128",
        ):
            yield case.guess.having(item.name, Normal(spec.shape, dtype))
        classes = case.facts.number("num_classes", "n_classes", "vocab_size", "num_embeddings")
        yield case.guess.having(item.name, Whole(spec.shape, case.facts.tokens() or classes or 2))
    elif isinstance(spec, Whole):
        yield case.guess.having(item.name, Normal(spec.shape))


_SMALL = re.compile(
    r"[Kk]ernel size can't be greater|output size is too small|too small|non-empty|"
    r"Padding size should be less|non-positive|must be greater than|larger than|at least|"
    r"more than 1 (value|spatial element)|non-zero size|zero-size|stride should not be zero"
)


def _small(case: Case) -> Iterator[Guess]:
    if _SMALL.search(case.failure.text):
        yield from _larger(case)


_UNPACK = re.compile(r"unpack \(expected (\d+)")
_SHAPE = re.compile(r"^(.*?)=\s*(?:list\(|tuple\()?([\w.\[\]]+?)\.(?:shape|size\(\))")


def _unpacking(case: Case) -> Iterator[Guess]:
    found, frame = _UNPACK.search(case.failure.text), case.failure.user_frame()
    if not found or frame is None:
        return
    count = int(found[1])
    shape = _SHAPE.match(frame.text)
    value = frame.variables.get(shape[2].split(".")[-1]) if shape else None
    for item in case.blamed(value):
        if shape:
            lift = (
                value.dim() - len(case.shape(item.spec)) if isinstance(value, torch.Tensor) else 0
            )
            yield from (_as(case, item, wanted) for wanted in _shapes(case, item, count - lift))
        elif not isinstance(item.spec, Group):
            yield case.guess.having(item.name, Group("tuple", (item.spec,) * count))


def _as(case: Case, item: Argument, shape: Shape) -> Guess:
    return next(_reshape(case, item, shape), case.guess)


def _shapes(case: Case, item: Argument, rank: int) -> Iterator[Shape]:
    """Usual shapes of a rank."""
    convolution = case.facts.first(nn.Conv1d, nn.Conv2d, nn.Conv3d)
    channels = cast(int, convolution.in_channels) if convolution is not None else 3
    whole = [dim for dim in getattr(item.spec, "shape", ()) if isinstance(dim, int)]
    size = whole[0] if whole else 16
    if isinstance(item.spec, Whole):
        yield ("batch", "time", "source", "features")[:rank]
        return
    match rank:
        case 1:
            yield ("batch",)
        case 2:
            yield ("batch", size)
        case 3:
            yield ("batch", "time", size)
            yield ("batch", size, "length")
        case 4:
            yield ("batch", channels, "height", "width")
            yield ("batch", size, "height", "width")
            yield ("batch", "height", "width", size)
            yield ("batch", "time", size, "features")
        case 5:
            yield ("batch", channels, "depth", "height", "width")
            yield ("batch", 4, channels, "height", "width")


_PATTERN = re.compile(r"pattern [\"'](.*?)->")


def _einops(case: Case) -> Iterator[Guess]:
    pattern = _PATTERN.search(case.failure.text)
    if not pattern:
        return
    axes = re.findall(r"\([^)]*\)|\S+", pattern[1])
    expected = re.search(r"[Ee]xpected (\d+) dims", case.failure.text)
    frame = next((f for f in reversed(case.failure.frames) if "tensor" in f.variables), None)
    value = frame.variables["tensor"] if frame else None
    divide = re.search(r"can't divide axis of length (\d+) in chunks of (\d+)", case.failure.text)
    items = case.blamed(value)
    if divide:
        yield from _resize(case, items, int(divide[1]), int(divide[2]) * 2)
        yield from _larger(case)
    if expected or isinstance(value, torch.Tensor) and value.dim() != len(axes):
        for item in items:
            for shape in _shapes(case, item, len(axes)):
                yield _as(case, item, shape)
    numbers = re.search(r"Shape mismatch, (\d+) != (\d+)", case.failure.text)
    if numbers:
        yield from _resize(case, items, int(numbers[1]), int(numbers[2]))
        yield from _resize(case, items, int(numbers[2]), int(numbers[1]))


def _dimensions(case: Case) -> Iterator[Guess]:
    """Messages that speak of a number of dimensions."""
    text = case.failure.text
    out_of_range = re.search(
        r"Dimension out of range \(expected to be in range of \[-\d+, (\d+)\], but got (-?\d+)",
        text,
    )
    many = re.search(
        r"number of dims don't match in permute|too many indices for tensor of dimension (\d+)",
        text,
    )
    stated = re.search(r"[Ee]xpected (?:input to be |a )?(\d)-?D", text) or re.search(
        r"(\d)-?D (?:\(\w+\) )?(?:input|tensor)", text
    )
    call = case.failure.call
    value = call.args[0] if call and call.args else None
    if not (out_of_range or many or stated):
        return
    for item in case.blamed(value):
        rank = len(case.shape(item.spec))
        ranks = [int(stated[1])] if stated else [rank + 1, rank + 2]
        for new in ranks:
            for shape in _shapes(case, item, new):
                yield _as(case, item, shape)


def _missing(case: Case) -> Iterator[Guess]:
    """None where a value is needed, or an optional argument that the message names."""
    text = case.failure.text
    frame = case.failure.user_frame()
    for item in case.guess.arguments:
        if item.spec == Constant(None) and ("None" in text or frame and item.name in frame.text):
            yield from (case.guess.having(item.name, other) for other in item.others)
    given = {item.name for item in case.guess.arguments}
    line = frame.text if frame and "None" in text else ""
    for name in case.forward.optional:
        if name not in given and re.search(rf"\b{name}\b", f"{text} {line}"):
            argument = argument_for(case.facts, case.forward, name, len(given))
            for spec in (argument.spec, *argument.others)[:4]:
                if spec != Constant(None):
                    yield case.guess.adding(Argument(name, spec, argument.others, keyword=True))


def _keyed(case: Case) -> Iterator[Guess]:
    """A mapping or an object with attributes was expected, or has too few entries."""
    error, text = case.failure.error, case.failure.text
    attribute = re.search(r"object has no attribute '(\w+)'", text)
    key = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    name = attribute[1] if attribute else key
    if not name.isidentifier():
        return
    if attribute and not re.search(r"'(Tensor|SimpleNamespace|dict)'|SimpleNamespace", text):
        return
    kind = "namespace" if attribute else "dict"
    for item in case.blamed():
        entries = (
            dict(zip(item.spec.keys, item.spec.items, strict=True)) if _keys(item.spec) else {}
        )
        if name not in entries and (key and entries or attribute):
            new = argument_for(case.facts, case.forward, name, len(entries)).spec
            entries[name] = new
            if isinstance(new, Whole) and new.high == "nodes":
                entries = {key: _of_nodes(part) for key, part in entries.items()}
            yield case.guess.having(item.name, Group(kind, tuple(entries.values()), tuple(entries)))


def _of_nodes(spec: Spec) -> Spec:
    """The features of a graph have a row for each node."""
    shape = getattr(spec, "shape", ())
    return reshaped(spec, ("nodes", *shape[1:])) if shape[:1] == ("batch",) else spec


def _keys(spec: Spec) -> bool:
    return isinstance(spec, Group) and bool(spec.keys)


def _scalars(case: Case) -> Iterator[Guess]:
    """A number or a flag was expected where a tensor was passed, or a tensor where a number was."""
    text, frame = case.failure.text, case.failure.user_frame()
    line = frame.text if frame else ""
    if re.search(
        r"oolean value of Tensor|interpreted as an integer|can be converted to (an index|Python)|must be (int|tuple of ints|bool|float)|converted to a scalar",
        text,
    ):
        for item in case.blamed():
            if re.search(rf"\b{item.name}\b", line):
                for value in (False, 4, 1.0):
                    yield case.guess.having(item.name, Constant(value))
    if re.search(
        r"'(int|float|bool|str|tuple|list|NoneType)' object|must be Tensor|got (int|float|bool|str)|len\(\)",
        text,
    ):
        for item in case.guess.arguments:
            if isinstance(item.spec, (Constant, Group)) or re.search(rf"\b{item.name}\b", line):
                yield from (case.guess.having(item.name, other) for other in item.others)


def _packed(case: Case) -> Iterator[Guess]:
    if "PackedSequence" in case.failure.text or "pad_packed_sequence" in str(
        case.failure.user_frame()
    ):
        for item in case.blamed():
            if isinstance(item.spec, Normal) and len(item.spec.shape) == 3:
                yield case.guess.having(item.name, Packed(("batch", "time", item.spec.shape[-1])))


_PAIRS = (
    r"\((\d+)\)\D*\((\d+)\)",
    r"\((\d+)\s*[x*×]\s*\d+\)\D*\((\d+)",
    r"(?:expect\w*|require\w*|should be|must be|need\w*)\D{0,40}?(\d+)\D{0,40}?(?:got|not|but|found|is|was|has)\D{0,20}?(\d+)",
    r"(?:got|given|received|input)\D{0,40}?(\d+)\D{0,40}?(?:expect\w*|require\w*|should be|must be|need\w*)\D{0,30}?(\d+)",
    r"(\d+)\s*(?:!=|vs\.?|and|but|instead of|doesn't match)\s*\D{0,12}?(\d+)",
)


def _numbers(case: Case) -> Iterator[Guess]:
    """Two numbers, one of which is a size of ours: make it the other."""
    for pattern in _PAIRS:
        for found in re.finditer(pattern, case.failure.text):
            one, two = int(found[1]), int(found[2])
            yield from _resize(case, case.blamed(), two, one)
            yield from _resize(case, case.blamed(), one, two)
            batch = case.facts.number("batch_size", "bs", "batch")
            for ours, theirs in ((one, two), (two, one)):
                if theirs == batch:
                    yield from _rebatched(case, ours, theirs)


def _divisible(case: Case) -> Iterator[Guess]:
    """Sizes that should be a multiple of something."""
    found = re.search(r"(?:divisible|multiple|divided)\D{0,40}?(\d+)", case.failure.text)
    sides = [name for name in sorted(_SIDES | {"time"}) if _uses(case.guess, name)]
    if "divisib" in case.failure.text or "multiple" in case.failure.text:
        if found and int(found[1]) > 1:
            by = int(found[1])
            for times in (1, 2, 4):
                yield case.guess.sized(
                    **{name: by * max(-(-case.guess.size[name] // by), times) for name in sides}
                )
        yield from _larger(case)


def _fixed_batch(case: Case) -> Iterator[Guess]:
    """The model knows its batch size by an attribute."""
    batch = case.facts.number("batch_size", "bs", "batchsize", "minibatch_size")
    if batch and batch <= 256:
        yield case.guess.sized(batch=batch)


def _other_ideas(case: Case) -> Iterator[Guess]:
    """The further ideas of each argument, those that the failing tensors stem from first."""
    call = case.failure.call
    value = next((t for t in call.tensors() if sources_of(t)), None) if call else None
    blamed = [item.name for item in case.blamed(value)]
    items = sorted(case.guess.arguments, key=lambda item: item.name not in blamed)
    for item in items:
        yield from (case.guess.having(item.name, other) for other in item.others)
    yield from _larger(case)
    if _uses(case.guess, "height"):
        yield from (case.guess.sized(height=side) for side in (16, 64))
        yield case.guess.sized(height=16, width=16)


def mismatch(case: Case) -> float:
    """How far apart two sizes are that should agree: the absolute logarithm of their ratio, 0 if unknown."""
    text = case.failure.text
    product = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", text)
    pair = (int(product[1]), int(product[2])) if product else _view_sizes(case)
    return abs(math.log(pair[0] / pair[1])) if pair and min(pair) > 0 else 0.0


_VIEW = re.compile(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)")


def _view_sizes(case: Case) -> tuple[int, int] | None:
    """The number of elements that a failed `view` had, and the number it wanted for the same batch."""
    found = _VIEW.search(case.failure.text)
    if not found:
        return None
    wanted = [int(size) for size in found[1].split(",")]
    total = math.prod(size for size in wanted if size > 0)
    batch = case.guess.size["batch"]
    return int(found[2]), total if wanted[0] == batch else total * batch


_REPAIRS: tuple[Repair, ...] = (
    _embedding,
    _convolution,
    _hidden,
    _recurrent,
    _normalisation,
    _small,
    _matrix,
    _elementwise,
    _concatenation,
    _view,
    _missing,
    _keyed,
    _unpacking,
    _einops,
    _scalars,
    _packed,
    _dtype,
    _dimensions,
    _divisible,
    _numbers,
)
_ALTERNATIVES: tuple[Repair, ...] = (_fixed_batch, _other_ideas)
