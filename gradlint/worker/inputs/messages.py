"""What the text of an error says about the inputs that were wanted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from gradlint.worker.inputs.absent import absent, turned_off
from gradlint.worker.inputs.batches import in_steps
from gradlint.worker.inputs.case import (
    Case,
    Repair,
    larger,
    resize,
    uses,
    usual_shapes,
    with_shape,
)
from gradlint.worker.inputs.docstrings import documented
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.groups import GROUPS
from gradlint.worker.inputs.guesses import Argument, Guess, argument_for
from gradlint.worker.inputs.quoted_sizes import (
    alike,
    among,
    divisible,
    length,
    numbers,
    one_size,
    sides,
    spelled,
    split,
    state_width,
    twice,
)
from gradlint.worker.inputs.specs import (
    SPATIAL,
    Constant,
    Dim,
    Filled,
    Group,
    Normal,
    Ring,
    Size,
    Whole,
    reshaped,
)
from gradlint.worker.running.attempt import Frame, sources_of


def _dtype(case: Case) -> Iterator[Guess]:
    text, call = case.failure.text, case.failure.call
    if not re.search(
        r"dtype|scalar type|tensors? used as indices|only applicable to index|Long|Double|Half|"
        r"Float|Input type|complex",
        text,
    ):
        return
    tensors = call.tensors() if call else []
    wide = next((t.dtype for t in tensors if not sources_of(t) and t.is_floating_point()), None)
    wide = wide or next(case.facts.model.parameters(), torch.empty(0)).dtype
    values: list[object] = [tensor for tensor in tensors if sources_of(tensor)] or [None]
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
    elif isinstance(spec, Filled) and not spec.dtype.startswith("float"):
        yield case.guess.having(item.name, replace(spec, dtype=dtype))


_NUMPY = re.compile(
    r"expected np\.ndarray \(got Tensor\)|"
    r"'numpy\.ndarray' and 'Tensor'|'Tensor' and 'numpy\.ndarray'"
)


def _arrays(case: Case) -> Iterator[Guess]:
    """Arrays of numpy's were expected: of what the failing line names, else of all."""
    if _NUMPY.search(case.failure.text):
        frame = case.failure.user_frame()
        named = {*re.findall(r"\w+", frame.text)} if frame else set[str]()
        yield case.guess.of_arrays(named)
        yield case.guess.of_arrays([item.name for item in case.guess.arguments])


def _sparse(case: Case) -> Iterator[Guess]:
    """A dense matrix was given where a sparse one, of the edges between nodes, is wanted."""
    call = case.failure.call
    if call is not None and re.search(r"sparse .*layout but got Strided", case.failure.text):
        for item in case.blamed(next(iter(call.tensors()), None)):
            if not isinstance(item.spec, Whole):
                yield case.guess.having(item.name, Ring(("nodes", "nodes"), sparse=True))


def _flags(case: Case) -> Iterator[Guess]:
    """A mask of numbers was given where one of flags is wanted."""
    call = case.failure.call
    wanted = r"[Bb]ool(ean)? (masks?|tensor)\b.* but got|expected BoolTensor for mask"
    if call is None or not re.search(wanted, case.failure.text):
        return
    numbers = (t for t in call.tensors() if sources_of(t) and not t.is_floating_point())
    for item in (item for tensor in numbers for item in case.blamed(tensor)):
        if isinstance(item.spec, (Filled, Whole)):
            yield case.guess.having(item.name, Filled(item.spec.shape, 1.0))


_SMALL = re.compile(
    r"[Kk]ernel size can't be greater|output size is too small|too small|non-empty|"
    r"Padding size should be less|non-positive|must be greater than|larger than|"
    r"at least(?! \d+ dim)|smaller than kernel|more than 1 (value|spatial element)|"
    r"non-zero size|zero-size|stride should not be zero|"
    r"selected index k out of range|k not in range"
)


