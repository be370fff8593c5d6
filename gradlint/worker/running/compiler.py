"""How code that asks for a compiler runs without one."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within it `torch.compile` hands on what it is given.

    Compiling takes longer than a probe, and compiled code hides its calls from a recording.
    """
    # not above, because a torch that is broken is to be told of
    torch: Any = importlib.import_module("torch")
    before = torch.compile
    torch.compile = _handed_on
    try:
        yield
    finally:
        torch.compile = before


def _handed_on(model: object = None, **_: object) -> object:
    """What was to be compiled, or a decorator that hands it on."""
    return _handed_on if model is None else model


def spare_compiler() -> None:
    """Keep torch from importing its compiler only to switch it off, which takes a second.

    Optimizers do that at their first use; here nothing is compiled.
    """
    torch: Any = importlib.import_module("torch")
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None and not hasattr(plain, "__dynamo_disable"):
            plain.__dict__["__dynamo_disable"] = plain
