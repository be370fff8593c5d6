"""Other sizes for a guessed construction, learned from shapes that did not fit in `forward`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.constructors import GUESSED
from gradlint.worker.inputs.hopeless import runs_a_holder
from gradlint.worker.running.wording import worded

_DISAGREEING = (
    r"shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
    r"to have (\d+) channels, but got (\d+) channels",
    r"tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
    r"normalized_shape=\[(\d+)\].*?(\d+)\]",
    r"[Ee]xpected:? (\d+),? (?:but )?got:? (\d+)",
    r"has incorrect size.*?(\d+).*?(\d+)",
    r"invalid for input of size (\d+).*?(\d+)",
    r"length of (\d+).*?max\w*\D{0,30}(\d+)",
)
_HOLDER = "__import__('types').SimpleNamespace("
_KERNEL = re.compile(
    r"list of (\d+) values to match the convolution dimensions, but got \w+=\[([\d, ]+)\]"
)
_LARGEST = 4096
_NARROW = 16
"""How many times narrower a size may become: no more, because it is then a batch that it met."""
_CHANNELS = re.compile(r"in\w*(channels?|planes|chs?|features?)|channels?_in|c_in")


def refitted(candidate: Candidate, error: BaseException) -> Iterator[Candidate]:
    """The candidate with one size made what another must have been; only where sizes are guessed.

    A block that is given three channels, as the input of a whole model has, may want more. What
    only held settings is made a module where it is called.
    """
    parsed = _call(candidate.constructor)
    if candidate.built_from not in GUESSED or parsed is None:
        return
    text = worded(error)
    if runs_a_holder(error) and _HOLDER in candidate.constructor:
        yield replace(candidate, constructor=candidate.constructor.replace(_HOLDER, "PassThrough("))
        return
    if kernel := _KERNEL.search(text):
        yield from _shortened(candidate, int(kernel[1]), len(kernel[2].split(",")))
    for pattern in _DISAGREEING:
        for found in re.finditer(pattern, text):
            one, two = int(found[1]), int(found[2])
            yield from _with(candidate, one, two)
            yield from _with(candidate, two, one)
    for index, word in enumerate(parsed.keywords):
        value = word.value
        if isinstance(value, ast.Constant) and value.value == 3 and _CHANNELS.match(word.arg or ""):
            changed = ast.parse(candidate.constructor.strip(), mode="eval").body
            assert isinstance(changed, ast.Call)
            changed.keywords[index].value = ast.Constant(64)
            yield replace(candidate, constructor=ast.unparse(changed))


def _shortened(candidate: Candidate, had: int, wanted: int) -> Iterator[Candidate]:
    """Each sequence of `had` values cut to `wanted`, as a kernel has one for each dimension."""
    count = len(_sequences(_call(candidate.constructor), had))
    for number in range(count if wanted < had else 0):
        tree = _call(candidate.constructor)
        sequence = _sequences(tree, had)[number]
        del sequence.elts[wanted:]
        assert tree is not None
        yield replace(candidate, constructor=ast.unparse(tree))


def _sequences(tree: ast.Call | None, length: int) -> list[ast.Tuple | ast.List]:
    return [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == length
    ]


def _with(candidate: Candidate, had: int, wanted: int) -> Iterator[Candidate]:
    """Each place that holds the size `had`, one after the other, with `wanted` instead."""
    if had == wanted or not 0 < wanted <= _LARGEST or had > _NARROW * wanted:
        return
    count = len(_places(_call(candidate.constructor), had))
    for number in range(count):
        tree = _call(candidate.constructor)
        place = _places(tree, had)[number]
        place.value = wanted
        assert tree is not None
        yield replace(candidate, constructor=ast.unparse(tree))


def _places(tree: ast.Call | None, size: int) -> list[ast.Constant]:
    return [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value == size
    ]


def _call(text: str) -> ast.Call | None:
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None
    return body if isinstance(body, ast.Call) else None
