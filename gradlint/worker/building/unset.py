"""What a configuration leaves unset although the model reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gradlint.protocol.wire import Candidate
from gradlint.worker.inputs.hopeless import unset_in
from gradlint.worker.loading.usual import usual
from gradlint.worker.running.attempt import frames_of


def completed(candidate: Candidate, model: nn.Module, error: BaseException) -> Iterator[Candidate]:
    """The candidate with a usual value for what its configuration has as None, where that failed.

    The configuration is the first call among the arguments of the constructor; what the failing
    line reads is `config.NAME`, or an attribute that a constructor has set to that.
    """
    frames = [frame for frame in frames_of(error) if frame.users]
    names = (name for frame in reversed(frames) for name in unset_in(model, frame))
    yield from _with(candidate, names)


def begun(candidate: Candidate, error: BaseException) -> Iterator[Candidate]:
    """The same where the constructor failed: what its lines read of `config` and is None there."""
    frames = [frame for frame in frames_of(error) if frame.users]
    for frame in reversed(frames):
        values = getattr(frame.variables.get("config"), "__dict__", {})
        read = re.findall(r"\bconfig\.(\w+)", frame.text)
        yield from _with(candidate, (name for name in read if values.get(name, 0) is None))


def _with(candidate: Candidate, names: Iterator[str]) -> Iterator[Candidate]:
    """The candidate with a usual value for one of these in its configuration."""
    for name in dict.fromkeys(names):
        tree = ast.parse(candidate.constructor.strip(), mode="eval").body
        inner = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node is not tree)
        call = next(inner, None)
        if call is not None and name not in {word.arg for word in call.keywords}:
            value = ast.parse(usual(name), mode="eval").body
            call.keywords = [*call.keywords, ast.keyword(name, value)]
            yield replace(candidate, constructor=ast.unparse(tree))
