"""What tensors without values say of shapes that disagree, in the words of those that have some."""

from __future__ import annotations

import re

_PRODUCT = re.compile(r"same reduction dim, but got \[(\d+), (\d+)\] X \[(\d+), (\d+)\]")
_BROADCAST = re.compile(
    r"broadcast a dimension of length (\d+) at (-\d+)!.*broadcastable to \[([\d, ]+)\]"
)


def worded(error: BaseException) -> str:
    """The message of an error on one line, as the kernels of torch would have put it."""
    text = " ".join(str(error).split())
    if found := _PRODUCT.search(text):
        rows, have, want, columns = found.groups()
        return f"mat1 and mat2 shapes cannot be multiplied ({rows}x{have} and {want}x{columns})"
    if found := _BROADCAST.search(text):
        shape = found[3].split(", ")
        place = len(shape) + int(found[2])
        return (
            f"The size of tensor a ({shape[place]}) must match the size of tensor b ({found[1]})"
            f" at non-singleton dimension {place}"
        )
    return text
