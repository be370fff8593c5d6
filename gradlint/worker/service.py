"""What the worker does for one file: trace its models, measure what is claimed of them."""

from __future__ import annotations

import contextlib
import gc
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import TypeVar

import torch
from torch import nn

from gradlint.protocol.nodes import Edge
from gradlint.protocol.span import Span
from gradlint.protocol.wire import (
    BuiltFrom,
    Candidate,
    OpenFile,
    Probed,
    ProbeModel,
    Traced,
    TraceModel,
)
from gradlint.worker.building.build import build
from gradlint.worker.building.inlining import inlined
from gradlint.worker.building.parts import Parts
from gradlint.worker.building.recipe import Built
from gradlint.worker.building.sources import evaluated
from gradlint.worker.probing.probe import probe
from gradlint.worker.running.attempt import released, tried
from gradlint.worker.running.failure import UserError, ran_out_of_memory
from gradlint.worker.tracing.construction import watch_construction
from gradlint.worker.tracing.describe import Newborn, edges_of, nodes_of
from gradlint.worker.tracing.forward import forward, run, seed_everything
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.recording import OVERWRITTEN

T = TypeVar("T")


class FileService:
    """Serves one imported file; the model traced last is the one that is probed.

    `assumed` are the module's variables that have a usual value in place of one that was lost.
    """

    def __init__(
        self, module: ModuleType, opened: OpenFile, assumed: Mapping[str, object] | None = None
    ) -> None:
        torch.backends.mha.set_fastpath_enabled(False)
        torch.set_num_threads(1)  # because sums depend on the number of threads, reports must not
        self._module = module
        self._source = Source(opened.path, opened.shown)
        self._built: Built | None = None
        self._weights: dict[str, tuple[str, ...]] = {}
        self._parts = Parts(module)
        self._assumed = assumed or {}

    def trace(self, request: TraceModel) -> Traced:
        """Build the model and trace one forward pass.

        Raises:
            UserError: no candidate could be built, or the user's code raised.
            LookupError: no whole that runs holds the model.
        """
        start = time.perf_counter()
        self._built = None
        gc.collect()  # because tensors of the model before hang in cycles of exceptions and frames
        if request.wholes:
            request = replace(request, candidates=self._parts.of(request))
        built = build(self._module, request)
        building = time.perf_counter() - start
        self._built, traced = _fitting(
            built,
            lambda form: self._trace(form, request.seed, start),
            lambda form: form.halved() or form.imagined(),
        )
        return replace(traced, building=building)

    def _trace(self, built: Built, seed: int, start: float) -> Traced:
        seed_everything(seed)
        imagination = built.imagination
        with watch_construction(self._source) as construction, _building(built):
            model = built.make()
        newborn = Newborn.of(model, imagined=imagination is not None)
        seed_everything(seed + 1)
        with _running(built):
            recorded = run(built, model, source=self._source)
        edges = edges_of(recorded)
        self._weights = _weights(edges, model)
        constructor = inlined(self._seen(built.candidate))
        assumed = sorted(self._assumed.keys() & _read(model, self._module, constructor))
        return Traced(
            built_from=BuiltFrom.NAMES if assumed else built.candidate.built_from,
            constructor=constructor,
            assumed=tuple(f"{name} = {self._assumed[name]}" for name in assumed),
            inputs=built.described,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            nodes=nodes_of(recorded, construction, newborn, self._source, imagination),
            edges=edges,
            seconds=time.perf_counter() - start,
            classes=_classes(model, self._module),
            searched=built.searched,
            measurable=imagination is None,
            method=built.candidate.method,
        )

    def _seen(self, candidate: Candidate) -> Candidate:
        """The candidate without bindings that failed, whose names the module has assumed."""

        def fails(text: str) -> bool:
            return tried(evaluated, text, dict(vars(self._module))).error is not None

        bindings = candidate.bindings
        kept = (
            (name, text) for name, text in bindings if name not in self._assumed or not fails(text)
        )
        return replace(candidate, bindings=tuple(kept))

    def probe(self, request: ProbeModel) -> Probed:
        """Measure claims on the model traced last.

        Raises:
            UserError: the user's code raised.
            RuntimeError: no model was traced.
        """
        if self._built is None:
            raise RuntimeError("a model must be traced before it is probed")
        built = self._built
        try:
            self._built, probed = _fitting(
                built, lambda form: probe(form, request, self._weights), Built.halved
            )
        except (UserError, RuntimeError) as error:
            cause = error.error if isinstance(error, UserError) else error
            if OVERWRITTEN not in str(cause):
                raise
            again = tried(lambda: forward(built, 0, source=self._source).overwritten()).value
            span = again if isinstance(again, Span) else None
            raise UserError("backward", cause, span) from error
        return probed


def _fitting(
    built: Built, work: Callable[[Built], T], lighter: Callable[[Built], Built | None]
) -> tuple[Built, T]:
    """What `work` gives on a model, or on a lighter form of it where memory ends, and that form.

    Fewer samples are tried as well where a model does not take so many.

    Raises:
        UserError: the user's code raised, or memory ended for the lightest form.
        RuntimeError: memory ended for the lightest form outside of the user's code.
        MemoryError: the same.
    """
    try:
        return built, work(built)
    except (UserError, RuntimeError, MemoryError) as error:
        cause = error.error if isinstance(error, UserError) else error
        if ran_out_of_memory(cause):
            less = lighter(built)
        else:
            less = built.halved() if _is_refused(built, error) else None
        if less is None:
            raise
        released(cause)
    return _fitting(less, work, lighter)


def _is_refused(built: Built, error: Exception) -> bool:
    """Whether inputs that were found with fewer samples do not run forward."""
    return built.searched and isinstance(error, UserError) and error.stage == "forward"


def _building(built: Built) -> contextlib.AbstractContextManager[None]:
    imagination = built.imagination
    return imagination.building() if imagination is not None else contextlib.nullcontext()


def _running(built: Built) -> contextlib.AbstractContextManager[None]:
    imagination = built.imagination
    return imagination.running() if imagination is not None else contextlib.nullcontext()


def _classes(model: nn.Module, module: ModuleType) -> tuple[str, ...]:
    kinds = {type(part) for part in model.modules()}
    return tuple(sorted(k.__qualname__ for k in kinds if k.__module__ == module.__name__))


def _read(model: nn.Module, module: ModuleType, constructor: str) -> set[str]:
    """The names that a construction and the code of the model's own classes read."""
    kinds = {base for part in model.modules() for base in type(part).__mro__}
    own = (vars(kind).values() for kind in kinds if kind.__module__ == module.__name__)
    functions = (value for values in own for value in values if isinstance(value, FunctionType))
    names = {name for function in functions for name in function.__code__.co_names}
    return names | set(re.findall(r"\w+", constructor))


def _weights(edges: tuple[Edge, ...], model: nn.Module) -> dict[str, tuple[str, ...]]:
    names = {name for name, _ in model.named_parameters()}
    found: dict[str, tuple[str, ...]] = {}
    for edge in edges:
        if edge.source in names:
            found[edge.target] = (*found.get(edge.target, ()), edge.source)
    return found
