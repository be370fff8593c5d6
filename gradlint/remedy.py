"""Remedies as data: what could be changed in a live model so that a claim no longer holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplaceActivation:
    """Call `by` (a function of `torch.nn.functional`) in place of each activation of `nodes`."""

    nodes: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Initialise:
    """Draw the weights of `layers` anew with variance `gain² / fan_in`, biases zero."""

    layers: tuple[str, ...]
    gain: float


@dataclass(frozen=True, slots=True)
class Normalise:
    """Normalise the output of each of `nodes`: "batch" over samples, "layer" over features."""

    nodes: tuple[str, ...]
    norm: str


@dataclass(frozen=True, slots=True)
class AddSkip:
    """Add the input of each pair's first node to the output of its second; shapes must agree."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReplaceRecurrent:
    """Put a gated `cell` ("LSTM" or "GRU") of the same sizes in place of the recurrent `layer`."""

    layer: str
    cell: str
    forget_bias: float


@dataclass(frozen=True, slots=True)
class ClipGradients:
    """Clip the norm of all gradients to `max_norm` before each optimizer step."""

    max_norm: float


Action = ReplaceActivation | Initialise | Normalise | AddSkip | ReplaceRecurrent | ClipGradients


@dataclass(frozen=True, slots=True)
class Remedy:
    """Actions that are applied together to a copy of the model, and what to tell the user to do."""

    title: str
    actions: tuple[Action, ...]
