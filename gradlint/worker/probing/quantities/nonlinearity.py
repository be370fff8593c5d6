"""How far the map from one layer to another is from an affine one."""

from __future__ import annotations

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.remedy import bypass
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.forward import seed_everything
from gradlint.worker.tracing.trace import Intervention


def measure(run: Run, claim: Claim) -> float:
    """N = ‖g - mean g‖₂ / ‖g‖₂ in [0, 1], where gₙ = ∂⟨R, yₙ⟩/∂xₙ for the samples n.

    x is the output of layer `since` and y that of layer `of`, both of shape (N, …); R is one
    random direction for all samples, the mean is taken over samples. Dropout is left out, because
    its noise is no nonlinearity. The gradient through an affine map is the same for every input, so
    N is 0; a ReLU between the two gives about .7.

    Raises:
        UnmeasurableError: no gradient flows from y to x, or there are fewer than two samples.

    Source: definition; y = A x + b has ∂⟨R, y⟩/∂x = Aᵀ R, whatever x is.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 4))
    >>> run = Run(Example(lambda: model, (16, 8)), 0, keep=["0", "1", "3"])
    >>> round(measure(run, Claim(Quantity.NONLINEARITY, "1", Bound(), since="0")), 6)
    0.0
    >>> measure(run, Claim(Quantity.NONLINEARITY, "3", Bound(), since="1")) > 0.5
    True
    """
    x, y = _ends(run, claim)
    if x.ndim < 2 or x.shape[0] < 2 or y.shape[:1] != x.shape[:1]:
        raise UnmeasurableError(f"{claim.since} and {claim.of} do not give the same samples")
    seed_everything(run.seed)
    target = (y * torch.randn_like(y[:1])).sum()
    (gradient,) = torch.autograd.grad(target, x, retain_graph=True, allow_unused=True)
    if gradient is None:
        raise UnmeasurableError(f"no gradient flows from {claim.of} to {claim.since}")
    samples = gradient.double().flatten(1)
    size = float(torch.linalg.vector_norm(samples))
    varying = float(torch.linalg.vector_norm(samples - samples.mean(0)))
    return varying / size if size > 0 else 0.0


def _ends(run: Run, claim: Claim) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs of both layers, of another run without dropout where there is any."""
    calls = run.forward.calls.items()
    dropouts = [id for id, call in calls if "dropout" in call.op.lower()]
    if not dropouts:
        return run.live(claim.since), run.live(claim.of)

    def prepare(model: nn.Module) -> dict[str, Intervention]:
        own = dict(run.prepare(model)) if run.prepare else {}
        return dict.fromkeys(dropouts, bypass) | own

    still = Run(run.built, run.seed, keep=(claim.since, claim.of), prepare=prepare)
    return still.live(claim.since), still.live(claim.of)
