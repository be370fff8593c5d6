"""Fused recurrent layers: stationary moments of the state and the mean-field map of one step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradlint.protocol.nodes import Layer, Parameter
from gradlint.theory.activations import leaky, respond, sigmoid, tanh
from gradlint.theory.moments import Moments, bounded
from gradlint.theory.quadrature import Response
from gradlint.theory.step import NOTHING, Call, Gain, Step

_SETTLED = 60  # steps after which the moments of the state no longer change


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One recurrent layer at rest: q of its output, the gains of one step and of its input.

    The step is one back in time.
    """

    square: float
    step: float
    entry: float

    @property
    def decades_a_step(self) -> float:
        """How the gradient norm changes from one step to the one before.

        Half of log10 of the gain.
        """
        return 0.5 * math.log10(self.step) if self.step > 0.0 else -math.inf


@dataclass(frozen=True, slots=True)
class Weights:
    """Second moments of one layer of a fused module: per unit, summed over its inputs."""

    entry: float
    step: float
    offset: float
    forget_bias: float = 0.0


def weights_of(parameters: tuple[Parameter, ...]) -> tuple[Weights, ...]:
    """The layers of a module, forward direction, in order; the statistics of all gates together."""
    named = {parameter.id.rpartition(".")[2]: parameter for parameter in parameters}
    found = []
    for index in range(len(named)):
        entry, step = (named.get(f"weight_{kind}_l{index}") for kind in ("ih", "hh"))
        entry = entry or (named.get("weight_ih") if index == 0 else None)
        step = step or (named.get("weight_hh") if index == 0 else None)
        if entry is None or step is None:
            break
        biases = [p for name, p in named.items() if name in _bias_names(index)]
        gated = entry.shape[0] == 4 * step.shape[-1]
        forget = [_forget_bias(bias) if gated else 0.0 for bias in biases]
        found.append(
            Weights(
                entry=entry.shape[-1] * entry.mean_square,
                step=step.shape[-1] * step.mean_square,
                offset=sum(
                    bias.mean_square - 0.25 * set_to**2
                    for bias, set_to in zip(biases, forget, strict=True)
                ),
                forget_bias=sum(forget),
            )
        )
    return tuple(found)


def _forget_bias(bias: Parameter) -> float:
    """The bias of the forget gate, taken as the only one of an LSTM's four that is set on purpose.

    0 unless the mean of the whole vector is beyond three standard errors (Jozefowicz 2015).
    """
    error = max(bias.mean_square - bias.mean**2, 0.0) / max(bias.shape[0], 1)
    return 4.0 * bias.mean if bias.mean**2 > 9.0 * error else 0.0


def _bias_names(index: int) -> tuple[str, ...]:
    names = (f"bias_ih_l{index}", f"bias_hh_l{index}")
    return (*names, "bias_ih", "bias_hh") if index == 0 else names


def _gate(variance: float, mean: float = 0.0) -> Response:
    return respond(sigmoid, mean, math.sqrt(max(variance, 1e-12)))


def _squash(variance: float) -> Response:
    return respond(tanh, 0.0, math.sqrt(max(variance, 1e-12)))


def vanilla(weights: Weights, square: float, *, relu: bool) -> Recurrence:
    """h' = phi(W x + U h + b): a step back multiplies the squared gradient by H E u^2 E phi'^2.

    Source: Pascanu 2013 and, in mean field, Chen 2018.
    """
    state = 0.0
    response = respond(tanh, 0.0, 1.0)
    for _ in range(_SETTLED):
        variance = weights.entry * square + weights.step * state + weights.offset
        sigma = math.sqrt(max(variance, 1e-12))
        response = respond(leaky(0.0), 0.0, sigma) if relu else respond(tanh, 0.0, sigma)
        if abs(response.square - state) < 1e-4 * response.square:
            break
        state = min(response.square, 1e12)
    return Recurrence(
        bounded(response.square),
        weights.step * response.slope_square,
        weights.entry * response.slope_square,
    )


def gru(weights: Weights, square: float) -> Recurrence:
    """h' = (1 - z) n + z h (Cho 2014), all gates driven by one variance.

    A step back keeps E z^2 of the gradient directly, and H E u^2 times the slopes of the three
    gates.
    """
    state, result = 0.0, Recurrence(1.0, 0.0, 1.0)
    for _ in range(_SETTLED):
        variance = weights.entry * square + weights.step * state + weights.offset
        gate = _gate(variance)
        inner = weights.entry * square + weights.step * state * gate.square + weights.offset
        new = _squash(inner)
        stay, renew = gate.square, 1.0 - 2.0 * gate.mean + gate.square
        following = min(renew * new.square / max(1.0 - stay, 1e-6), 1.0)
        slope = renew * new.slope_square
        update = (new.square + state) * gate.slope_square
        reset = slope * weights.step * state * gate.slope_square
        radius = gate.mean + math.sqrt(weights.step * (slope * gate.square + update + reset))
        result = Recurrence(
            bounded(following), radius * radius, weights.entry * (slope + update + reset)
        )
        if abs(following - state) < 1e-4 * following:
            break
        state = following
    return result


