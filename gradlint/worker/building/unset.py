"""What a configuration leaves unset although the model reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from gradlint.protocol.wire import Candidate
from gradlint.worker.inputs.hopeless import unset_in
from gradlint.worker.loading.usual import usual
from gradlint.worker.running.attempt import Frame, frames_of


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
    yield from _sized(candidate, frames, error)


_NO_SIZE = -1
"""What settings have for a size that whoever uses them is to set."""


def _sized(
    candidate: Candidate, frames: Sequence[Frame], error: BaseException
) -> Iterator[Candidate]:
    """Usual sizes for all that settings leave open by -1, where a line that reads one fails."""
    for frame in reversed(frames) if "negative" in str(error) else ():
        for holder, name in re.findall(r"\b(\w+)\.(\w+)", frame.text):
            settings = frame.variables.get(holder)
            values = getattr(settings, "__dict__", {})
            open_ = [n for n, value in values.items() if type(value) is int and value == _NO_SIZE]
            tree = ast.parse(candidate.constructor.strip(), mode="eval").body
            for call in ast.walk(tree) if name in open_ else ():
                match call:
                    case ast.Call(func=ast.Name(id=kind)) if kind == type(settings).__name__:
                        given = {word.arg for word in call.keywords}
                        new = (ast.keyword(n, _parsed(usual(n))) for n in open_ if n not in given)
                        call.keywords = [*call.keywords, *new]
                        yield replace(candidate, constructor=ast.unparse(tree))


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _with(candidate: Candidate, names: Iterator[str]) -> Iterator[Candidate]:
    """The candidate with a usual value for one of these in its configuration."""
    for name in dict.fromkeys(names):
        tree = ast.parse(candidate.constructor.strip(), mode="eval").body
        inner = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node is not tree)
        call = next(inner, None)
        if call is not None and name not in {word.arg for word in call.keywords}:
            call.keywords = [*call.keywords, ast.keyword(name, _parsed(usual(name)))]
            yield replace(candidate, constructor=ast.unparse(tree))
