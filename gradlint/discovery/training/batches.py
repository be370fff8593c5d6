"""What a file says of the batches that it trains on."""

from __future__ import annotations

import ast

from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.constants import number
from gradlint.discovery.text.outline import Called


def batch_size(reading: Reading) -> int:
    """The samples of a training batch: those of the loaders that shuffle, else of the only one.

    0 where the file makes no `DataLoader`, or several that disagree.
    """
    loaders = [
        called
        for called in reading.outline.calls
        if reading.imports.qualified(called.node.func).rpartition(".")[2] == "DataLoader"
    ]
    shuffling = [called for called in loaders if _keyword(called, "shuffle") is not None]
    sizes = {_size(reading, called) for called in shuffling or loaders}
    return sizes.pop() if len(sizes) == 1 else 0


def _size(reading: Reading, called: Called) -> int:
    given = _keyword(called, "batch_size") or next(iter(called.node.args[1:2]), None)
    if given is None or any(word.arg is None for word in called.node.keywords):
        return 0
    found = number(Placed(given, called.scope, called.node.lineno), reading.tracer)
    return int(found) if found else 0


def _keyword(called: Called, name: str) -> ast.expr | None:
    return next((word.value for word in called.node.keywords if word.arg == name), None)
