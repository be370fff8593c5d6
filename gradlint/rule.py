"""What a rule is, and everything that a rule file may import."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from gradlint.judging.evidence import Severity
from gradlint.layers.arrival import (
    SWITCHES,
    arrival_claims,
    effects,
    listing,
    parts,
    stops_of,
    takers_of,
    unreached,
)
from gradlint.layers.graph import LayerGraph
from gradlint.layers.losses import LossUse, Step
from gradlint.layers.operations import Role, is_saturating, is_weighted, name_of, role_of
from gradlint.layers.patterns import (
    attends,
    fitting_norm,
    gates,
    multiplications,
    names,
    repeats,
    site,
    skip_pairs,
)
from gradlint.layers.recurrence import (
    ASSUMED_STEPS,
    Ungated,
    between_steps,
    gated,
    length,
    loops,
    own_steps,
    own_turns,
    ungated,
)
from gradlint.layers.scales import CRITICAL, HiddenWeight, at_critical_scale, hidden_weights
from gradlint.layers.teaching import blurs, is_separable, is_wide, recurs, work
from gradlint.program import StepKind, TrainingLoop
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.nodes import Initialisation, Layer, Parameter, Stop, Stray
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    Activate,
    AddSkip,
    Bypass,
    ClipGradients,
    ExchangeWithNorm,
    Floor,
    Initialise,
    LetThrough,
    Limit,
    LowerRate,
    Normalise,
    Orthogonalise,
    Register,
    Remedy,
    ReplaceActivation,
    ReplaceLoss,
    ReplaceRecurrent,
    ScaleLoss,
    SetBias,
    SetGateBias,
    SkipRecurrent,
)
from gradlint.protocol.span import Span
from gradlint.protocol.training import Objective, OptimizerFamily, Training

__all__ = [
    "ASSUMED_STEPS",
    "CRITICAL",
    "SWITCHES",
    "Activate",
    "AddSkip",
    "Bound",
    "Bypass",
    "Claim",
    "ClipGradients",
    "ExchangeWithNorm",
    "Family",
    "Floor",
    "GraphRule",
    "HiddenWeight",
    "Hypothesis",
    "Initialisation",
    "Initialise",
    "Layer",
    "LayerGraph",
    "LetThrough",
    "Limit",
    "LoopRule",
    "LossRule",
    "LossUse",
    "LowerRate",
    "Normalise",
    "Objective",
    "OptimizerFamily",
    "Orthogonalise",
    "Parameter",
    "Quantity",
    "Register",
    "Remedy",
    "ReplaceActivation",
    "ReplaceLoss",
    "ReplaceRecurrent",
    "Role",
    "Rule",
    "ScaleLoss",
    "SetBias",
    "SetGateBias",
    "Severity",
    "SkipRecurrent",
    "Span",
    "Step",
    "StepKind",
    "Stop",
    "Stray",
    "Training",
    "TrainingLoop",
    "Ungated",
    "arrival_claims",
    "at_critical_scale",
    "attends",
    "between_steps",
    "blurs",
    "effects",
    "fitting_norm",
    "gated",
    "gates",
    "gradient_claim",
    "hidden_weights",
    "is_saturating",
    "is_separable",
    "is_weighted",
    "is_wide",
    "length",
    "listing",
    "loops",
    "multiplications",
    "name_of",
    "names",
    "own_steps",
    "own_turns",
    "parts",
    "recurs",
    "repeats",
    "role_of",
    "site",
    "skip_pairs",
    "stops_of",
    "takers_of",
    "trunk_claim",
    "ungated",
    "unreached",
    "work",
]


class Family(str, Enum):
    """The families of rules, which selectors may name."""

    ACTIVATION = "activation"
    INIT = "init"
    RECURRENT = "recurrent"
    TOPOLOGY = "topology"
    NORMALIZATION = "normalization"
    LOSS = "loss"
    TRAINING_LOOP = "training-loop"
    GAN = "gan"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A suspicion: where, what is wrong in words, and the claims that must all hold for it.

    `region` are the ids of the layers that it speaks of; suspicions whose regions meet are reported
    as one. `layer` is the one that the finding names. `advice` is said where no remedy is offered.
    `severity` is the highest that the finding may have. `definite` is true where the source states
    what is wrong; among suspicions whose remedies do as well, it goes before those about the model
    as a whole. `only_if_cured` says that something is missing, which is true only if a remedy that
    adds it helps. `symptom` says what the model shows, whatever makes it so: among suspicions of
    the same verdict it comes last.
    """

    span: Span
    layer: str
    message: str
    claims: tuple[Claim, ...]
    region: tuple[str, ...]
    remedies: tuple[Remedy, ...] = ()
    advice: str = ""
    severity: Severity = Severity.ERROR
    definite: bool = False
    only_if_cured: bool = False
    symptom: bool = False


class Rule(ABC):
    """One thing that makes training fail; its docstring is its documentation."""

    family: ClassVar[Family]
    references: ClassVar[tuple[str, ...]]
    examples: ClassVar[tuple[str, ...]]

    @classmethod
    def name(cls) -> str:
        """The rule's name, derived from the class name: `InitScale` is `init-scale`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()


class GraphRule(Rule):
    """A rule about a model."""

    @abstractmethod
    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield what the layer graph makes one suspect."""


class LoopRule(Rule):
    """A rule about a training loop and the model that it trains."""

    @abstractmethod
    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield what the loop makes one suspect of training this model."""


class LossRule(Rule):
    """A rule about a loss and what it is fed."""

    @abstractmethod
    def check(self, use: LossUse, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield what feeding this loss so makes one suspect."""


def trunk_claim(graph: LayerGraph) -> Claim:
    """The gradient claim at the deepest layer of the trunk, for the model's optimizer.

    Raises:
        IndexError: the trunk is empty.
    """
    return gradient_claim(graph.trunk[0], graph.optimizer)


def gradient_claim(of: Layer, optimizer: OptimizerFamily) -> Claim:
    """The claim that the gradient at `of` has left the range in which `optimizer` learns.

    360 networks trained on digits: with SGD |L| > 2.5 decades failed with precision .95 and |L| > 3
    with .98; Adam divides by the gradient's own size, and fails below -6 with precision .85.
    """
    if optimizer is OptimizerFamily.ADAM:
        return Claim(
            Quantity.GRADIENT_DECADES,
            of.id,
            Bound(at_least=-4, at_most=3),
            error=Bound(at_least=-6),
        )
    return Claim(
        Quantity.GRADIENT_DECADES,
        of.id,
        Bound(at_least=-2.5, at_most=2.5),
        error=Bound(at_least=-3, at_most=3),
    )
