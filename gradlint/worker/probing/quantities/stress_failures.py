"""Whether inputs that training may bring make the gradient of an operation not finite."""

from __future__ import annotations

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.probing.tail import Choose, tail
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import Call, GradFn

_LARGE = 120.0  # exp(-104) is 0 in single precision: a softmax between ±60 loses its smallest term
_FARTHEST = 400


def measure(run: Run, claim: Claim) -> float:
    """Share of three stresses that make a gradient infinite or NaN, in [0, 1].

    The outputs of the nearest weights in front of layer `of` are replaced by -120, by ±120 in a
    random pattern of signs, and by -120 but for a first element of 120; then the sum of `of`'s
    output is differentiated with respect to them. All weights are given the same values, as two
    towers are by equal inputs. Where the layer is given NaN, another has failed before it.

    Raises:
        UnmeasurableError: no weights feed the layer, or what follows them raises.

    Source: the derivatives 1/x of log and 1/(2√x) of sqrt at 0, and the range of single precision.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> class LogOfSoftmax(torch.nn.Sequential):
    ...     def forward(self, x):
    ...         return torch.log(torch.softmax(super().forward(x), dim=1))
    >>> run = Run(Example(lambda: LogOfSoftmax(torch.nn.Linear(4, 3)), (8, 4)), 0, keep=["log"])
    >>> measure(run, Claim(Quantity.STRESS_FAILURES, "log", Bound())) > 0.5
    True
    """
    nodes = _feeding_weights(run, claim.of)
    if not nodes:
        raise UnmeasurableError(f"no layer with weights feeds {claim.of}")
    stresses: tuple[Choose, ...] = (_negative, _signs, _one_large)
    return sum(_breaks(run, claim, nodes, stress) for stress in stresses) / len(stresses)


def _breaks(run: Run, claim: Claim, nodes: tuple[str, ...], stress: Choose) -> bool:
    end = tail(run, claim, nodes, stress)
    if end.at is None:
        raise UnmeasurableError(f"{claim.of} did not run on stressed values")
    if any(bool(torch.isnan(value).any()) for value in end.into):
        return False
    gradients = end.gradients(of=end.at)
    return not all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def _negative(output: torch.Tensor) -> torch.Tensor:
    return torch.full_like(output, -_LARGE)


def _signs(output: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, tuple(output.shape), generator=generator) * 2 - 1
    return _LARGE * signs.to(output)


def _one_large(output: torch.Tensor) -> torch.Tensor:
    values = torch.full_like(output, -_LARGE)
    values[..., 0] = _LARGE
    return values


def _feeding_weights(run: Run, node: str) -> tuple[str, ...]:
    """The nearest calls of weighted layers in front of `node`, walking back the autograd graph."""
    recorder = run.forward.recorder
    pending: list[GradFn] = list(run.call(node).exits)
    seen: set[GradFn] = set()
    found: dict[str, None] = {}
    while pending and len(seen) < _FARTHEST:
        step = pending.pop()
        if step in seen:
            continue
        seen.add(step)
        owner = recorder.owner.get(step)
        if owner is not None and owner != node and _is_weighted(recorder.calls[owner]):
            found[owner] = None
            continue
        pending.extend(ahead for ahead, _ in step.next_functions if ahead is not None)
    return tuple(found)


def _is_weighted(call: Call) -> bool:
    weight = getattr(call.module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim >= 2
