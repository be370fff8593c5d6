"""What a docstring says of the arguments of `forward`: their shapes, and which must be given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENTRY = re.compile(
    r"^[ \t]*(\w+) ?\(`?(?:torch\.)?(\w*Tensor)`?,?"
    r"(?: of shape `?\(([^()]*)\)`?)?([^\n]*?)\):",
    re.MULTILINE,
)
_SAID = re.compile(
    r"^([ \t]*)(\w+) ?\([^()\n]*Tensor[^()\n]*\):(.*(?:\n\1[ \t]+.+)*)", re.MULTILINE
)
_SHAPED = re.compile(r"\bshape\s+(?::\w+:)?[`'\"]*[\[(]([\w\s,]+)[\])]")


@dataclass(frozen=True, slots=True)
class Documented:
    """An argument as in `x (torch.LongTensor of shape (batch, length), optional): ...`."""

    name: str
    kind: str
    shape: tuple[str, ...]
    optional: bool


def documented(docstring: str) -> Iterator[Documented]:
    """The tensors that a docstring has an entry for, in order."""
    for name, kind, shape, rest in _ENTRY.findall(docstring):
        sizes = tuple("_".join(size.split()) for size in shape.split(",") if size.strip())
        yield Documented(name, kind, sizes, "optional" in rest)


def told(docstring: str) -> Iterator[Documented]:
    """The tensors whose shape a docstring tells in the words of their entries.

    As in `x (Tensor): The features of the nodes, of shape [num_nodes, channels].`
    """
    for _, name, words in _SAID.findall(docstring):
        for sizes in _SHAPED.findall(words)[:1]:
            split = ("_".join(size.split()) for size in sizes.split(","))
            yield Documented(name, "", tuple(filter(None, split)), False)
