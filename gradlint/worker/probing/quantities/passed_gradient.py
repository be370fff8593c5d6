"""How much of the gradient at a layer's output the layer passes on to its input."""

from __future__ import annotations

import math

import torch

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import tensors_in

_ROUNDING = 1e-6


def measure(run: Run, claim: Claim) -> float:
    """log10(‖∂⟨R, y⟩/∂x‖₂ / ‖R‖₂), in decades; y = f(x) is layer `of`, R ~ N(0, 1) of y's shape.

    -inf where the layer's output does not depend on its input, such as a softmax over one unit,
    which is 1 whatever it is given; what only rounding lets through (below 1e-6) counts as nothing.

    Raises:
        UnmeasurableError: the layer takes or gives no tensor with a gradient.

    Source: the derivative of softmax, pᵢ(δᵢⱼ - pⱼ), is 0 for the one class with p = 1.

    >>> from gradlint.protocol.claim import Bound
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Softmax(dim=1))
    >>> run = Run(Example(lambda: model, (8, 4)), 0, keep=["1"])
    >>> measure(run, Claim(Quantity.PASSED_GRADIENT, "1", Bound()))
    -inf
    """
    call = run.call(claim.of)
    given = [tensor for tensor in tensors_in(call.arguments) if tensor.requires_grad]
    if call.output is None or not given:
        raise UnmeasurableError(f"{claim.of} takes no tensor that a gradient flows to")
    torch.manual_seed(run.seed)
    direction = torch.randn_like(call.output)
    found = torch.autograd.grad(
        call.output, given[:1], direction, retain_graph=True, allow_unused=True
    )
    passed = 0.0 if found[0] is None else float(torch.linalg.vector_norm(found[0].double()))
    share = passed / float(torch.linalg.vector_norm(direction.double()))
    return math.log10(share) if share > _ROUNDING else -math.inf
