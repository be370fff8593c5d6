"""The places of a file that train: explicit loops around a backward pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradlint.discovery.construction.models import Models
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.steps import Steps, is_backward
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called, Loop, Scope
from gradlint.discovery.training.batches import batch_size
from gradlint.discovery.training.managed import managed_loops
from gradlint.discovery.training.precision import is_half, is_scaled
from gradlint.discovery.training.settings import (
    Optimizer,
    all_optimizers,
    decided,
    functions_called,
    loss_of,
    model_called,
    optimizers_of,
    span_of,
    trained_model,
    training_of,
)
from gradlint.discovery.training.warming import warms_up
from gradlint.program import LoopStep, StepKind, TrainingLoop


def read_loops(reading: Reading, models: Models) -> tuple[TrainingLoop, ...]:
    """All training loops of a file in source order."""
    steps = Steps(reading)
    regions = _regions(reading, steps)
    explicit = [_explicit(reading, models, steps, region) for region in regions]
    manual = frozenset(region.scope.name for region in regions)
    managed = managed_loops(reading, models, steps, manual)
    found = sorted((*explicit, *managed), key=lambda loop: loop.span)
    size = batch_size(reading) if found else 0
    warm = warms_up(reading)
    return tuple(replace(loop, batch_size=size, warms_up=warm) for loop in found)


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """The loop or function that is one training loop, and its calls in the order in which they run.

    `node` is a `for` or `while`, else a function; at the top level without a loop, the backward
    call.
    """

    node: Loop | ast.FunctionDef | ast.AsyncFunctionDef | ast.Call
    scope: Scope
    calls: tuple[Called, ...]


def _regions(reading: Reading, steps: Steps) -> list[_Region]:
    """One region for each innermost loop or function with a backward pass in it."""
    found: dict[ast.AST, _Region] = {}
    for called in reading.outline.calls:
        if is_backward(called):
            region = _region(called, steps)
            found.setdefault(region.node, region)
    return list(found.values())


def _region(backward: Called, steps: Steps) -> _Region:
    scope = _outermost(backward)
    calls = [called for inner in scope.inward for called in inner.calls]
    for loop in _loops_around(backward, calls):
        inside = _within(loop, calls)
        # Because gradients may be summed in an inner loop and the step be taken in the one around
        # it.
        if any(steps.kind(called) is StepKind.STEP for called in inside):
            return _Region(loop, scope, inside)
    if backward.place.loop is not None:
        loop = backward.place.loop
        return _Region(loop, scope, _within(loop, calls))
    if scope.function is not None:
        return _Region(scope.function, scope, _within(scope.function, calls))
    outside = [called for called in scope.calls if called.place.loop is None]
    return _Region(backward.node, scope, tuple(sorted(outside, key=_position)))


def _outermost(backward: Called) -> Scope:
    """The function around a backward pass, looking out of closures such as those for LBFGS."""
    scope = backward.scope
    while (
        scope.function is not None
        and scope.parent is not None
        and (scope.parent.function is not None or backward.place.loop is not None)
        and not scope.parent.is_class
    ):
        loop = backward.place.loop
        if loop is not None and loop.lineno > scope.function.lineno:
            break
        scope = scope.parent
    return scope


def _loops_around(backward: Called, calls: list[Called]) -> list[Loop]:
    """The loops around a backward pass, innermost first."""
    loops = {called.place.loop for called in calls if called.place.loop is not None}
    if backward.place.loop is not None:
        loops.add(backward.place.loop)
    line = backward.node.lineno
    around = [loop for loop in loops if loop.lineno <= line <= (loop.end_lineno or line)]
    return sorted(around, key=lambda loop: -loop.lineno)


def _within(node: ast.stmt, calls: list[Called]) -> tuple[Called, ...]:
    last = node.end_lineno or node.lineno
    inside = [called for called in calls if node.lineno <= called.node.lineno <= last]
    return tuple(sorted(inside, key=_position))


def _position(called: Called) -> tuple[int, int]:
    """Where a call ends: of nested calls the inner one runs first and ends first."""
    return called.node.end_lineno or 0, called.node.end_col_offset or 0


def _explicit(reading: Reading, models: Models, steps: Steps, region: _Region) -> TrainingLoop:
    pairs = [(called, step) for called in region.calls if (step := steps.step(called))]
    optimizer = _optimizer(reading, region, pairs)
    model = trained_model(reading, models, optimizer)
    forwards = [called for called, step in pairs if step.kind is StepKind.FORWARD]
    framework = _framework(reading, pairs)
    found = tuple(step for _, step in pairs)
    return TrainingLoop(
        reading.source.span(region.node),
        region.node.end_lineno or region.node.lineno,
        model or model_called(reading, models, forwards),
        training_of(reading, optimizer, _loss(reading, pairs)),
        span_of(reading, optimizer),
        found,
        framework,
        _clips(reading, framework, found, pairs),
        half=is_half(reading, models, region.calls),
        scales=bool(framework) or is_scaled(reading),
    )


Pairs = list[tuple[Called, LoopStep]]


def _optimizer(reading: Reading, region: _Region, pairs: Pairs) -> Optimizer | None:
    """The optimizer that is stepped, else the only one that the nearest scope constructs."""
    for kind in (StepKind.STEP, StepKind.ZERO_GRAD, StepKind.BACKWARD):
        for called, step in pairs:
            if step.kind is not kind:
                continue
            for holder in _holders(called):
                placed = Placed(holder, called.scope, called.node.lineno)
                several = list(optimizers_of(reading, placed))
                if several:
                    return decided(several)
            if kind is StepKind.STEP and _is_made_elsewhere(reading, called):
                return None
    for scope in region.scope.outward:
        inside = [found for inner in scope.inward for found in all_optimizers(reading, inner)]
        if inside:
            return decided(inside)
    return None


def _is_made_elsewhere(reading: Reading, called: Called) -> bool:
    """Whether what is stepped comes from a call that the file does not define."""
    *_, last = _holders(called)
    origins = reading.tracer.origins(Placed(last, called.scope, called.node.lineno))
    made = [origin.expression for origin in origins]
    return all(isinstance(call, ast.Call) and not functions_called(reading, call) for call in made)


def _holders(called: Called) -> Iterator[ast.expr]:
    """What may be the optimizer of a call: `opt.step()`, `scaler.step(opt)`, `scale(loss, opt)`."""
    if isinstance(called.node.func, ast.Attribute):
        yield called.node.func.value
    yield from called.node.args


def _loss(reading: Reading, pairs: Pairs) -> str:
    for called, step in pairs:
        if step.kind is StepKind.BACKWARD:
            targets = [*called.node.args[:1], called.node.func]
            for target in targets:
                placed = Placed(target, called.scope, called.node.lineno)
                if found := loss_of(reading, placed):
                    return found
    for called, step in pairs:
        if step.kind is StepKind.LOSS:
            placed = Placed(called.node, called.scope, called.node.lineno)
            if found := loss_of(reading, placed):
                return found
    return ""


def _framework(reading: Reading, pairs: Pairs) -> str:
    """The library through which the backward pass is called, "" for plain torch."""
    heads = {name.split(".")[0] for name in reading.imports.names.values()}
    for called, step in pairs:
        if step.kind is not StepKind.BACKWARD:
            continue
        words = step.call.lower()
        if "accelerat" in words:
            return "accelerate"
        if "fabric" in words:
            return "fabric"
        if "manual_backward" in words:
            return "lightning"
        if not words.endswith("backward"):
            return "timm"
        if called.node.args and "deepspeed" in heads:
            return "deepspeed"
        if called.node.args and "fairseq" in heads:
            return "fairseq"
    return ""


def _clips(reading: Reading, framework: str, steps: tuple[LoopStep, ...], pairs: Pairs) -> bool:
    if any(step.kind is StepKind.CLIP for step in steps):
        return True
    if framework == "deepspeed":
        return _has_deepspeed_clipping(reading)
    return any(
        word.arg == "clip_grad" and not _is_off(word.value)
        for called, step in pairs
        if step.kind is StepKind.BACKWARD
        for word in called.node.keywords
    )


def _has_deepspeed_clipping(reading: Reading) -> bool:
    """Whether a configuration in the file sets `gradient_clipping`."""
    for scope in reading.outline.scopes:
        for bound in scope.bindings.values():
            for binding in bound:
                if isinstance(binding.value, ast.Dict) and _sets_clipping(binding.value):
                    return True
    return False


def _sets_clipping(settings: ast.Dict) -> bool:
    pairs = zip(settings.keys, settings.values, strict=True)
    return any(
        isinstance(key, ast.Constant) and key.value == "gradient_clipping" and not _is_off(value)
        for key, value in pairs
    )


def _is_off(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value