def _pooled(case: Case) -> Iterator[Guess]:
    """A pooling window is larger than what is left of the image: scale the image until it fits."""
    call = case.failure.call
    if call is None or not re.search(r"(max|avg)_pool\dd", call.name):
        return
    value, window = call.argument(0, "input"), call.argument(1, "kernel_size")
    if isinstance(value, torch.Tensor):
        dims = int(call.name[-2])
        given = window if isinstance(window, (tuple, list)) else [window] * dims
        sides = [side for side in given if isinstance(side, int)]
        names = SPATIAL[dims - 1]
        scales = [
            -(-side // have) for side, have in zip(sides, value.shape[-dims:], strict=False) if have
        ]
        if max(scales, default=1) > 1:
            sizes = zip(names, scales, strict=False)
            yield case.guess.sized(**{name: case.guess.size[name] * times for name, times in sizes})


def _small(case: Case) -> Iterator[Guess]:
    if _SMALL.search(case.failure.text):
        yield from larger(case)


_UNPACK = re.compile(r"unpack \(expected (\d+)")
_ROWS = re.compile(
    r"\bfor \w+(?:, ?\w+)+ in (\w+)(?:\.tolist\(\)|\.unbind\(\))?(?: if .*)?[:\])}]*$"
)
_SHAPE = re.compile(r"^(.*?)=\s*(?:list\(|tuple\()?([\w.\[\]]+?)\.(?:shape|size\(\))")


def _unpacking(case: Case) -> Iterator[Guess]:
    found, frame = _UNPACK.search(case.failure.text), case.failure.user_frame()
    if not found or frame is None:
        return
    count = int(found[1])
    yield from _rows_of(case, frame, count)
    shape = _SHAPE.match(frame.text)
    value = frame.variables.get(shape[2].split(".")[-1]) if shape else None
    for item in case.blamed(value):
        if shape:
            lift = (
                value.dim() - len(case.shape(item.spec)) if isinstance(value, torch.Tensor) else 0
            )
            if lift:
                usual = usual_shapes(case, item, count - lift)
                yield from (with_shape(case, item, wanted) for wanted in usual)
            else:
                named = re.findall(r"\w+", shape[1].lower())
                yield from _as_pattern(case, [item], _with_the_rest(frame.text, named))
        elif not isinstance(item.spec, Group):
            yield case.guess.having(item.name, Group("tuple", (item.spec,) * count))


def _rows_of(case: Case, frame: Frame, count: int) -> Iterator[Guess]:
    """Each row of a tensor is taken apart: `for time, height, width in grid`."""
    rows = _ROWS.search(frame.text)
    name = rows[1] if rows else ""
    # because a comprehension is a frame of its own that does not know where its rows come from
    frames = (f for f in reversed(case.failure.frames) if f.users and name in f.variables)
    holder = next(frames, None)
    value = holder.variables[name] if holder else None
    if isinstance(value, torch.Tensor) and value.dim() > 1:
        for item in case.blamed(value):
            if isinstance(item.spec, (Normal, Whole)) and len(item.spec.shape) == value.dim():
                yield with_shape(case, item, (*item.spec.shape[:-1], count))


_SLICED = re.compile(r"\.(?:shape|size\(\))\[(-?\d+):(-?\d*)\]")


def _with_the_rest(line: str, named: list[str]) -> list[str]:
    """All axes of what has some of them named, as in `h, w = x.shape[1:3]`.

    The first are samples, and channels stand at the other end of what is named.
    """
    sliced = _SLICED.search(line)
    if sliced is None:
        return named
    if sliced[1] == "1":
        return ["b", *named, *(["c"] if sliced[2] else [])]
    return ["b", "c", *named] if sliced[1] in ("2", f"-{len(named)}") else named


_PATTERN = re.compile(r"pattern [\"'](.*?)->")


def _einops(case: Case) -> Iterator[Guess]:
    modules = case.failure.modules()
    layer = getattr(modules[0], "pattern", "") if modules else ""
    found = _PATTERN.search(case.failure.text) or re.match(r"(.*?)->", str(layer))
    if not found:
        return
    axes = re.findall(r"\([^)]*\)|\S+", found[1])
    frame = next((f for f in reversed(case.failure.frames) if "tensor" in f.variables), None)
    value = frame.variables["tensor"] if frame else None
    items = case.blamed(value)
    if isinstance(case.failure.error, KeyError) or re.search(
        r"xpected \d+ dims", case.failure.text
    ):
        yield from _as_pattern(case, items, axes)
    yield from _in_chunks(case, items)
    numbers = re.search(r"Shape mismatch, (\d+) != (\d+)", case.failure.text)
    if numbers:
        yield from resize(case, items, int(numbers[1]), int(numbers[2]))
        yield from resize(case, items, int(numbers[2]), int(numbers[1]))


_AXES = {"b": "batch", "n": "time", "l": "time", "s": "time", "h": "height", "w": "width"}
_FRAMES = {"f": "depth", "t": "depth", "d": "depth", "frames": "depth", "duration": "depth"}
_WORDS = {"batch_size": "b", "bs": "b", "bsz": "b", "batch": "b", "height": "h", "width": "w"}
_STEPS, _FEATURES = {"l", "n", "s", "t"}, {"d", "e", "k"}
_WORDS |= {"num_frames": "f", "n_frames": "f", "seq_len": "l", "dim": "c", "num_channels": "c"}


def _as_pattern(case: Case, items: list[Argument], axes: list[str]) -> Iterator[Guess]:
    """The dimensions that the left side of a pattern names."""
    known: dict[str, Dim] = {**_AXES, **(_FRAMES if len(axes) > 4 else {"t": "time"})}
    known |= {axis: int(axis) for axis in axes if axis.isdecimal()}
    names = [re.sub(r"[()]|(?<=\D)\d", "", axis).split(" ")[0] for axis in axes]
    names = [_WORDS.get(name, name) for name in names]
    if names[0] == "n" and "b" not in names:
        known["n"] = "batch"  # because `n, c, h, w` counts samples, and `b, n, d` tokens
    for item in items:
        yield from _in_heads(case, item, names)
        usual = list(usual_shapes(case, item, len(axes)))
        if usual and all(name in known or name in ("c", "ch", "channels") for name in names):
            whole = [dim for dim in getattr(item.spec, "shape", ()) if isinstance(dim, int)]
            last = whole[-1:] if names[-1].startswith("c") else []
            image = next(usual_shapes(case, item, 4)) if len(axes) > 4 else usual[0]
            channels = next((dim for dim in (*last, *image) if isinstance(dim, int)), 3)
            yield with_shape(case, item, tuple(known.get(name, channels) for name in names))
        yield from (with_shape(case, item, shape) for shape in usual)


_HEADS = 8


def _in_heads(case: Case, item: Argument, names: list[str]) -> Iterator[Guess]:
    """What is parted into heads already, as in `b, l, h, e = queries.shape`, and what is alike.

    An `h` beside steps and a width is no height where no `w` stands there.
    """
    names = _filled_in(case.forward, names)
    kinds = [set(names) & kind for kind in ({"b"}, {"h"}, _STEPS, _FEATURES)]
    if len(names) != len(kinds) or not all(kinds) or not isinstance(item.spec, Normal):
        return
    shape = item.spec.shape
    width = shape[-1] if shape and isinstance(shape[-1], int) else _HEADS * _HEADS
    heads = math.gcd(case.facts.number("num_heads", "n_heads", "heads") or _HEADS, width)
    known: dict[str, Dim] = {"b": "batch", "h": heads, **dict.fromkeys(_STEPS, "time")}
    parted = reshaped(item.spec, tuple(known.get(name, width // heads) for name in names))
    guess = case.guess
    for other in guess.arguments:
        guess = guess.having(other.name, parted) if other.spec == item.spec else guess
    yield guess


def _filled_in(forward: Forward, names: list[str]) -> list[str]:
    """The axes of one argument, those without a name as another argument's are called."""
    others = (forward.shape_names(name) for name in forward.required)
    like = next((o for o in others if len(o) == len(names) and "_" not in o), tuple(names))
    return [axis.lower() if name == "_" else name for name, axis in zip(names, like, strict=True)]


def _in_chunks(case: Case, items: list[Argument]) -> Iterator[Guess]:
    """An axis must be a multiple of the size of a patch or window."""
    divide = re.search(r"divide axis of length (\d+) in chunks of (\d+)", case.failure.text)
    if divide:
        have, chunk = int(divide[1]), int(divide[2])
        yield from resize(case, items, have, chunk * 2)
        yield from larger(case)
        if uses(case.guess, "height"):
            side = case.guess.size["height"] * chunk // max(have, 1)
            yield from (case.guess.sized(height=side * k, width=side * k) for k in (1, 2, 4, 8))


def _dimensions(case: Case) -> Iterator[Guess]:
    """Messages that speak of a number of dimensions."""
    text = case.failure.text
    out_of_range = re.search(
        r"Dimension out of range \(expected to be in range of \[-\d+, (\d+)\], but got (-?\d+)",
        text,
    )
    many = re.search(
        r"number of dims don't match in permute|length of the desired ordering|"
        r"too many indices for tensor of dimension (\d+)",
        text,
    )
    stated = _stated_rank(text)
    call = case.failure.call
    value = call.args[0] if call and call.args else case.named()
    if re.search(r"supposed to be a vector|[Ee]xpected (a )?vector|be one-dimensional", text):
        for item in case.blamed(value):
            yield from (with_shape(case, item, shape) for shape in usual_shapes(case, item, 1))
    if not (out_of_range or many or stated):
        return
    yield from in_steps(case)
    if stated and (told := _STATED_SHAPE.search(text)):
        yield from _as_pattern(case, case.blamed(value), re.split(r",\s*", told[1]))
    for item in case.blamed(value):
        rank = len(case.shape(item.spec)) or (value.dim() if isinstance(value, torch.Tensor) else 0)
        ranks = [stated] if stated else [rank + 1, rank + 2]
        for new in ranks:
            for shape in usual_shapes(case, item, new):
                yield with_shape(case, item, shape)


def _binary(case: Case) -> Iterator[Guess]:
    """What was drawn as numbers of any size is to hold zeros and ones."""
    if re.search(r"\bbinary values|\b0s? (or|and) 1s?\b|zeros (or|and) ones", case.failure.text):
        for item in case.blamed(case.named()):
            if isinstance(item.spec, Normal):
                yield case.guess.having(item.name, Whole(item.spec.shape, 2))


def _counts(case: Case) -> Iterator[Guess]:
    """A number for each sample was taken for how many rows are its own: one is.

    Because what was joined is larger than anything of ours.
    """
    call = case.failure.call
    said = re.findall(r"\d+", case.failure.text) if call and call.name in ("cat", "stack") else ()
    if max(map(int, said), default=0) > max(case.guess.size.values()):
        for item in case.guess.arguments:
            if isinstance(item.spec, Whole) and item.spec.shape == ("batch",):
                yield case.guess.having(item.name, Filled(item.spec.shape, 1, "int64"))


def _flat(case: Case) -> Iterator[Guess]:
    """The message says how many dimensions the inputs have at least: another idea has as many."""
    found = re.search(r"at least (\d) dimensions", case.failure.text)
    for item in case.guess.arguments if found else ():
        if found and 0 < len(case.shape(item.spec)) < int(found[1]):
            ideas = (idea for idea in item.others if len(case.shape(idea)) >= int(found[1]))
            yield from (case.guess.having(item.name, idea) for idea in ideas)


def _interpolated(case: Case) -> Iterator[Guess]:
    """An image is resized to the sides of an argument that has none: that is an image as well."""
    call, frame = case.failure.call, case.failure.user_frame()
    value = call.argument(0, "input") if call else None
    if "same number of spatial dimensions" not in case.failure.text or frame is None:
        return
    for item in case.guess.arguments:
        named = re.search(rf"\b{item.name}\b", frame.text)
        if named and isinstance(value, torch.Tensor) and len(case.shape(item.spec)) != value.dim():
            yield from (with_shape(case, item, s) for s in usual_shapes(case, item, value.dim()))


_STATED_SHAPE = re.compile(r"shape:? [(\[](\w+(?:, ?\w+)+)[)\]]")
_RANKS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


def _stated_rank(text: str) -> int:
    """The number of dimensions that a message says an input should have, 0 where it says none."""
    if spelled := re.search(rf"\b({'|'.join(_RANKS)})-dimensional (?:input|tensor|feature)", text):
        return _RANKS[spelled[1]]
    found = re.search(r"[Ee]xpected (?:input to be |a )?(\d)-?[Dd]", text) or re.search(
        r"(\d)-?[Dd][ -](?:\(\w+\) )?(?:input|tensor|array|vector)", text
    )
    return int(found[1]) if found else 0


def _missing(case: Case) -> Iterator[Guess]:
    """None where a value is needed, or an optional argument that the message names."""
    text = case.failure.text
    frame = case.failure.user_frame()
    for item in case.guess.arguments:
        if item.spec == Constant(None) and ("None" in text or (frame and item.name in frame.text)):
            yield from (case.guess.having(item.name, other) for other in item.others)
    given = {item.name for item in case.guess.arguments}
    line = frame.text if frame and "None" in f"{text} {frame.text}" else ""
    demanded = case.forward.demanded(text)
    # because a part that lacks `input_ids` has them from the whole's `decoder_input_ids`
    for name in (name for name in case.forward.optional if name not in given):
        rest = name.partition("_")[2]
        forms = (name, rest) if rest in given or _is_lost(case, rest) else (name,)
        spoken = any(re.search(rf"\b(?i:{form})\b", f"{text} {line}") for form in forms)
        users = [frame for frame in case.failure.frames if frame.users]
        near = users if rest in given else _nearest(users, case.forward.optional)
        passed = "None" in text and _passed_on(near, name)
        if name in demanded or spoken or passed:
            argument = argument_for(case.facts, case.forward, name, len(given))
            for spec in (argument.spec, *argument.others)[:4]:
                if spec != Constant(None):
                    yield case.guess.adding(Argument(name, spec, argument.others, keyword=True))


def _is_lost(case: Case, name: str) -> bool:
    """Whether the whole has no argument of a name of several words, so that a part's is meant."""
    return "_" in name and name not in (*case.forward.required, *case.forward.optional)


def _together(case: Case) -> Iterator[Guess]:
    """Several arguments may be left out, but not where the part that complains is trained."""
    parts = case.failure.modules()[:1]
    text, guess = case.failure.text, case.guess
    for forward in (case.forward, *map(Forward.of, parts)):
        for name in forward.demanded_together(text):
            if name in case.forward.optional and guess.spec(name) is None:
                argument = argument_for(case.facts, case.forward, name, len(guess.arguments))
                guess = guess.adding(replace(argument, keyword=True))
    yield guess


def _documented(case: Case) -> Iterator[Guess]:
    """None where a value is needed: all arguments that the docstring does not call optional."""
    given = {item.name for item in case.guess.arguments}
    entries = [entry for entry in documented(case.forward.remarks) if not entry.optional]
    names = [e.name for e in entries if e.name in case.forward.optional and e.name not in given]
    guess = case.guess
    for name in names if "None" in case.failure.text else ():
        argument = argument_for(case.facts, case.forward, name, len(guess.arguments))
        guess = guess.adding(replace(argument, keyword=True))
    yield guess


_NEAREST = 2
"""Levels of the stack at which the None that a failure is about is passed on by its own name."""


def _nearest(frames: Sequence[Frame], names: Sequence[str]) -> Sequence[Frame]:
    """The innermost levels, and those outside of them as far as a None is handed on unnamed."""
    count = _NEAREST
    while count < len(frames) and not any(_passed_on(frames[-count:], name) for name in names):
        if not any(_passed_on([frames[-count]], name) for name in frames[-count].variables):
            break
        count += 1
    return frames[-count:]


def _passed_on(frames: Sequence[Frame], name: str) -> bool:
    """Whether a line on the way to the failure passes on a variable of this name that is None."""
    return any(
        name in frame.variables and frame.variables[name] is None
        for frame in frames
        if re.search(rf"\b{name}\b", frame.text)
    )


_COUNTED = frozenset("arange linspace zeros ones full rand randn empty eye".split())


def _scalars(case: Case) -> Iterator[Guess]:
    """A number or a flag was expected where a tensor was passed, or a tensor where a number was."""
    text, frame = case.failure.text, case.failure.user_frame()
    line = frame.text if frame else ""
    if re.search(
        r"oolean value of Tensor|interpreted as an integer|can be converted to (an index|Python)|"
        r"must be (int|tuple of ints|bool|float)|converted to a scalar|iterable of 'int'",
        text,
    ):
        for item in case.blamed():
            if re.search(rf"\b{item.name}\b", line):
                for value in (False, 4, 1.0):
                    yield case.guess.having(item.name, Constant(value))
    counting = re.match(r"(\w+)\(\)(:| received)", text)
    if counting and counting[1] in _COUNTED:
        guess = case.guess
        for item in case.blamed():
            if re.search(rf"\b{item.name}\b", line):
                guess = guess.having(item.name, Size("time"))
        yield guess
    if re.search(
        r"'(int|float|bool|str|tuple|list|NoneType)' object|must be Tensor|"
        r"got (int|float|bool|str)|len\(\)",
        text,
    ):
        for item in case.guess.arguments:
            if isinstance(item.spec, (Constant, Group)) or re.search(rf"\b{item.name}\b", line):
                yield from (case.guess.having(item.name, other) for other in item.others)


def _uncached(case: Case) -> Iterator[Guess]:
    """What keeps the keys of a text that grows cannot be made, which no training needs."""
    owners = (frame.variables.get("self") for frame in case.failure.frames)
    kept = any(type(owner).__name__.endswith("Cache") for owner in owners)
    if kept and "use_cache" in case.forward.optional and case.guess.spec("use_cache") is None:
        yield case.guess.adding(Argument("use_cache", Constant(False), keyword=True))


MESSAGES: tuple[Repair, ...] = (
    _uncached,
    _pooled,
    _small,
    absent,
    turned_off,
    _documented,
    _together,
    _missing,
    *GROUPS,
    _unpacking,
    _einops,
    _scalars,
    _arrays,
    _sparse,
    _flags,
    _dtype,
    _dimensions,
    _flat,
    _counts,
    _binary,
    _interpolated,
    alike,
    twice,
    divisible,
    split,
    state_width,
    length,
    sides,
    spelled,
    one_size,
    among,
    numbers,
)
"""The repairs, the most specific first."""
