"""What a message tells of the sizes that were wanted, in numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from gradlint.worker.inputs.case import (
    SIDES,
    Case,
    larger,
    rebatched,
    rescale,
    reshape,
    resize,
    uses,
)
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.specs import Dim, Shape

_WANTED = r"(?:expect\w*|require\w*|(?:should|must) (?:be|have)|need\w*)"
_PAIRS = (
    r"\((\d+)\)\D*\((\d+)\)",
    r"\((\d+)\s*[x*×]\s*\d+\)\D*\((\d+)",
    rf"{_WANTED}\D{{0,40}}?(\d+)\D{{0,40}}?(?:got|not|but|found|is|was|has)\D{{0,20}}?(\d+)",
    rf"(?:got|given|received|input)\D{{0,40}}?(\d+)\D{{0,40}}?{_WANTED}\D{{0,30}}?(\d+)",
    r"(\d+)\s*(?:!=|vs\.?|and|but|instead of)\s*\D{0,12}?(\d+)",
    r"(\d+)\s*(?:doesn't|does not) (?:match|equal|correspond)\D{0,40}?(\d+)",
)


def sides(case: Case) -> Iterator[Guess]:
    """Both sides of an image are told, as in `input size must be (299, 299)`."""
    found = re.search(rf"{_WANTED}\D{{0,20}}\(?(\d+)(?:, ?| ?[x×*] ?)(\d+)\b", case.failure.text)
    if found and uses(case.guess, "height"):
        yield case.guess.sized(height=int(found[1]), width=int(found[2]))


_LENGTH = re.compile(r"\b(?:sequence|input) length (?:to|of) (\d+)\b")


def length(case: Case) -> Iterator[Guess]:
    """A length is advised, as in `consider padding your sequence length to 4096`."""
    found = _LENGTH.search(case.failure.text)
    if found and uses(case.guess, "time"):
        yield case.guess.sized(time=int(found[1]))


def numbers(case: Case) -> Iterator[Guess]:
    """Two numbers, one of which is a size of ours: make it the other."""
    for pattern in _PAIRS:
        for found in re.finditer(pattern, case.failure.text):
            one, two = int(found[1]), int(found[2])
            yield from resize(case, case.blamed(), two, one)
            yield from resize(case, case.blamed(), one, two)
            batch = case.facts.number("batch_size", "bs", "batch")
            for ours, theirs in ((one, two), (two, one)):
                if theirs == batch:
                    yield from rebatched(case, ours, theirs)


_STATE = re.compile(r"xpected hidden(?:\[\d\])? size \([\d, ]*?(\d+)\), got \[[\d, ]*?(\d+)\]")


def state_width(case: Case) -> Iterator[Guess]:
    """The hidden state of a recurrence is as wide as an argument that it is made like."""
    found = _STATE.search(case.failure.text)
    if found:
        yield from resize(case, case.blamed(), int(found[2]), int(found[1]))


_AMONG = re.compile(r"\b([1-9]\d*)\D{0,20}\bnot (?:found|one|in|among)\b[^\[]*\[(\d+(?:, ?\d+)*)\]")


def among(case: Case) -> Iterator[Guess]:
    """A number is none of those that are known, as in `49 patches not found in [1225, 4900]`."""
    for have, known in _AMONG.findall(case.failure.text):
        for want in map(int, known.split(",")):
            yield from resize(case, case.blamed(), int(have), want)
            yield from rescale(case, want / int(have))


_LETTERS = {"B": "batch", "N": "batch", "H": "height", "W": "width", "D": "depth"}
_LETTERS |= {"T": "time", "L": "time", "S": "time"}


def spelled(case: Case) -> Iterator[Guess]:
    """The shape that is wanted is spelled out, as in `(B, C, H, W, 2)`."""
    value = case.named()
    for found in re.finditer(r"[(\[]([BN](?:, ?(?:[A-Z]|\d+)){1,5})[)\]]", case.failure.text):
        axes = found[1].replace(" ", "").split(",")
        for item in case.blamed(value):
            whole = (dim for dim in getattr(item.spec, "shape", ()) if isinstance(dim, int))
            features = next(whole, 3)
            shape = (int(a) if a.isdigit() else _LETTERS.get(a, features) for a in axes)
            yield from reshape(case, item, tuple(shape))


def one_size(case: Case) -> Iterator[Guess]:
    """One size of a shape is told, as in `x.shape[-1] is not 2`."""
    found = re.search(r"shape\[(-?\d+)\]\D{1,12}(\d+)", case.failure.text)
    for item in case.blamed(case.named()) if found else ():
        shape: list[Dim] = list(getattr(item.spec, "shape", ()))
        if found and -len(shape) <= int(found[1]) < len(shape):
            shape[int(found[1])] = int(found[2])
            yield from reshape(case, item, tuple(shape))


_SHAPES = re.compile(r"\[(\d+(?:, \d+)+)\]")


def twice(case: Case) -> Iterator[Guess]:
    """The sides of one image are to be twice those of another, and both shapes are told."""
    shapes = [tuple(map(int, found.split(","))) for found in _SHAPES.findall(case.failure.text)]
    if len(shapes) != 2 or not re.search(r"\b(doubled?|twice)\b", case.failure.text):
        return
    for (small, large), item in itertools.product((shapes, shapes[::-1]), case.guess.arguments):
        if case.shape(item.spec) == large and len(small) == len(large) > 2:
            dims: tuple[Dim, ...] = getattr(item.spec, "shape", ())
            yield from reshape(case, item, (*dims[:2], *(2 * side for side in small[2:])))


def split(case: Case) -> Iterator[Guess]:
    """The sizes that a tensor is split into sum to another than its own."""
    found = re.search(r"sum exactly to (\d+).*split_sizes=\[([\d, ]+)\]", case.failure.text)
    if found:
        total = sum(int(size) for size in found[2].split(","))
        call = case.failure.call
        value = call.args[0] if call and call.args else None
        yield from resize(case, case.blamed(value), int(found[1]), total)


def divisible(case: Case) -> Iterator[Guess]:
    """Sizes that should be a multiple of something."""
    found = re.search(r"(?:divisible|multiple|divided)(.{0,60})", case.failure.text)
    sides = [name for name in sorted(SIDES | {"time"}) if uses(case.guess, name)]
    if "don't multiply up to the size" in case.failure.text and "depth" in sides:
        yield case.guess.sized(depth=case.guess.size["depth"] + 1)  # because the first stands alone
    if "divisib" in case.failure.text or "multiple" in case.failure.text:
        numbers = map(int, re.findall(r"\d+", found[1])) if found else ()
        for by in dict.fromkeys(number for number in numbers if number > 1):
            for times in (1, 2, 4):
                yield case.guess.sized(
                    **{name: by * max(-(-case.guess.size[name] // by), times) for name in sides}
                )
        yield from larger(case)


_TWO_SHAPES = re.compile(r"\((\d+(?:, \d+)*),?\) and \((\d+(?:, \d+)*),?\)")


def alike(case: Case) -> Iterator[Guess]:
    """Two arguments that must begin alike, as in `must match, got (2, 32) and (2,)`."""
    found = _TWO_SHAPES.search(case.failure.text)
    quoted = [tuple(map(int, sizes.split(", "))) for sizes in found.groups()] if found else []
    for longer, shorter in itertools.permutations(quoted, 2):
        for giver, taker in itertools.permutations(case.guess.arguments, 2):
            begins = case.shape(giver.spec)[: len(longer)] == longer
            if begins and case.shape(taker.spec) == shorter:
                shape: Shape = getattr(giver.spec, "shape", ())
                yield from reshape(case, taker, shape[: len(longer)])
