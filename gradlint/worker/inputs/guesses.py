"""Guesses at a model's inputs: what each argument of `forward` is, over named sizes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.naming import HIDDEN
from gradlint.worker.inputs.roles import ideas_for
from gradlint.worker.inputs.specs import SPATIAL, Constant, Group, Normal, Spec, Whole, draw, volume
from gradlint.worker.inputs.wiring import grouping

_SIZES = {
    "batch": 2,
    "time": 32,
    "source": 32,
    "length": 64,
    "depth": 16,
    "height": 32,
    "width": 32,
}
_SIZES |= {"nodes": 32, "edges": 96, "features": 16, "patches": 64, "cells": 144}
_SIZES |= {"images": 0, "sounds": 0}


_TENSORS = (Normal, Whole)


@dataclass(frozen=True)
class Argument:
    """One argument of `forward`: positional unless `keyword`; `others` are further ideas for it.

    Or one part of an argument that `forward` takes apart first, as in `text, lengths = inputs`;
    `within` is the name of the whole then, whose parts follow each other, and `listed` whether it
    is a list. An `array` is one of numpy's.
    """

    name: str
    spec: Spec
    others: tuple[Spec, ...] = ()
    keyword: bool = False
    within: str = ""
    listed: bool = False
    array: bool = False

    @cached_property
    def text(self) -> str:
        """The same text for arguments that are drawn alike, whatever the ideas for them."""
        return repr((self.name, self.spec, self.keyword, self.array))

    @cached_property
    def named(self) -> frozenset[str]:
        """The named sizes that its value has."""
        return frozenset(re.findall(r"['*](\w+)(?=['*])", self.text))


@dataclass(frozen=True, slots=True)
class Guess:
    """Inputs to try: arguments over named sizes."""

    arguments: tuple[Argument, ...]
    sizes: tuple[tuple[str, int], ...]

    @property
    def size(self) -> Mapping[str, int]:
        """The named sizes."""
        return dict(self.sizes)

    @property
    def key(self) -> str:
        """The same text for guesses that are drawn alike: sizes that nothing has are left out."""
        named = frozenset[str]().union(*(item.named for item in self.arguments))
        sizes = [size for size in self.sizes if size[0] in named]
        return f"{[item.text for item in self.arguments]}{sizes}"

    def spec(self, name: str) -> Spec | None:
        """What is passed for the argument `name`, None where it is left out."""
        return next((item.spec for item in self.arguments if item.name == name), None)

    def having(self, name: str, spec: Spec) -> Guess:
        """The same guess with another value for one argument."""
        changed = tuple(
            replace(item, spec=spec) if item.name == name else item for item in self.arguments
        )
        return replace(self, arguments=changed)

    def joined(self, whole: str, spec: Spec) -> Guess:
        """The same guess with one value for the argument whose parts it has."""
        parts = [item for item in self.arguments if item.within == whole]
        one = {parts[0]: Argument(whole, spec)}
        kept = (one.get(item, item) for item in self.arguments if item not in parts[1:])
        return replace(self, arguments=tuple(kept))

    def of_arrays(self, names: Collection[str]) -> Guess:
        """The same guess with arrays of numpy's for some arguments."""
        items = (replace(item, array=item.array or item.name in names) for item in self.arguments)
        return replace(self, arguments=tuple(items))

    def adding(self, argument: Argument) -> Guess:
        """The same guess with one more argument."""
        return replace(self, arguments=(*self.arguments, argument))

    def settled(self) -> Guess:
        """The same guess without further ideas for its arguments, because they are right."""
        return replace(self, arguments=tuple(replace(a, others=()) for a in self.arguments))

    def sized(self, **sizes: int) -> Guess:
        """The same guess with other sizes."""
        return replace(self, sizes=tuple({**self.size, **sizes}.items()))

    def volume(self) -> int:
        """How many numbers the arguments hold together."""
        return sum(volume(item.spec, self.size) for item in self.arguments)

    def drawn(
        self, seen: Callable[[object, tuple[str, ...]], None] = lambda *_: None
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Positional and keyword arguments, drawn from torch's current random state.

        `seen` is called with each value and the name of its argument, or of its part of one.
        """
        values = [(item, draw(item.spec, self.size)) for item in self.arguments]
        for item, value in values:
            seen(value, (item.name,))
        values = [(item, _arrayed(value) if item.array else value) for item, value in values]
        positional: list[object] = []
        for whole, parts in itertools.groupby(
            (each for each in values if not each[0].keyword), key=lambda each: each[0].within
        ):
            items, drawn = zip(*parts, strict=True)
            together = list(drawn) if items[0].listed else drawn
            positional += (together,) if whole else drawn
        return tuple(positional), {item.name: value for item, value in values if item.keyword}


def _arrayed(value: object) -> object:
    return value.numpy() if isinstance(value, torch.Tensor) else value


def first_guess(facts: Facts, sequence_length: int) -> Guess:
    """What `forward` most likely takes; only what it requires."""
    forward = Forward.of(facts.model)
    arguments = tuple(
        part
        for index, name in enumerate(forward.required)
        for part in _parted(argument_for(facts, forward, name, index), facts, forward)
    )
    sizes = dict(_SIZES)
    if sequence_length:
        sizes |= {"time": sequence_length, "source": sequence_length, "length": sequence_length}
    sides = facts.sides()
    if sides:
        names = SPATIAL[min(len(sides), 3) - 1] if len(sides) > 1 else ("height", "width")
        sizes |= dict(zip(names, sides[-len(names) :] * 2, strict=False))
    if frames := facts.number("num_frames", "n_frames", "frames"):
        sizes["depth"] = frames
    guess = Guess(arguments, tuple(sizes.items()))
    for name in grouping(forward):
        argument = argument_for(facts, forward, name, len(arguments))
        guess = guess.adding(replace(argument, keyword=True))
    if guess.arguments or not forward.optional:
        return guess
    main = forward.main
    keyword = replace(argument_for(facts, forward, main, 0), keyword=True)
    return guess.adding(keyword)


def _parted(whole: Argument, facts: Facts, forward: Forward) -> Iterator[Argument]:
    """The parts of an argument that `forward` takes apart, itself where it does not.

    Those of a hidden state belong together: they have the same shape.
    """
    names = forward.unpacked(whole.name)
    told = len(names) == 1 or len({*names}) > 1
    alone = told and {*names}.isdisjoint(forward.required) and not whole.keyword
    state = HIDDEN.fullmatch(whole.name.lower())
    match whole.spec:
        case Group(kind, items, keys=()) if alone and not state and len(items) == len(names):
            for name, item in zip(names, items, strict=True):
                ideas = ideas_for(facts, forward, name, 0)
                others = tuple(idea for idea in ideas if idea != item)
                listed = kind == "list"
                yield Argument(name, item, others, within=whole.name, listed=listed)
        case _:
            yield whole


def further(guess: Guess, facts: Facts) -> Iterator[Guess]:
    """The same guess with the arguments that may be left out: all tensors, then each alone."""
    forward = Forward.of(facts.model)
    given = {item.name for item in guess.arguments}
    names = [name for name in forward.optional if name not in given]
    arguments = (argument_for(facts, forward, name, len(given)) for name in names)
    more = [replace(item, keyword=True) for item in arguments if isinstance(item.spec, _TENSORS)]
    yield replace(guess, arguments=(*guess.arguments, *more))
    yield from map(guess.adding, more)


def switched(guess: Guess, facts: Facts) -> Iterator[Guess]:
    """The same guess with one flag turned over, as of a model that is to be told that it trains."""
    for name, value in Forward.of(facts.model).flags.items():
        if guess.spec(name) is None:
            yield guess.adding(Argument(name, Constant(not value), keyword=True))


def argument_for(facts: Facts, forward: Forward, name: str, index: int) -> Argument:
    """The best idea for one argument, and further ones."""
    ideas = ideas_for(facts, forward, name, index)
    return Argument(name, ideas[0], ideas[1:], keyword=name in forward.named)
