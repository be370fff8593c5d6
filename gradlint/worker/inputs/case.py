"""A guess at inputs that failed, and the single changes that can be made to it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from torch import nn

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import (
    SPATIAL,
    Constant,
    Dim,
    Group,
    Normal,
    Ring,
    Shape,
    Spec,
    Whole,
    reshaped,
    size_of,
)
from gradlint.worker.running.attempt import Failure, sources_of

LADDER = (28, 32, 48, 64, 84, 96, 112, 128, 160, 192, 224, 256, 299, 384, 512)
_GROWING = (32, 64, 128, 224, 299, 512, 1024, 1536)
_LONG = (64, 256, 1024, 4096, 16384)
_BETWEEN = 3
_JOINED = 3
_PAIRED = 1024
SIDES = frozenset(name for names in SPATIAL for name in names)


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

    def failing(self) -> object:
        """The first tensor of the failing call that an argument gave."""
        tensors = self.failure.call.tensors() if self.failure.call else ()
        return next((tensor for tensor in tensors if sources_of(tensor)), None)

    def named(self) -> object:
        """The first tensor that the failing line of the user's names and an argument gave."""
        frame = self.failure.user_frame()
        words = re.findall(r"\w+", frame.text) if frame else ()
        values = (frame.variables.get(word) for word in words) if frame else ()
        return next((value for value in values if sources_of(value)), None)

    def shape(self, spec: Spec) -> tuple[int, ...]:
        """The sizes that were drawn for a value."""
        dims = getattr(spec, "shape", ())
        return tuple(size_of(dim, self.guess.size) for dim in dims)


Repair = Callable[[Case], Iterator[Guess]]


def reshape(case: Case, item: Argument, shape: Shape) -> Iterator[Guess]:
    """Give an argument another shape; the edges of a graph have only one.

    What lies on nodes stays there instead of on samples, and what lies on edges for any shape.
    """
    if _is_wiring(item.spec):
        return
    lead: Shape = getattr(item.spec, "shape", ())[:1]
    if lead == ("edges",) or (lead == ("nodes",) and shape[:1] == ("batch",)):
        shape = (*lead, *shape[1:])
    if hasattr(item.spec, "shape"):
        yield case.guess.having(item.name, reshaped(item.spec, shape))
    elif isinstance(item.spec, Group):
        named = _entries_named(case, item.spec)
        parts = [
            reshaped(part, shape)
            if (index in named if named else isinstance(part, Normal))
            else part
            for index, part in enumerate(item.spec.items)
        ]
        yield case.guess.having(item.name, Group(item.spec.kind, tuple(parts), item.spec.keys))


def _entries_named(case: Case, group: Group) -> set[int]:
    """The entries of a mapping or of an object that the failing line reads, as far as it tells."""
    frame = case.failure.user_frame()
    read = re.findall(r"[\"'.](\w+)", frame.text) if frame else ()
    return {index for index, key in enumerate(group.keys) if key in read}


def resize(case: Case, items: Iterable[Argument], have: int, want: int) -> Iterator[Guess]:
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
        if size == have and name != "batch" and uses(case.guess, name):
            both = {dim: want for dim in SIDES if case.guess.size[dim] == have}
            if name in both:
                yield case.guess.sized(**both)
            yield case.guess.sized(**{name: want})


def shifted(
    case: Case, items: Iterable[Argument], behind: int, have: int, want: int
) -> Iterator[Guess]:
    """An argument was concatenated with something else: it takes up the whole difference.

    The layer saw `have` channels and wants `want`; `behind` dimensions follow the channels.
    """
    for item in items:
        new = _shifted(case, item.spec, behind, have, want)
        if new != item.spec:
            yield case.guess.having(item.name, new)


