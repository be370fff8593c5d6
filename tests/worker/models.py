"""Modules made from source text, and requests to build what is in them."""

from __future__ import annotations

import linecache
import textwrap
from types import ModuleType

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel

_HEADER = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


def module_of(source: str) -> ModuleType:
    """A module with this source, which `inspect` can read back."""
    text = _HEADER + textwrap.dedent(source)
    module = ModuleType(f"written_{abs(hash(text))}")
    module.__file__ = f"/written/{module.__name__}.py"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(True), module.__file__)
    exec(compile(text, module.__file__, "exec", dont_inherit=True), module.__dict__)
    return module


def request(
    *constructors: str,
    inputs: tuple[str, ...] | None = None,
    built_from: BuiltFrom = BuiltFrom.DEFAULTS,
    bindings: tuple[tuple[str, str], ...] = (),
    sequence_length: int = 0,
) -> TraceModel:
    """A request to build from these constructor expressions, in order."""
    candidates = tuple(
        Candidate(built_from, constructor, inputs, bindings) for constructor in constructors
    )
    return TraceModel("Net", candidates, 0, sequence_length)
