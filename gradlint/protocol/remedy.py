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


@dataclass(frozen=True, slots=True)
class Bypass:
    """Hand the first input of each of `nodes` on in place of its output; shapes must agree.

    `applied` are operations that the loop no longer applies in front of the loss.
    """

    nodes: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Activate:
    """Call `by` (a function of `torch.nn.functional`) on what each module of `nodes` takes."""

    nodes: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class SetBias:
    """Set every bias that `layers` consume, and no other parameter, to `value`."""

    layers: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class SetGateBias:
    """Set the bias of the gate that keeps the state of an LSTM or GRU `layer` to `value`."""

    layer: str
    value: float


@dataclass(frozen=True, slots=True)
class Orthogonalise:
    """Draw the weights between the steps of recurrent `layer` as orthogonal matrices."""

    layer: str


@dataclass(frozen=True, slots=True)
class SkipRecurrent:
    """Add the input of each recurrent layer in `layers`, stacked ones too, to its output."""

    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """Keep what each of `nodes`, a logarithm, root or division, takes `at` or more from zero."""

    nodes: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Keep the output of each of `nodes` within ±`to`."""

    nodes: tuple[str, ...]
    to: float


@dataclass(frozen=True, slots=True)
class ScaleLoss:
    """Multiply the loss by `by` before the backward pass, and divide the gradients after it."""

    by: float


@dataclass(frozen=True, slots=True)
class ReplaceLoss:
    """Train with the loss `by`, a function of `torch.nn.functional`."""

    by: str


@dataclass(frozen=True, slots=True)
class LetThrough:
    """Let gradients through `detach`, `.data` and whatever switches gradients off."""


@dataclass(frozen=True, slots=True)
class Register:
    """Register the trainable tensors that the attribute `part` hides, as `parameters()` wants."""

    part: str


@dataclass(frozen=True, slots=True)
class LowerRate:
    """Train with the learning rate multiplied by `by`."""

    by: float


@dataclass(frozen=True, slots=True)
class ExchangeWithNorm:
    """Let each pair's norm stand in front of its activation instead of behind it."""

    pairs: tuple[tuple[str, str], ...]


Action = (
    ReplaceActivation
    | Initialise
    | Normalise
    | AddSkip
    | ReplaceRecurrent
    | ClipGradients
    | Bypass
    | Activate
    | SetBias
    | SetGateBias
    | Orthogonalise
    | SkipRecurrent
    | ReplaceLoss
    | LetThrough
    | Register
    | Floor
    | Limit
    | ScaleLoss
    | ExchangeWithNorm
    | LowerRate
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """Actions that are applied together to a copy of the model, and what to tell the user to do."""

    title: str
    actions: tuple[Action, ...]
