"""One model examined: traced, checked by the rules, probed, judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gradlint.judging.causes import Judged, findings, remedy_verdict
from gradlint.judging.evidence import Evidence, Verdict, foretell, judge
from gradlint.judging.outlook import Outlook
from gradlint.judging.published import unless_unfetched
from gradlint.layers.graph import InvalidGraphError, LayerGraph
from gradlint.layers.losses import loss_uses
from gradlint.picture import picture_of, pictured, signals_of
from gradlint.process.session import Lost
from gradlint.program import LossCall, ModelDefinition, TrainingLoop
from gradlint.protocol.claim import Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import Remedy
from gradlint.protocol.training import OptimizerFamily, Training
from gradlint.protocol.wire import (
    Measurement,
    Probed,
    ProbeModel,
    Traced,
    TraceModel,
    UserFailure,
)
from gradlint.report import (
    Finding,
    ModelStatus,
    ModelSummary,
    Signals,
    TriedRemedy,
)
from gradlint.rule import GraphRule, Hypothesis, LoopRule, LossRule, Rule


class Asked(Protocol):
    """Whoever answers about the models of one file: a session of the worker, or a live model."""

    def ask(self, request: TraceModel | ProbeModel) -> Traced | Probed | UserFailure | Lost:
        """The answer, or why there is none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to examine a model with; `optimizer` overrules what the source shows.

    `ignores` says of a rule and the id of a layer whether nobody wants to hear of it there.
    `pictures` asks for the signals at every layer, plain and under every remedy.
    """

    rules: tuple[type[Rule], ...]
    seeds: tuple[int, ...]
    optimizer: OptimizerFamily | None = None
    sequence_length: int = 0
    ignores: Callable[[type[Rule], str], bool] = lambda rule, layer: False
    pictures: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """The outcome for one model; `classes` are those of its file that were probed as its parts."""

    summary: ModelSummary
    graph: LayerGraph | None = None
    findings: tuple[Finding, ...] = ()
    classes: tuple[str, ...] = ()
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A hypothesis and the rule that it comes from."""

    rule: type[Rule]
    hypothesis: Hypothesis


def examine(
    model: ModelDefinition,
    loops: Sequence[TrainingLoop],
    session: Asked,
    settings: Settings,
    losses: Sequence[LossCall] = (),
) -> Examined:
    """Trace `model` in the worker's `session`, check it, and probe what the rules suspect."""
    training = loops[0].training if loops else Training()
    if settings.optimizer is not None:
        training = replace(training, family=settings.optimizer)
    blank = ModelSummary(model.name, model.span, ModelStatus.FAILED, optimizer=training.family)
    request = TraceModel(
        model.name,
        model.candidates,
        settings.seeds[0],
        settings.sequence_length,
        model.wholes,
    )
    traced = session.ask(request)
    if not isinstance(traced, Traced):
        return _not_traced(blank, traced)
    try:
        graph = LayerGraph(
            traced.nodes,
            traced.edges,
            training.family,
            own_inputs=not traced.searched or settings.sequence_length > 0,
            batch_size=loops[0].batch_size if loops else 0,
        )
    except InvalidGraphError as error:
        return Examined(replace(blank, reason=f"the trace makes no layer graph: {error}"))
    suspicions = tuple(
        suspicion
        for suspicion in check(graph, loops, settings.rules, losses)
        if not settings.ignores(suspicion.rule, suspicion.hypothesis.layer)
    )
    summary, outlook = _summary(blank, traced, graph), Outlook(graph)
    if not traced.measurable:
        return _foretold(
            model, summary, outlook, suspicions, traced.classes, "too large to run here"
        )
    claims = tuple(dict.fromkeys(c for s in suspicions for c in s.hypothesis.claims))
    trunk = tuple(layer.id for layer in graph.trunk)
    drawn = pictured(graph) if settings.pictures else ()
    probed = session.ask(ProbeModel(claims, (), trunk, settings.seeds, training, drawn))
    if not isinstance(probed, Probed):
        lost = isinstance(probed, Lost)
        if why := _beyond_means(probed):
            told = _foretold(model, summary, outlook, suspicions, traced.classes, why)
            return replace(told, lost=lost)
        failed = replace(summary, status=ModelStatus.FAILED, reason=_reason(probed))
        return Examined(failed, graph, lost=lost)
    evidence = {
        claim: replace(found, predicted=outlook.of(claim))
        for claim, found in _evidence(claims, probed).items()
    }
    judged = [
        _attributed(_judged(item, evidence, session, settings, training, graph), outlook)
        for item in suspicions
    ]
    return Examined(
        replace(
            summary,
            status=ModelStatus.PROBED,
            trunk=outlook.trunk({gradient.node: gradient.decades for gradient in probed.trunk}),
            picture=picture_of(graph, probed, outlook.prediction) if settings.pictures else None,
            seconds=traced.seconds + probed.seconds,
        ),
        graph,
        tuple(_placed(finding, model) for finding in findings(judged, model.name)),
        traced.classes,
    )