def traded(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """One of several arguments takes up the difference, and another what the first gave up.

    Because what they are joined to elsewhere may need the sum of both as it is.
    """
    for one, other in itertools.permutations(items[:_JOINED], 2):
        new, rest = (
            _shifted(case, one.spec, 0, have, want),
            _shifted(case, other.spec, 0, want, have),
        )
        if new != one.spec and rest != other.spec:
            yield case.guess.having(one.name, new).having(other.name, rest)


def _shifted(case: Case, spec: Spec, behind: int, have: int, want: int) -> Spec:
    if isinstance(spec, Group):
        parts = tuple(_shifted(case, part, behind, have, want) for part in spec.items)
        return Group(spec.kind, parts, spec.keys)
    sizes = case.shape(spec)
    tokens = isinstance(spec, Whole) and not behind  # because their last dimension is a sequence
    if len(sizes) < 2 or tokens or _is_wiring(spec):
        return spec
    dims = list(getattr(spec, "shape", ()))
    channels = max(len(dims) - 1 - behind, 1)
    if dims[channels] in SIDES:
        return spec  # because a side that was flattened is a factor of what it became part of
    if sizes[channels] != have and sizes[channels] + want - have > 0:
        dims[channels] = sizes[channels] + want - have
    return reshaped(spec, tuple(dims))


def _is_wiring(spec: Spec) -> bool:
    return getattr(spec, "high", None) == "nodes"


def _resized(case: Case, spec: Spec, have: int, want: int) -> Iterator[Spec]:
    if _is_wiring(spec):
        return
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


def uses(guess: Guess, name: str) -> bool:
    """Whether any argument has the named size."""
    return uses_of(guess, name) > 0


def uses_of(guess: Guess, name: str) -> int:
    """How many arguments have the named size."""
    return sum(name in dims_of(item.spec) for item in guess.arguments)


def dims_of(spec: Spec) -> set[Dim]:
    """The sizes that a value is made of, named and fixed ones."""
    if isinstance(spec, Group):
        return set[Dim]().union(*(dims_of(item) for item in spec.items))
    single = (getattr(spec, name, "") for name in ("of", "dim", "high"))
    dims = {*getattr(spec, "shape", ()), *single}
    return {part for dim in dims for part in (dim.split("*") if isinstance(dim, str) else [dim])}


def factored(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """The layer sees `have` for a flattened or tiled argument: change one size in proportion."""
    for item in items:
        dims = getattr(item.spec, "shape", ())
        for index, size in enumerate(case.shape(item.spec)):
            if index and size > 1 and have and (size * want) % have == 0:
                yield from reshape(
                    case, item, (*dims[:index], size * want // have, *dims[index + 1 :])
                )


def paired(case: Case, items: list[Argument], have: int, want: int) -> Iterator[Guess]:
    """The layer sees the product of each feature with each, or of each pair, as in recommenders."""
    for item in items:
        dims: Shape = getattr(item.spec, "shape", ())
        for index, size in enumerate(case.shape(item.spec)):
            for pairs in (pow, math.comb):
                fitting = (count for count in range(2, _PAIRED) if pairs(count, 2) == want)
                if index and pairs(size, 2) == have:
                    for count in fitting:
                        yield from reshape(case, item, (*dims[:index], count, *dims[index + 1 :]))


def rescale(case: Case, ratio: float) -> Iterator[Guess]:
    """Scale the sides of images or the length of signals so that their volume grows by `ratio`."""
    names = [name for name in sorted(SIDES) if uses(case.guess, name)]
    if not names or ratio <= 0:
        return
    frames = [name for name in names if name != "depth"]  # because a video may be long enough
    for scaled in (frames, names) if len(frames) == 2 < len(names) else (names,):
        exact = {name: case.guess.size[name] * ratio ** (1 / len(scaled)) for name in scaled}
        if all(abs(value - round(value)) < 1e-6 for value in exact.values()):
            yield case.guess.sized(**{name: round(value) for name, value in exact.items()})
    usual = sorted(
        LADDER if len(names) > 1 else _LONG, key=lambda s: abs(math.log(s / exact[names[0]]))
    )
    if 0.8 < usual[0] / exact[names[0]] < 1.25:
        yield case.guess.sized(**dict.fromkeys(names, usual[0]))
    # because convolutions without padding take more from small images than their share
    ends = sorted((case.guess.size[names[0]], exact[names[0]]))
    for side in [side for side in usual if ends[0] < side < ends[1]][:_BETWEEN]:
        yield case.guess.sized(**dict.fromkeys(names, side))
    for grain in (4, 1):
        yield case.guess.sized(
            **{name: max(round(value / grain) * grain, 1) for name, value in exact.items()}
        )
    for shift in (-1, 1, -2, 2, -4, 4):
        yield case.guess.sized(
            **{name: max(round(value) + shift, 1) for name, value in exact.items()}
        )


def larger(case: Case) -> Iterator[Guess]:
    """The next usual sizes of what failed, be it an image or a signal, of a fixed size or not."""
    blamed = case.blamed(case.failing())
    names = sorted(SIDES & set[Dim]().union(*(dims_of(item.spec) for item in blamed)))
    if names:
        now = max(case.guess.size[name] for name in names)
        steps = _GROWING if len(names) > 1 else _LONG
        frames = [name for name in names if name != "depth"] if len(names) > 2 else []
        # because the shortest side of a volume is the first of which nothing is left
        deeper = [step for step in steps if frames and step > case.guess.size["depth"]]
        yield from (case.guess.sized(depth=step) for step in deeper[:2])
        for side in [step for step in steps if step > now][:3]:
            yield case.guess.sized(**dict.fromkeys(names, side))
            if frames:  # because a video may be long enough
                yield case.guess.sized(**dict.fromkeys(frames, side))
    for item in blamed if not names else ():
        shape: Shape = getattr(item.spec, "shape", ())
        if not isinstance(item.spec, Normal) or not 3 <= len(shape) <= 5:
            continue
        last, sides = case.shape(item.spec)[-1], SPATIAL[len(shape) - 3]
        more = [step for step in (_GROWING if len(sides) > 1 else _LONG) if step > last][:3]
        for step in more if len(sides) == 1 else ():
            yield from reshape(case, item, (*shape[:2], step))
            yield from reshape(case, item, (shape[0], step, *shape[2:]))  # as it is transposed
        for open_ in reshape(case, item, (*shape[:2], *sides)) if len(sides) > 1 else ():
            yield from (open_.sized(**dict.fromkeys(sides, step)) for step in more)


def with_shape(case: Case, item: Argument, shape: Shape) -> Guess:
    """The guess with another shape for one argument, itself where that has no shape."""
    return next(reshape(case, item, shape), case.guess)


def usual_shapes(case: Case, item: Argument, rank: int) -> Iterator[Shape]:
    """Usual shapes of a rank."""
    convolution = case.facts.first(nn.Conv1d, nn.Conv2d, nn.Conv3d)
    channels = cast(int, convolution.in_channels) if convolution is not None else 3
    whole = [dim for dim in getattr(item.spec, "shape", ()) if isinstance(dim, int)]
    size = whole[0] if whole else 16
    if isinstance(item.spec, Whole):
        yield ("batch", "time", "source", "features")[:rank]
        return
    if isinstance(item.spec, Ring):
        yield ("batch", "time", "time") if rank == 3 else ("nodes", "nodes")
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
            images = ("batch", 4, channels, "height", "width")
            volume = ("batch", channels, "depth", "height", "width")
            yield from (images, volume) if isinstance(convolution, nn.Conv2d) else (volume, images)
            yield ("batch", size, "depth", "height", "width")


def rebatched(case: Case, ours: int, theirs: int) -> Iterator[Guess]:
    """The model fixes its batch size, or takes the first dimension for the time."""
    if ours == case.guess.size["batch"]:
        yield case.guess.sized(batch=theirs)


_VIEW = re.compile(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)")


def view_sizes(case: Case) -> tuple[int, int] | None:
    """How many elements a failed `view` had, and how many it wanted for the same batch."""
    found = _VIEW.search(case.failure.text)
    if not found:
        return None
    wanted = [int(size) for size in found[1].split(",")]
    total = math.prod(size for size in wanted if size > 0)
    batch = case.guess.size["batch"]
    return int(found[2]), total if wanted[0] == batch else total * batch
