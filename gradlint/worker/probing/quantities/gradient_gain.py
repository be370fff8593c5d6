"""How much gradient a layer, or a run of layers, hands down of what it receives."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.forward import seed_everything


def measure(run: Run, claim: Claim) -> float:
    """G = log10(‖∂⟨R, y⟩/∂x‖₂ / ‖R‖₂), in decades; R is a fixed random direction.

    y is the output of layer `of` (any shape). x is what layer `since` gives; where that is empty,
    the first tensor that `of` takes. -1 means that a tenth of the gradient comes through.

    Raises:
        UnmeasurableError: no gradient flows from y to x, because they are not connected.

    Source: the factor by which a layer scales a gradient is one singular-value average of its
    Jacobian, as in Pennington et al., "Resurrecting the sigmoid in deep learning", 2017.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Sigmoid())
    >>> run = Run(Example(lambda: model, (16, 8)), 0, keep=["2"])
    >>> -0.7 < measure(run, Claim(Quantity.GRADIENT_GAIN, "2", Bound())) < -0.6
    True
    """
    x, y = _ends(run, claim)
    seed_everything(run.seed)
    direction = torch.randn_like(y)
    target = (y * direction).sum()
    (gradient,) = torch.autograd.grad(target, x, retain_graph=True, allow_unused=True)
    if gradient is None:
        raise UnmeasurableError(f"no gradient flows from {claim.of} to where the claim begins")
    handed = float(torch.linalg.vector_norm(gradient.double()))
    received = float(torch.linalg.vector_norm(direction.double()))
    if not math.isfinite(handed):
        return math.inf
    return math.log10(handed / received) if handed > 0 else -math.inf


def _ends(run: Run, claim: Claim) -> tuple[torch.Tensor, torch.Tensor]:
    call = run.call(claim.of)
    if claim.since:
        return run.live(claim.since), run.live(claim.of)
    given = call.arguments[0] if call.arguments else None
    if isinstance(given, nn.utils.rnn.PackedSequence):
        given, _ = nn.utils.rnn.pad_packed_sequence(
            given, batch_first=bool(getattr(call.module, "batch_first", False))
        )
    if not isinstance(given, torch.Tensor):
        raise UnmeasurableError(f"{claim.of} takes no tensor")
    if isinstance(call.module, nn.Module) and not given.requires_grad:
        x = given.detach().requires_grad_()
        output = call.module(x)
        return x, output[0] if isinstance(output, tuple) else output
    return given, run.live(claim.of)
