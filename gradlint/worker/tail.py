"""What follows a layer, run on values of our choosing in place of the layer's own output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from gradlint.claim import Claim
from gradlint.worker.failure import UserError
from gradlint.worker.forward import forward
from gradlint.worker.objective import value_of
from gradlint.worker.run import Run, UnmeasurableError
from gradlint.worker.trace import Call, Intervention

Choose = Callable[[torch.Tensor], torch.Tensor]
"""Values of the shape of a layer's output, given that output."""


@dataclass(slots=True)
class Tail:
    """The loss that chosen values lead to, and those values; each requires a gradient."""

    loss: torch.Tensor
    outputs: tuple[torch.Tensor, ...]
    chosen: list[torch.Tensor] = field(default_factory=list)

    def gradients(self) -> tuple[torch.Tensor, ...]:
        """∂loss/∂chosen, zero where the loss does not depend on the values."""
        found = torch.autograd.grad(self.loss, self.chosen, allow_unused=True)
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
        done = forward(run.built, run.seed, prepare=prepare)
    except UserError as error:
        raise UnmeasurableError(f"what follows {claim.of} raised: {error}") from error
    if not chosen:
        raise UnmeasurableError(f"{claim.of} gave no tensor that could be replaced")
    objective = claim.objective
    if objective is None or not objective.loss:
        return Tail(done.loss, done.outputs, chosen)
    if objective.output >= len(done.outputs):
        raise UnmeasurableError(f"the model gives no output {objective.output}")
    torch.manual_seed(run.seed)
    loss = value_of(done.model, objective, done.outputs[objective.output])
    return Tail(loss, done.outputs, chosen)
