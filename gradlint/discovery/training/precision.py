"""Whether a training loop computes in half precision, and whether it scales its loss."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from gradlint.discovery.construction.models import Models
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called
from gradlint.discovery.training.settings import model_of

_HALF = frozenset({"torch.float16", "torch.half"})


def is_half(reading: Reading, models: Models, calls: Iterable[Called]) -> bool:
    """Whether one of `calls` opens an autocast to float16, or the file turns a model into float16.

    An autocast that names no type means float16 on the devices that it is written for.
    """
    return any(_casts(reading, called) for called in calls) or any(
        _converts(reading, models, called) for called in reading.outline.calls
    )


def is_scaled(reading: Reading) -> bool:
    """Whether the file has a scaler of losses anywhere."""
    names = (reading.imports.qualified(called.node.func) for called in reading.outline.calls)
    return any("scaler" in name.lower() or name.endswith("scale_loss") for name in names)


def _casts(reading: Reading, called: Called) -> bool:
    name = reading.imports.qualified(called.node.func)
    if not name.startswith("torch.") or not name.endswith("autocast"):
        return False
    words = {word.arg: word.value for word in called.node.keywords}
    if any(isinstance(arg, ast.Constant) and arg.value == "cpu" for arg in called.node.args):
        return False
    off = words.get("enabled")
    if isinstance(off, ast.Constant) and not off.value:
        return False
    given = [reading.imports.qualified(value) for value in (*called.node.args, *words.values())]
    types = [name for name in given if name.startswith("torch.")]
    return not types or any(name in _HALF for name in types)


def _converts(reading: Reading, models: Models, called: Called) -> bool:
    """`model.half()` or `model.to(torch.float16)` on a model of the file."""
    callee = called.node.func
    if not isinstance(callee, ast.Attribute) or callee.attr not in ("half", "to"):
        return False
    given = {reading.imports.qualified(argument) for argument in called.node.args}
    if callee.attr == "to" and not given & _HALF:
        return False
    return model_of(reading, models, Placed(callee.value, called.scope, called.node.lineno)) != ""
