"""Claims measured on a live model: over seeds, under remedies, and twice to see them repeat."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Iterator

from gradlint.protocol.claim import Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import Remedy
from gradlint.protocol.wire import Measurement, Picture, Probed, ProbeModel, TrunkGradient
from gradlint.worker.probing.quantities import measure
from gradlint.worker.probing.remedy import Weights, apply
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError, UserError
from gradlint.worker.tracing.forward import Built, Preparation

_SAME = 1e-3  # relative difference that two runs of one seed may show, from parallel summation
_LONG = (Quantity.UNLEARNED_SHARE, Quantity.UNLEARNED_START, Quantity.TRAINED_DECAY)
_TRAINING = (Quantity.TRAINING_SPIKE, *_LONG)
_TAKE_GRADIENTS = (
    Quantity.GRADIENT_DECADES,
    Quantity.WEAKEST_GRADIENT,
    Quantity.GRADIENT_NORM,
    Quantity.GRADIENT_RANK,
    Quantity.BIAS_GRADIENT,
    Quantity.REACHED_SHARE,
    Quantity.STRAY_SHARE,
)
"""They end with a backward pass that frees the graph, so that they are measured last."""


def probe(built: Built, request: ProbeModel, weights: Weights) -> Probed:
    """Measure every claim for every seed, plain and under every remedy, and the trunk's gradient.

    Raises:
        UserError: the user's code raised in the plain model.
    """
    start = time.perf_counter()
    measurements: list[Measurement] = []
    trunk: dict[str, list[float]] = {node: [] for node in request.trunk}
    pictures: list[Picture] = []
    for seed in request.seeds:
        run = _run(built, request, seed)
        skipped = {i for i, claim in enumerate(request.claims) if _settled(claim, i, measurements)}
        measurements += _measure(run, request.claims, skipped=skipped)
        for node, decades in trunk.items():
            decades.append(_rounded(run.gradients.decades(node)))
        pictures += _pictures(run, request, -1)
    repeatable = _repeats(built, request, measurements)
    for index, remedy in enumerate(request.remedies):
        measurements += _remedied(built, request, weights, index, remedy, pictures)
    return Probed(
        tuple(measurements),
        tuple(TrunkGradient(node, tuple(decades)) for node, decades in trunk.items()),
        repeatable,
        time.perf_counter() - start,
        tuple(pictures),
    )


def _pictures(run: Run, request: ProbeModel, remedy: int) -> Iterator[Picture]:
    """What the first seed shows at the pictured nodes."""
    if not request.pictured or run.seed != request.seeds[0]:
        return
    ran = run.forward.calls
    found = [node if node in ran else "" for node in request.pictured]
    yield Picture(
        remedy,
        tuple(_rounded(run.gradients.decades(node)) if node else math.nan for node in found),
        tuple(_rounded(run.activation(node)) if node else math.nan for node in found),
    )


def _settled(claim: Claim, index: int, before: list[Measurement]) -> bool:
    """Whether the seeds so far are enough: a training run costs as much as all the rest.

    One is that is healthy or unmeasurable. Of rehearsals of memory more have to be healthy than
    not, because a recurrence that forgets recalls from some initialisations by luck.
    """
    values = [m.value for m in before if m.claim == index]
    if claim.quantity not in _TRAINING:
        return False
    if any(map(math.isnan, values)):
        return True
    held = sum(map(claim.bound.holds, values))
    by_luck = claim.quantity is Quantity.UNLEARNED_SHARE and claim.steps > 0
    return 2 * held > len(values) if by_luck else held > 0


def _run(built: Built, request: ProbeModel, seed: int, prepare: Preparation | None = None) -> Run:
    wanted = [claim.of for claim in request.claims if claim.quantity is Quantity.GRADIENT_DECADES]
    return Run(
        built,
        seed,
        nodes=(*request.trunk, *wanted),
        pictured=request.pictured if seed == request.seeds[0] else (),
        keep=_kept(request.claims),
        prepare=prepare,
        training=request.training,
    )


def _kept(claims: tuple[Claim, ...]) -> tuple[str, ...]:
    kept = (claim for claim in claims if claim.quantity not in _TAKE_GRADIENTS)
    nodes = [node for claim in kept for node in (claim.of, claim.since) if node]
    return tuple(name for node in nodes for name in (node, node.partition("#")[0]))


def _measure(
    run: Run, claims: tuple[Claim, ...], remedy: int = -1, skipped: Container[int] = ()
) -> Iterator[Measurement]:
    for index in sorted(range(len(claims)), key=lambda i: claims[i].quantity in _TAKE_GRADIENTS):
        if index in skipped:
            continue
        try:
            value, reason = _rounded(measure(run, claims[index])), ""
        except UnmeasurableError as error:
            value, reason = math.nan, str(error)
        yield Measurement(index, remedy, run.seed, value, reason)


def _repeats(built: Built, request: ProbeModel, before: list[Measurement]) -> bool:
    """Whether the first seed gives the values of the broken claims again, from scratch."""
    first = {m.claim: m.value for m in before if m.seed == request.seeds[0]}
    held = {m.claim for m in before if request.claims[m.claim].bound.holds(m.value)}
    # because a second rehearsal of many steps tells no more than its other seeds do
    held |= {i for i, c in enumerate(request.claims) if c.quantity in _LONG}
    if held.issuperset(first):
        return True
    again = _measure(_run(built, request, request.seeds[0]), request.claims, skipped=held)
    return all(_same(first[m.claim], m.value) for m in again)


def _same(one: float, other: float) -> bool:
    if math.isnan(one) and math.isnan(other):
        return True
    return one == other or math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME)


def _remedied(
    built: Built,
    request: ProbeModel,
    weights: Weights,
    index: int,
    remedy: Remedy,
    pictures: list[Picture],
) -> Iterator[Measurement]:
    """Measure the claims under a remedy; a remedy that does not fit has no value and a reason."""
    for seed in request.seeds:
        run = _run(built, request, seed, lambda model: apply(model, remedy, weights))
        try:
            yield from list(_measure(run, request.claims, index))
            pictures += _pictures(run, request, index)
        except (UserError, UnmeasurableError) as error:
            for claim in range(len(request.claims)):
                yield Measurement(claim, index, seed, math.nan, str(error))


def _rounded(value: float) -> float:
    """Six significant digits, because the last ones depend on the number of threads."""
    return float(f"{value:.6g}")
