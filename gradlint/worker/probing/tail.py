"""What follows a layer, run on values of our choosing in place of the layer's own output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.objective import fed_by, value_of
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError, UserError
from gradlint.worker.tracing.call import Call, tensors_in
from gradlint.worker.tracing.forward import forward
from gradlint.worker.tracing.trace import Intervention

Choose = Callable[[torch.Tensor], torch.Tensor]
"""Values of the shape of a layer's output, given that output."""


@dataclass(slots=True)
class Tail:
    """What chosen values lead to: the loss, the model's outputs, and `at`, the claim's layer's own.

    `into` is what that layer takes. The values themselves are in `chosen`; they require a gradient.
    """

    loss: torch.Tensor
    outputs: tuple[torch.Tensor, ...]
    at: torch.Tensor | None
    into: tuple[torch.Tensor, ...] = ()
    chosen: list[torch.Tensor] = field(default_factory=list)

    def gradients(self, of: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """∂loss/∂chosen, or ∂Σ`of`/∂chosen, zero where that does not depend on the values."""
        scalar = self.loss if of is None else of.sum()
        found = torch.autograd.grad(scalar, self.chosen, allow_unused=True)
        pairs = zip(found, self.chosen, strict=True)
        return tuple(torch.zeros_like(value) if g is None else g for g, value in pairs)


def tail(run: Run, claim: Claim, nodes: Iterable[str], choose: Choose) -> Tail:
    """Run the model of `run` with the outputs of `nodes` replaced by what `choose` gives for them.

    Raises:
        UnmeasurableError: the nodes did not run, gave no plain tensor, or what follows them raised.
    """
    chosen: list[torch.Tensor] = []

    def replaced(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        values = choose(output.detach()).to(output.dtype).requires_grad_()
        chosen.append(values)
        return values * 1.0

    def prepare(model: nn.Module) -> Mapping[str, Intervention]:
        return {**(run.prepare(model) if run.prepare else {}), **dict.fromkeys(nodes, replaced)}

    try:
        done = forward(run.built, run.seed, prepare=prepare, keep=[claim.of])
    except UserError as error:
        raise UnmeasurableError(f"what follows {claim.of} raised: {error}") from error
    if not chosen:
        raise UnmeasurableError(f"{claim.of} gave no tensor that could be replaced")
    call = done.calls.get(claim.of)
    at = call.output if call else None
    into = tuple(tensors_in(call.arguments)) if call else ()
    objective = claim.objective
    if objective is None or not objective.loss:
        return Tail(done.loss, done.outputs, at, into, chosen)
    if objective.output >= len(done.outputs):
        raise UnmeasurableError(f"the model gives no output {objective.output}")
    torch.manual_seed(run.seed)
    loss = value_of(done.model, objective, done.outputs[objective.output])
    return Tail(loss, done.outputs, at, into, chosen)


_FAR = 1e4


def extremes(run: Run, claim: Claim) -> tuple[float, float, float, float]:
    """The least and the largest element of what the loss is fed, with logits of 10⁴ and of -10⁴.

    Raises:
        UnmeasurableError: what follows the layer raises.
    """
    low = _fed(run, claim, -_FAR)
    high = _fed(run, claim, _FAR)
    return float(low.min()), float(low.max()), float(high.min()), float(high.max())


def _fed(run: Run, claim: Claim, value: float) -> torch.Tensor:
    def constant(output: torch.Tensor) -> torch.Tensor:
        return torch.full_like(output, value)

    output = tail(run, claim, [claim.of], constant).outputs[0].detach()
    if claim.objective is None:
        return output
    return fed_by(run.forward.model, claim.objective, output)
