"""How code that asks for a compiler runs without one."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within it `torch.compile` hands on what it is given.

    Compiling takes longer than a probe, and compiled code hides its calls from a recording.
    """
    torch = importlib.import_module("torch")  # not above, because one that is broken is told of
    before = torch.compile
    torch.compile = _handed_on
    try:
        yield
    finally:
        torch.compile = before


def _handed_on(model: object = None, **_: object) -> object:
    """What was to be compiled, or a decorator that hands it on."""
    return _handed_on if model is None else model