def lstm(weights: Weights, square: float) -> Recurrence:
    """c' = f c + i g, h = o tanh(c) (Hochreiter 1997), the cell being what remembers.

    The map of one step of the cell is f plus a random matrix: out through o tanh(c), back in
    through the weights and gates. Its spectral radius is E f plus that matrix's (Girko 1985).
    """
    state = cell = 0.0
    forget = entry = out = _gate(0.0)
    new = squashed = _squash(1e-6)
    for _ in range(_SETTLED):
        variance = weights.entry * square + weights.step * state + weights.offset
        entry = out = _gate(variance)
        forget = _gate(variance, weights.forget_bias)
        new = _squash(variance)
        cell = min(entry.square * new.square / max(1.0 - forget.square, 1e-3), 1e4)
        squashed = _squash(cell)
        following = out.square * squashed.square
        if abs(following - state) < 1e-4 * following:
            break
        state = following
    through_cell = out.square * squashed.slope_square
    writes = (
        cell * forget.slope_square
        + new.square * entry.slope_square
        + entry.square * new.slope_square
    )
    reads = squashed.square * out.slope_square
    loop = math.sqrt(weights.step * (writes * through_cell + reads))
    radius = forget.mean + loop
    enter = weights.entry * (reads + writes * through_cell)
    return Recurrence(bounded(state), radius * radius, enter)


def recurrences(layer: Layer, parameters: tuple[Parameter, ...], square: float) -> list[Recurrence]:
    """Each layer of a recurrent module at rest, the first one fed with second moment `square`."""
    kind = layer.op.rpartition(".")[2].lower()
    relu = dict(layer.settings).get("nonlinearity") == "relu" or "relu" in kind
    found: list[Recurrence] = []
    for weights in weights_of(parameters):
        if "lstm" in kind:
            result = lstm(weights, square)
        elif "gru" in kind:
            result = gru(weights, square)
        else:
            result = vanilla(weights, square, relu=relu)
        found.append(result)
        square = result.square
    return found


def recurrent(call: Call) -> Step:
    """A fused RNN, GRU or LSTM over T steps.

    The gain sums over the steps back, (1 - s^T) / (1 - s).
    """
    before = call.first
    found = recurrences(call.layer, call.parameters, before.square)
    if not found:
        return Step(
            before._replace(shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
        )
    steps = max(_steps(call, before), 1)
    gain = 1.0
    for layer in found:
        gain *= layer.entry * geometric(layer.step, steps)
    square = found[-1].square
    after = before._replace(
        square=square,
        shared=0.5 * square * min(before.shared / before.square, 1.0),
        local=0.5 * square * min(before.local / before.square, 1.0),
        mean=0.0,
        shape=call.shape,
        spread=(),
        curve=None,
        sign=0,
        skew=0.0,
    )
    return Step(after, (Gain(bounded(gain)),) + (NOTHING,) * (len(call.operands) - 1))


def geometric(ratio: float, steps: int) -> float:
    """1 + s + … + s^(T-1), averaged over where in the sequence the gradient enters."""
    total, power, entered = 0.0, 1.0, 0.0
    for _ in range(min(steps, 400)):
        total += power
        entered += total
        power = min(power * ratio, 1e250)
    return entered / min(steps, 400)


def _steps(call: Call, before: Moments) -> int:
    if len(before.shape) < 3:
        return before.shape[0] if len(before.shape) == 2 else 1
    return before.shape[1] if call.layer.setting("batch_first", 0.0) else before.shape[0]


def cell(call: Call) -> Step:
    """One step of a cell: its state takes the place of the sequence."""
    before = call.first
    found = recurrences(call.layer, call.parameters, before.square)
    if not found:
        return Step(
            before._replace(shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
        )
    one = found[0]
    after = before._replace(
        square=one.square, mean=0.0, shape=call.shape, spread=(), curve=None, sign=0, skew=0.0
    )
    gains = (Gain(one.entry),) + (Gain(one.step),) * (len(call.operands) - 1)
    return Step(after, gains)
