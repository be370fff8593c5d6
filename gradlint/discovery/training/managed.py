"""Training loops that a framework runs: Lightning modules and Hugging Face trainers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradlint.discovery.construction.models import Models
from gradlint.discovery.knowledge.frameworks import Base
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.steps import Steps
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.constants import NotConstantError, constant, number
from gradlint.discovery.text.outline import Called, Scope
from gradlint.discovery.training.settings import (
    all_optimizers,
    decided,
    loss_of,
    model_of,
    span_of,
    training_of,
)
from gradlint.program import LoopStep, StepKind, TrainingLoop
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily, Training

_HUGGING_FACE_RATE = 5e-5
_HUGGING_FACE_NORM = 1.0
"""The defaults of `learning_rate` and `max_grad_norm` in transformers' TrainingArguments."""

_OPTIMIZERS = {
    "adamw": "AdamW",
    "adafactor": "Adafactor",
    "sgd": "SGD",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    "lion": "Lion",
}


def managed_loops(
    reading: Reading, models: Models, steps: Steps, manual: frozenset[str]
) -> Iterator[TrainingLoop]:
    """The loops that are not written out; `manual` are the functions whose loop already is.

    A step `STEP` stands for the trainer where its construction is in sight.
    """
    for name, scope in reading.model_classes.items():
        method = scope.method("training_step")
        if method is None or method.name in manual:
            continue
        if Base.LIGHTNING in reading.lineages[name].kinds:
            yield _lightning(reading, steps, scope, method)
    for called in reading.outline.calls:
        if _is_trainer(reading, called):
            yield _transformers(reading, models, called)


def _lightning(reading: Reading, steps: Steps, owner: Scope, method: Scope) -> TrainingLoop:
    function = method.function
    assert function is not None
    configure = owner.method("configure_optimizers")
    optimizer = decided(all_optimizers(reading, configure)) if configure else None
    found = [step for called in _ordered(method) if (step := steps.step(called))]
    trainer = _lightning_trainer(reading)
    if trainer is not None:
        span = reading.source.span(trainer.node)
        found.append(LoopStep(StepKind.STEP, ast.unparse(trainer.node.func), span))
    loss = next((loss for loss in _losses(reading, method) if loss), "")
    return TrainingLoop(
        _header(reading, function),
        function.end_lineno or function.lineno,
        owner.name,
        training_of(reading, optimizer, loss),
        span_of(reading, optimizer),
        tuple(found),
        "lightning",
        _lightning_clips(reading, steps, owner, trainer),
    )


def _header(reading: Reading, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Span:
    """The line of `def`, without the body."""
    whole = reading.source.span(function)
    line = reading.source.lines[whole.line - 1]
    return Span(whole.path, whole.line, whole.column, whole.line, len(line.rstrip()) + 1)


def _ordered(method: Scope) -> list[Called]:
    calls = [called for inner in method.inward for called in inner.calls]
    return sorted(calls, key=lambda called: (called.node.end_lineno, called.node.end_col_offset))


def _losses(reading: Reading, method: Scope) -> Iterator[str]:
    for value in method.returns:
        yield loss_of(reading, Placed(value, method, value.lineno))
    for called in _ordered(method):
        yield loss_of(reading, Placed(called.node, method, called.node.lineno))


def _lightning_trainer(reading: Reading) -> Called | None:
    for called in reading.outline.calls:
        name = reading.imports.qualified(called.node.func)
        if name.endswith(".Trainer") and "lightning" in name:
            return called
    return None


def _lightning_clips(reading: Reading, steps: Steps, owner: Scope, trainer: Called | None) -> bool:
    if trainer is not None:
        for word in trainer.node.keywords:
            if word.arg == "gradient_clip_val":
                return not _is_zero(reading, Placed(word.value, trainer.scope, trainer.node.lineno))
    if owner.method("configure_gradient_clipping") is not None:
        return True
    calls = (called for inner in owner.inward for called in inner.calls)
    return any(steps.kind(called) is StepKind.CLIP for called in calls)


def _is_zero(reading: Reading, placed: Placed) -> bool:
    """Whether a setting is None or 0; one that is not in sight counts as set."""
    try:
        return not constant(placed, reading.tracer)
    except NotConstantError:
        return False


def _is_trainer(reading: Reading, called: Called) -> bool:
    name = reading.imports.qualified(called.node.func)
    if name.startswith(("transformers.", "trl.")):
        return name.endswith("Trainer")
    lineage = reading.lineages.get(name)
    return lineage is not None and any(
        base.startswith(("transformers.", "trl.")) and base.endswith("Trainer")
        for base in lineage.opaque
    )


def _transformers(reading: Reading, models: Models, called: Called) -> TrainingLoop:
    span = reading.source.span(called.node)
    settings = _settings(reading, called)
    model = _argument(called, "model", 0)
    return TrainingLoop(
        span,
        span.end_line,
        model_of(reading, models, model) if model else "",
        _training(reading, settings),
        None,
        (LoopStep(StepKind.STEP, ast.unparse(called.node.func), span),),
        "transformers",
        "max_grad_norm" not in settings or not _is_zero(reading, settings["max_grad_norm"]),
    )


def _argument(called: Called, name: str, index: int) -> Placed | None:
    given = next((word.value for word in called.node.keywords if word.arg == name), None)
    if given is None and index < len(called.node.args):
        given = called.node.args[index]
    return Placed(given, called.scope, called.node.lineno) if given is not None else None


def _settings(reading: Reading, called: Called) -> dict[str, Placed]:
    """The keywords of the `TrainingArguments` that a trainer is given."""
    arguments = _argument(called, "args", 1)
    for origin in reading.tracer.origins(arguments) if arguments else ():
        if isinstance(origin.expression, ast.Call):
            return {
                word.arg: Placed(word.value, origin.scope, origin.line)
                for word in origin.expression.keywords
                if word.arg
            }
    return {}


def _training(reading: Reading, settings: dict[str, Placed]) -> Training:
    rate: float | None = _HUGGING_FACE_RATE
    if "learning_rate" in settings:
        rate = number(settings["learning_rate"], reading.tracer)
    name = "AdamW"
    if "optim" in settings:
        written = ast.unparse(settings["optim"].expression).lower()
        name = next((known for word, known in _OPTIMIZERS.items() if word in written), "")
    family = OptimizerFamily.UNKNOWN
    if name:
        family = OptimizerFamily.SGD if name == "SGD" else OptimizerFamily.ADAM
    decay = number(settings["weight_decay"], reading.tracer) if "weight_decay" in settings else None
    arguments = (("weight_decay", decay),) if decay is not None else ()
    return Training(family, name, rate, arguments)
