"""What a configuration leaves unset although the model reads it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gradlint.protocol.wire import Candidate
from gradlint.worker.attempt import Failure, Frame, frames_of, tried
from gradlint.worker.usual import usual


def completed(candidate: Candidate, model: nn.Module, error: BaseException) -> Iterator[Candidate]:
    """The candidate with a usual value for what its configuration has as None, where that failed.

    The configuration is the first call among the arguments of the constructor; what the failing
    line reads is `config.NAME`, or an attribute that a constructor has set to that.
    """
    frames = [frame for frame in frames_of(error) if frame.users]
    names = (name for frame in reversed(frames) for name in _unset(model, frame))
    yield from _with(candidate, names)


def left_unset(model: nn.Module, failure: Failure) -> bool:
    """Whether the line that failed for a None reads one of the model's configuration."""
    frame = failure.user_frame()
    # because what is compared with None is False
    told = re.search("None|'bool' object", failure.text)
    return frame is not None and told is not None and any(_unset(model, frame))


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


def _unset(model: nn.Module, frame: Frame) -> Iterator[str]:
    """The entries of the model's configuration that are None and that a line reads.

    By itself, by an attribute, or by a variable that its method has from there.
    """
    configuration = getattr(model, "config", None)
    read = re.findall(r"\bconfig\.(\w+)", frame.text)
    for kind in dict.fromkeys(type(module) for module in model.modules()):
        source = _source(kind, "__init__", frame.file)
        for attribute in re.findall(r"\bself\.(\w+)", frame.text) if source else ():
            read += re.findall(rf"self\.{attribute} = (?:self\.)?config\.(\w+)\b(?! or\b)", source)
        method = _source(kind, frame.function, frame.file)
        for name in re.findall(r"(?<![.\w])[a-z]\w*", frame.text) if method else ():
            read += re.findall(rf"\b{name} = [^\n]*?\bconfig\.(\w+)", method)
    yield from (name for name in read if getattr(configuration, name, 0) is None)


def _source(kind: type, method: str, file: str) -> str:
    """The source of a method of a class, "" where that is not in `file`."""
    code = getattr(getattr(kind, method, None), "__code__", None)
    if code is None or code.co_filename != file:
        return ""
    return str(tried(lambda: inspect.getsource(code)).value)