def _foretold(
    model: ModelDefinition,
    summary: ModelSummary,
    outlook: Outlook,
    suspicions: Sequence[Suspicion],
    classes: tuple[str, ...],
    why: str,
) -> Examined:
    """What the theory says of a model that cannot be measured, for a reason that is given."""
    judged = []
    for item in suspicions:
        evidence = tuple(
            unless_unfetched(foretell(c, outlook.of(c)), item.hypothesis, outlook.graph)
            for c in item.hypothesis.claims
        )
        judged.append(_attributed(Judged(item.rule, item.hypothesis, evidence), outlook))
    by = "judged by prediction" if outlook.prediction else "and too little of it is predictable"
    summary = replace(summary, trunk=outlook.trunk({}), reason=f"{why}, {by}")
    found = tuple(_placed(finding, model) for finding in findings(judged, model.name))
    return Examined(summary, outlook.graph, found, classes)


def check(
    graph: LayerGraph,
    loops: Sequence[TrainingLoop],
    rules: Sequence[type[Rule]],
    losses: Sequence[LossCall] = (),
) -> Iterator[Suspicion]:
    """What the rules suspect of a layer graph, and of the loops and losses that train it."""
    uses = tuple(loss_uses(losses, graph))
    for kind in rules:
        rule = kind()
        match rule:
            case GraphRule():
                yield from (Suspicion(kind, found) for found in rule.check(graph))
            case LoopRule():
                yield from (
                    Suspicion(kind, found) for loop in loops for found in rule.check(loop, graph)
                )
            case LossRule():
                yield from dict.fromkeys(
                    Suspicion(kind, found) for use in uses for found in rule.check(use, graph)
                )


def _evidence(claims: tuple[Claim, ...], probed: Probed) -> dict[Claim, Evidence]:
    return {
        claim: judge(
            claim,
            _values(probed.measurements, index),
            repeatable=probed.repeatable,
            reason=_why(probed.measurements, index),
        )
        for index, claim in enumerate(claims)
    }


def _judged(
    suspicion: Suspicion,
    evidence: Mapping[Claim, Evidence],
    session: Asked,
    settings: Settings,
    training: Training,
    graph: LayerGraph,
) -> Judged:
    about = suspicion.hypothesis
    found = tuple(unless_unfetched(evidence[claim], about, graph) for claim in about.claims)
    tried: tuple[TriedRemedy, ...] = ()
    if all(item.verdict is Verdict.CONFIRMED for item in found):
        tried = _try_remedies(about, found[0], session, settings, training, graph)
    return Judged(suspicion.rule, about, found, tried)


def _attributed(item: Judged, outlook: Outlook) -> Judged:
    """With the decades of its region by cause, where the theory agrees with the measurement."""
    speaks = [e for e in item.evidence if e.claim.quantity is Quantity.GRADIENT_DECADES]
    if not any(e.predicted is not None and not e.disagrees for e in speaks):
        return item
    return replace(item, attribution=outlook.causes(item.hypothesis.region))


def _placed(finding: Finding, model: ModelDefinition) -> Finding:
    """A finding without a line of its own stands at its model's."""
    notes = tuple(_placed(note, model) for note in finding.notes)
    return replace(finding, span=finding.span if finding.span.path else model.span, notes=notes)


