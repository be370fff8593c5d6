"""Remedies at work on a live model: modules are changed in place, calls by interventions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from gradlint.protocol.remedy import (
    Action,
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
from gradlint.worker.probing.objective import LEFT_OUT, REPLACED, SCALE
from gradlint.worker.probing.recurrent import (
    add_skips,
    orthogonalise,
    replace_recurrent,
    set_gate_bias,
)
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.call import Call
from gradlint.worker.tracing.parameters import connections
from gradlint.worker.tracing.stops import LET_THROUGH
from gradlint.worker.tracing.strays import register
from gradlint.worker.tracing.trace import Intervention

Weights = Mapping[str, tuple[str, ...]]

RATE = "_gradlint_rate"
"""The attribute under which a model carries what a remedy multiplies its learning rate by."""
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
        case Bypass(nodes, applied):
            object.__setattr__(model, LEFT_OUT, applied)
            return dict.fromkeys(nodes, bypass)
        case Floor(nodes, at):
            return dict.fromkeys(nodes, _floor(at))
        case Limit(nodes, to):
            return dict.fromkeys(nodes, _limit(to))
        case Normalise(nodes, norm):
            return dict.fromkeys(nodes, _batch_norm if norm == "batch" else _layer_norm)
        case AddSkip(pairs):
            return _skips(pairs)
        case ExchangeWithNorm(pairs):
            return _exchanges(pairs)
    _change(model, action, weights)
    return {}


def _change(model: nn.Module, action: Action, weights: Weights) -> None:
    match action:
        case Initialise(layers, gain):
            for layer in layers:
                _initialise(model, weights.get(layer, ()), gain)
        case Activate(nodes, by):
            for node in nodes:
                _activate(model, node, by)
        case SetBias(layers, value):
            for layer in layers:
                _set_bias(model, weights.get(layer, ()), value)
        case ReplaceRecurrent() | SetGateBias() | Orthogonalise() | SkipRecurrent():
            _change_recurrent(model, action, weights)
        case Register(part):
            register(model, part)
        case _:
            _mark(model, action)


def _change_recurrent(
    model: nn.Module,
    action: ReplaceRecurrent | SetGateBias | Orthogonalise | SkipRecurrent,
    weights: Weights,
) -> None:
    match action:
        case ReplaceRecurrent(layer, cell, forget_bias):
            replace_recurrent(_module(model, layer), cell, forget_bias)
        case SetGateBias(layer, value):
            set_gate_bias(_module(model, layer), value)
        case Orthogonalise(layer):
            orthogonalise(_module(model, layer), weights.get(layer, ()))
        case SkipRecurrent(layers):
            for layer in layers:
                add_skips(_module(model, layer))


def _mark(model: nn.Module, action: Action) -> None:
    """Write on the model what its training and forward pass are to do otherwise."""
    match action:
        case ClipGradients(max_norm):
            object.__setattr__(model, CLIP_NORM, max_norm)
        case LetThrough():
            object.__setattr__(model, LET_THROUGH, True)
        case LowerRate(by):
            object.__setattr__(model, RATE, by)
        case ReplaceLoss(by):
            object.__setattr__(model, REPLACED, by)
        case ScaleLoss(by):
            object.__setattr__(model, SCALE, by)


def _module(model: nn.Module, node: str) -> nn.Module:
    """The module that made the call `node`, the model itself where that is the only one."""
    modules: dict[str, nn.Module] = dict(model.named_modules())
    return modules.get(node.partition("#")[0], model)


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


def _activate(model: nn.Module, node: str, by: str) -> None:
    function = getattr(nn.functional, by)

    def activated(module: nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (function(args[0]), *args[1:])

    modules: dict[str, nn.Module] = dict(model.named_modules())
    if node not in modules:
        raise UnmeasurableError(f"{node} is no module whose input an activation could change")
    modules[node].register_forward_pre_hook(activated)


def bypass(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
    """Hand on what a call was given, where that has the shape of what it made."""
    given = args[0] if args else None
    fits = isinstance(given, torch.Tensor) and given.shape == output.shape
    # a view, because what is handed on must count as made by this call
    return given.view_as(given) if fits and isinstance(given, torch.Tensor) else output


def _floor(at: float) -> Intervention:
    def floored(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        function = getattr(torch, call.op.rpartition(".")[2].replace("truediv", "div"))
        *before, last = [arg for arg in args[:2] if isinstance(arg, torch.Tensor)]
        sign = torch.where(last < 0, -1.0, 1.0)
        result = function(*before, sign * last.abs().clamp_min(at))
        return result if isinstance(result, torch.Tensor) else output

    return floored


def _limit(to: float) -> Intervention:
    def limited(call: Call, args: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        return output.clamp(-to, to)

    return limited


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


def _exchanges(pairs: tuple[tuple[str, str], ...]) -> dict[str, Intervention]:
    """Activate what was normalised, and hand it on where the norm was."""
    interventions: dict[str, Intervention] = {}
    for activation, norm in pairs:
        interventions[activation] = _activate_normalised
        interventions[norm] = bypass
    return interventions


def _activate_normalised(
    call: Call, args: tuple[object, ...], output: torch.Tensor
) -> torch.Tensor:
    given = args[0] if args else None
    if not isinstance(given, torch.Tensor):
        return output
    activated = _function(call)(_batch_norm(call, args, given))
    return activated if isinstance(activated, torch.Tensor) else output


def _function(call: Call) -> Callable[[torch.Tensor], object]:
    if call.module is not None:
        return call.module.forward
    name = call.op.rpartition(".")[2]
    function: Callable[[torch.Tensor], object] = getattr(nn.functional, name)
    return function


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
                fan_in, _ = connections(parameter, model.get_submodule(name.rpartition(".")[0]))
                parameter.normal_(0.0, gain / math.sqrt(fan_in))


def _set_bias(model: nn.Module, names: tuple[str, ...], value: float) -> None:
    for name in names:
        if "bias" in name.rpartition(".")[2]:
            with torch.no_grad():
                model.get_parameter(name).fill_(value)
