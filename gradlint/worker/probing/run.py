"""One seeded run of a model, from which every quantity takes what it needs, computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.protocol.training import Training
from gradlint.worker.running.attempt import tried
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import Call
from gradlint.worker.tracing.forward import (
    Built,
    Gradients,
    Preparation,
    forward,
    gradients,
    rms,
    run,
    seed_everything,
    sign_step,
)
from gradlint.worker.tracing.recording import Forward

_Computed = TypeVar("_Computed")
_ZEROS_IN_A_ROW = 3


class Run:
    """The forward pass and gradients of one seed; `nodes` are those whose gradient is wanted.

    `pictured` are more of them, whose activations are wanted, too.
    """

    def __init__(
        self,
        built: Built,
        seed: int,
        *,
        nodes: Iterable[str] = (),
        pictured: Iterable[str] = (),
        keep: Iterable[str] = (),
        prepare: Preparation | None = None,
        training: Training | None = None,
    ) -> None:
        self.built = built
        self.seed = seed
        self.training = training or Training()
        self.prepare = prepare
        self._nodes = tuple(dict.fromkeys(nodes))
        self._pictured = bool(pictured := tuple(pictured))
        self._watched = tuple(dict.fromkeys((*self._nodes, *pictured)))
        self._keep = tuple(keep)
        self._activations: dict[str, float] = {}
        self._computed: dict[Hashable, object] = {}

    @cached_property
    def forward(self) -> Forward:
        """The recorded forward pass at initialisation."""
        return forward(
            self.built,
            self.seed,
            prepare=self.prepare,
            keep=self._keep,
            observe=self._observe if self._pictured else None,
        )

    def _observe(self, node: str, output: torch.Tensor) -> None:
        size = tried(rms, output).value  # because within `vmap` nobody can read a value
        self._activations[node] = size if isinstance(size, float) else math.nan

    def activation(self, node: str) -> float:
        """log10 of the root mean square of the output of a pictured node, NaN if it did not run."""
        self.forward_values()
        size = self._activations.get(node, math.nan)
        return math.log10(size) if size > 0 else -math.inf if size == 0 else size

    @cached_property
    def gradients(self) -> Gradients:
        """Gradient norms; after a step for each zero-initialised layer that lets none through.

        Such layers stand one behind another where a gate is zero in front of an output that is
        zero, too: the gate gets its first gradient when the output has moved.
        """
        found = self.plain
        for steps in range(1, _ZEROS_IN_A_ROW + 1):
            if all(found.at.get(node, 0.0) != 0.0 for node in self._nodes):
                break
            found = self.stepped if steps == 1 else self._step()
        return found

    @cached_property
    def plain(self) -> Gradients:
        """Gradient norms at initialisation."""
        self.forward_values()
        return gradients(self.forward, self._watched)

    @cached_property
    def stepped(self) -> Gradients:
        """Gradient norms of the same model on the same inputs after one step of every parameter."""
        _ = self.plain
        return self._step()

    def _step(self) -> Gradients:
        """Step every parameter once more, and differentiate the same inputs again."""
        model = self.forward.model
        sign_step(model)
        interventions = self.prepare(model) if self.prepare else {}
        seed_everything(self.seed + 1)
        again = run(self.built, model, interventions=interventions)
        return gradients(again, self._watched)

    def gradients_for(self, claim: Claim) -> Gradients:
        """The gradients that the claim asks about."""
        return self.stepped if claim.after_step else self.gradients

    def call(self, node: str) -> Call:
        """The recorded call `node`.

        Raises:
            UnmeasurableError: this run made no such call.
        """
        call = self.forward.calls.get(node)
        if call is None:
            raise UnmeasurableError(f"{node} did not run with seed {self.seed}")
        return call

    def output(self, node: str) -> torch.Tensor:
        """The output of the call `node`, detached.

        Raises:
            UnmeasurableError: this run made no such call, or its output was not kept.
        """
        return self.live(node).detach()

    def live(self, node: str) -> torch.Tensor:
        """The output of the call `node` with the graph that made it.

        Raises:
            UnmeasurableError: this run made no such call, or its output was not kept.
        """
        output = self.call(node).output
        if output is None:
            raise UnmeasurableError(f"the output of {node} was not kept")
        return output

    def once(self, key: Hashable, compute: Callable[[], _Computed]) -> _Computed:
        """What `compute` gave the first time that something of this `key` was asked for."""
        if key not in self._computed:
            self._computed[key] = compute()
        return cast("_Computed", self._computed[key])

    def after(self, model: nn.Module) -> Run:
        """The same run of a model that is already made, such as one that was trained."""
        return Run(_Made(model, self.built), self.seed, keep=self._keep, training=self.training)

    def forward_values(self) -> None:
        """Run the forward pass if it has not run yet."""
        _ = self.forward


@dataclass(frozen=True, slots=True)
class _Made:
    """A model that is made already, and the inputs of the one that it was made from."""

    model: nn.Module
    built: Built

    def make(self) -> nn.Module:
        return self.model

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return self.built.inputs()
