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