def _try_remedies(
    hypothesis: Hypothesis,
    before: Evidence,
    session: Asked,
    settings: Settings,
    training: Training,
    graph: LayerGraph,
) -> tuple[TriedRemedy, ...]:
    if not hypothesis.remedies:
        return ()
    drawn = pictured(graph) if settings.pictures else ()
    request = ProbeModel((before.claim,), hypothesis.remedies, (), settings.seeds, training, drawn)
    probed = session.ask(request)
    if not isinstance(probed, Probed):
        return ()
    tried = (
        _tried(
            remedy,
            before,
            _values(probed.measurements, 0, index),
            signals_of(graph, probed, index),
        )
        for index, remedy in enumerate(hypothesis.remedies)
    )
    return tuple(remedy for remedy in tried if remedy is not None)


def _tried(
    remedy: Remedy, before: Evidence, measured: tuple[float, ...], signals: Signals | None
) -> TriedRemedy | None:
    after = Evidence(before.claim, measured, Verdict.INCONCLUSIVE)
    if after.typical != after.typical:
        return None
    verdict = remedy_verdict(before.claim, before.typical, after.typical)
    return TriedRemedy(remedy.title, measured, verdict, signals=signals)


def _values(measurements: Sequence[Measurement], claim: int, remedy: int = -1) -> tuple[float, ...]:
    return tuple(m.value for m in measurements if m.claim == claim and m.remedy == remedy)


def _why(measurements: Sequence[Measurement], claim: int) -> str:
    return next((m.reason for m in measurements if m.claim == claim and m.reason), "")


def _summary(blank: ModelSummary, traced: Traced, graph: LayerGraph) -> ModelSummary:
    return replace(
        blank,
        status=ModelStatus.TRACED,
        built_from=traced.built_from.value,
        constructor=traced.constructor,
        assumed=traced.assumed,
        method=traced.method,
        inputs=traced.inputs,
        parameters=traced.parameters,
        unfetched=sum(math.prod(p.shape) for p in graph.parameters if p.unfetched),
        layers=len(graph.layers),
        seconds=traced.seconds,
    )


_NOT_BUILT_STAGES = ("import", "build", "inputs")


def _not_traced(blank: ModelSummary, reply: object) -> Examined:
    if isinstance(reply, UserFailure) and (reason := _no_model(reply)):
        return Examined(replace(blank, status=ModelStatus.NOT_RUN, reason=reason))
    if isinstance(reply, UserFailure):
        blank = replace(blank, constructor=reply.constructor, inputs=reply.inputs)
    built = not (isinstance(reply, UserFailure) and reply.stage in _NOT_BUILT_STAGES)
    status = ModelStatus.FAILED if built else ModelStatus.NOT_BUILT
    return Examined(
        replace(blank, status=status, reason=_reason(reply)), lost=isinstance(reply, Lost)
    )


def _beyond_means(reply: object) -> str:
    """Why a model that could be traced takes more than there is to be probed, "" if it does not."""
    match reply:
        case Lost(late=True):
            return f"too slow to probe here ({reply.reason})"
        case UserFailure(out_of_memory=True):
            return f"too large to probe here ({reply.message})"
    return ""


def _no_model(failure: UserFailure) -> str:
    """Why a class is no model that could be trained, "" where it failed."""
    match failure.error:
        case "NoParametersError" if "PassThrough(" in failure.constructor:
            return "has no trainable parameters beside those of the modules that it is given"
        case "NoParametersError":
            return "has no trainable parameters, so there is nothing to train"
        case "AbstractError" if failure.stage == "build":
            return "is abstract: its constructor calls what is not implemented"
        case "AbstractError":
            return "is abstract: its forward is not implemented"
        case "NoGradientError":
            return "has a forward that runs without gradients, so that nothing is trained by it"
        case "NoForwardError":
            return f"has no forward of its own {failure.message}".strip()
        case "TypeError" if failure.message.startswith("Can't instantiate abstract class"):
            return "is abstract"
        case _:
            return ""


def _reason(reply: object) -> str:
    match reply:
        case UserFailure(stage, error, message, span):
            where = f" at {span}" if span else ""
            return f"{stage}{where}: {error}" + (f": {message}" if message else "")
        case Lost():
            return reply.reason
    return f"unexpected reply {type(reply).__name__}"
