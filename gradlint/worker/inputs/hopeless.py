"""Failures that other inputs do not mend, because of what the model was constructed with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from gradlint.worker.running.attempt import Failure, Frame
from gradlint.worker.running.texts import text_of

_HOLDER_RUN = re.compile(r"'(?:types\.)?SimpleNamespace' object is not callable")
_FRACTION = re.compile(
    r"tuple of ints, ?(?:not|but got|but found element of type) float|"
    r"'float' object cannot be interpreted as an integer"
)


def runs_a_holder(error: BaseException) -> bool:
    """Whether what stands for an argument of the constructor, and only holds values, is called."""
    return bool(_HOLDER_RUN.search(str(error)))


def counts_in_fractions(failure: Failure) -> bool:
    """Whether a size is a fraction, as by a division that gave whole numbers in Python 2."""
    return bool(_FRACTION.search(failure.text))


def left_unset(model: nn.Module, failure: Failure) -> bool:
    """Whether the line that failed for a None reads one of the model's configuration."""
    frame = failure.user_frame()
    # because what is compared with None is False
    told = re.search("None|'bool' object", failure.text)
    return frame is not None and told is not None and any(unset_in(model, frame))


def unset_in(model: nn.Module, frame: Frame) -> Iterator[str]:
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
    return text_of(code)
