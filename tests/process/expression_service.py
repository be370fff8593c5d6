"""A service for tests of the worker: it evaluates the request's expression in the user's module."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from gradlint.protocol.wire import OpenFile, Probed, ProbeModel, Traced, TraceModel
from gradlint.worker.running.failure import UserError


class FileService:
    """`trace` evaluates the constructor of the first candidate; `probe` calls `probe()`."""

    def __init__(self, module: ModuleType, opened: OpenFile, assumed: Mapping[str, object]) -> None:
        self._names = vars(module)

    def trace(self, request: TraceModel) -> Traced:
        """The value of the expression, as text, stands in `inputs`."""
        candidate = request.candidates[0]
        try:
            value = eval(candidate.constructor, self._names)
        except RuntimeError as error:
            raise UserError("build", error) from error
        return Traced(candidate.built_from, candidate.constructor, (str(value),), 0, (), (), 0.0)

    def probe(self, request: ProbeModel) -> Probed:
        """Whatever the module's own `probe` does."""
        self._names["probe"]()
        return Probed((), (), True, 0.0)
