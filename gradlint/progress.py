"""Where a run stands, for those who wait for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done: `model` of the file `path`, "" while the file is read or imported.

    `done` of `total` files are finished.
    """

    path: str
    model: str
    done: int
    total: int


Watch = Callable[[Step], None]
"""Told of every step as it begins; called from several threads where there are several workers."""
