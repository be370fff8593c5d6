"""Remedies at work on a live model: modules are changed in place, calls by interventions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from gradlint.remedy import (
    Action,
    AddSkip,
    ClipGradients,
    Initialise,
    Normalise,
    Remedy,
    ReplaceActivation,
    ReplaceRecurrent,
)
from gradlint.worker.run import UnmeasurableError
from gradlint.worker.trace import Call, Intervention

Weights = Mapping[str, tuple[str, ...]]

REPLACEMENT = "_gradlint_replacement"
"""Where a recurrent layer carries the gated layer that a remedy would put in its place."""
CLIP_NORM = "_gradlint_clip_norm"
"""The attribute under which a model carries the norm that a remedy clips its gradients to."""


def apply(model: nn.Module, remedy: Remedy, weights: Weights) -> dict[str, Intervention]:
    """Change `model` as the remedy says and return what must be done during its forward pass.

    `weights` maps the id of a layer to the names of the parameters that it consumes.

    Raises:
        UnmeasurableError: the remedy does not fit this model.
    """
    interventions: dict[str, Intervention] = {}
    for action in remedy.actions:
        for node, intervention in _apply(model, action, weights).items():
            earlier = interventions.get(node)
            interventions[node] = _then(earlier, intervention) if earlier else intervention
    return interventions


def _apply(model: nn.Module, action: Action, weights: Weights) -> dict[str, Intervention]:
    match action:
        case ReplaceActivation(nodes, by):
            return dict.fromkeys(nodes, _activation(by))
        case Normalise(nodes, norm):
            return dict.fromkeys(nodes, _batch_norm if norm == "batch" else _layer_norm)
        case AddSkip(pairs):
            return _skips(pairs)
        case Initialise(layers, gain):
            for layer in layers:
                _initialise(model, weights.get(layer, ()), gain)
        case ReplaceRecurrent(layer, cell, forget_bias):
            _replace_recurrent(model, layer.partition("#")[0], cell, forget_bias)
        case ClipGradients(max_norm):
            object.__setattr__(model, CLIP_NORM, max_norm)
    return {}


def _then(first: Intervention, second: Intervention) -> Intervention:
    def both(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        return second(call, args, first(call, args, output))

    return both


def _activation(by: str) -> Intervention:
    function = getattr(nn.functional, by)

    def replaced(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        given = args[0] if args else None
        result = function(given) if isinstance(given, torch.Tensor) else output
        return result if isinstance(result, torch.Tensor) else output

    return replaced


def _batch_norm(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
    """Normalise each feature over samples and positions, as a fresh BatchNorm does."""
    channels_first = output.ndim >= 4 or "conv1d" in call.op.lower()
    feature = 1 if output.ndim == 2 or channels_first else output.ndim - 1
    axes = [axis for axis in range(output.ndim) if axis != feature]
    return _standardise(output, axes)


def _layer_norm(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
    """Normalise each sample: channels and positions of images, else the last axis."""
    axes = list(range(1, output.ndim)) if output.ndim >= 4 else [output.ndim - 1]
    return _standardise(output, axes)


def _standardise(output: torch.Tensor, axes: list[int]) -> torch.Tensor:
    variance, mean = torch.var_mean(output, dim=axes, correction=0, keepdim=True)
    return (output - mean) * torch.rsqrt(variance + 1e-5)


def _skips(pairs: tuple[tuple[str, str], ...]) -> dict[str, Intervention]:
    """Remember the input of each pair's first call and add it to the output of its last call."""
    interventions: dict[str, Intervention] = {}
    for first, last in pairs:
        kept: list[torch.Tensor] = []
        for node, intervention in ((first, _remember(kept)), (last, _add(kept))):
            earlier = interventions.get(node)
            interventions[node] = _then(earlier, intervention) if earlier else intervention
    return interventions


def _remember(kept: list[torch.Tensor]) -> Intervention:
    def remember(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        kept[:] = [arg for arg in args[:1] if isinstance(arg, torch.Tensor)]
        return output

    return remember


def _add(kept: list[torch.Tensor]) -> Intervention:
    def add(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        fits = bool(kept) and kept[0].shape == output.shape
        return output + kept[0] if fits else output

    return add


def _initialise(model: nn.Module, names: tuple[str, ...], gain: float) -> None:
    for name in names:
        parameter = model.get_parameter(name)
        with torch.no_grad():
            if parameter.ndim < 2:
                parameter.zero_()
            else:
                fan_in = parameter[0].numel()
                parameter.normal_(0.0, gain / math.sqrt(fan_in))


def _replace_recurrent(model: nn.Module, path: str, cell: str, forget_bias: float) -> None:
    """Hang a gated layer of the same sizes on the recurrent one; quantities measure it instead."""
    old = dict(model.named_modules()).get(path, model)
    new = _gated(old, cell)
    if isinstance(new, nn.LSTM):
        _set_forget_bias(new, forget_bias)
    object.__setattr__(old, REPLACEMENT, new)


def _gated(old: nn.Module, cell: str) -> nn.RNNBase:
    kind = nn.LSTM if cell == "LSTM" else nn.GRU
    if isinstance(old, nn.RNNBase):
        return kind(
            old.input_size,
            old.hidden_size,
            num_layers=old.num_layers,
            batch_first=old.batch_first,
            bidirectional=old.bidirectional,
        )
    if isinstance(old, nn.RNNCellBase):
        return kind(old.input_size, old.hidden_size, batch_first=True)
    if isinstance(old, nn.Linear):
        return kind(old.out_features, old.out_features, batch_first=True)
    raise UnmeasurableError(f"a {type(old).__name__} is no recurrent layer that a {cell} replaces")


def _set_forget_bias(lstm: nn.RNNBase, value: float) -> None:
    """Set the forget gate's bias, the second quarter of the four gates, to `value` in all."""
    size = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_ih"):
                parameter[size : 2 * size] = value
            elif name.startswith("bias_hh"):
                parameter[size : 2 * size] = 0.0
