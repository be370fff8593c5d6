"""Claims measured on a live model: over seeds, under remedies, and twice to see that they repeat."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from gradlint.claim import Claim
from gradlint.quantity import Quantity
from gradlint.remedy import Remedy
from gradlint.wire import Measurement, Probed, ProbeModel, TrunkGradient
from gradlint.worker.failure import UserError
from gradlint.worker.forward import Built, Preparation
from gradlint.worker.quantities import measure
from gradlint.worker.remedy import Weights, apply
from gradlint.worker.run import Run, UnmeasurableError

_SAME = 1e-3  # relative difference that two runs of one seed may show, from parallel summation
_TAKE_GRADIENTS = (Quantity.GRADIENT_DECADES, Quantity.WEAKEST_GRADIENT, Quantity.GRADIENT_NORM)


def probe(built: Built, request: ProbeModel, weights: Weights) -> Probed:
    """Measure every claim for every seed, plain and under every remedy, and the trunk's gradient.

    Raises:
        UserError: the user's code raised in the plain model.
    """
    start = time.perf_counter()
    runs = [_run(built, request, seed) for seed in request.seeds]
    measurements = [m for run in runs for m in _measure(run, request.claims, -1)]
    trunk = tuple(
        TrunkGradient(node, tuple(_rounded(run.gradients.decades(node)) for run in runs))
        for node in request.trunk
    )
    repeatable = not request.claims or _repeats(built, request, measurements)
    for index, remedy in enumerate(request.remedies):
        measurements += _remedied(built, request, weights, index, remedy)
    return Probed(tuple(measurements), trunk, repeatable, time.perf_counter() - start)


def _run(
    built: Built, request: ProbeModel, seed: int, prepare: Preparation | None = None
) -> Run:
    wanted = [claim.of for claim in request.claims if claim.quantity is Quantity.GRADIENT_DECADES]
    return Run(
        built,
        seed,
        nodes=(*request.trunk, *wanted),
        keep=_kept(request.claims),
        prepare=prepare,
        training=request.training,
    )


def _kept(claims: tuple[Claim, ...]) -> tuple[str, ...]:
    nodes = [claim.of for claim in claims if claim.quantity not in _TAKE_GRADIENTS]
    return tuple(name for node in nodes for name in (node, node.partition("#")[0]))


def _measure(run: Run, claims: tuple[Claim, ...], remedy: int) -> Iterator[Measurement]:
    for index in sorted(range(len(claims)), key=lambda i: claims[i].quantity in _TAKE_GRADIENTS):
        try:
            value, reason = _rounded(measure(run, claims[index])), ""
        except UnmeasurableError as error:
            value, reason = math.nan, str(error)
        yield Measurement(index, remedy, run.seed, value, reason)


def _repeats(built: Built, request: ProbeModel, before: list[Measurement]) -> bool:
    """Whether the first seed gives the same values again, from scratch."""
    again = {m.claim: m.value for m in _measure(_run(built, request, request.seeds[0]), request.claims, -1)}
    return all(
        _same(m.value, again[m.claim]) for m in before if m.seed == request.seeds[0]
    )


def _same(one: float, other: float) -> bool:
    if math.isnan(one) and math.isnan(other):
        return True
    return one == other or math.isclose(one, other, rel_tol=_SAME, abs_tol=_SAME)


def _remedied(
    built: Built, request: ProbeModel, weights: Weights, index: int, remedy: Remedy
) -> Iterator[Measurement]:
    """Measure the claims under a remedy; a remedy that does not fit has no value and a reason."""
    for seed in request.seeds:
        run = _run(built, request, seed, lambda model: apply(model, remedy, weights))
        try:
            yield from list(_measure(run, request.claims, index))
        except (UserError, UnmeasurableError) as error:
            for claim in range(len(request.claims)):
                yield Measurement(claim, index, seed, math.nan, str(error))


def _rounded(value: float) -> float:
    """Six significant digits, because the last ones depend on the number of threads."""
    return float(f"{value:.6g}")
