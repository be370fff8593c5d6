"""Softmax and attention, fused and spelled out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gradlint.protocol.nodes import Parameter
from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments, bounded
from gradlint.theory.places import ALIKE, SCATTERED, Landing, Places, spread_by, together
from gradlint.theory.step import Call, Gain, Step


def concentration(count: float, variance: float) -> float:
    """E sum of squares of softmax weights over `count` logits of this variance.

    1 / effective number.

    exp(v) / N for small v (log-normal weights), 1 where one logit wins: 1 / (1 + (N - 1) exp(-v)).
    """
    return 1.0 / (1.0 + (count - 1.0) * math.exp(-min(variance, 700.0)))


def softmax(call: Call) -> Step:
    """Weights that sum to 1: q' = C / N, m' = 1 / N.

    Gain C (1 - C) / N, with C the concentration.
    """
    before = call.first
    count, variance = _axis(call, before)
    peak = concentration(count, variance)
    mean = 1.0 / count
    if call.name.startswith("log"):
        return _log_softmax(call, before, count, variance, peak)
    square = bounded(peak * mean)
    after = replace(
        before,
        square=square,
        shared=mean * mean + (square - mean * mean) * _likeness(before),
        local=mean * mean + (square - mean * mean) * _likeness(before),
        mean=mean,
        shape=call.shape,
        spread=(),
        curve=None,
    )
    return Step(
        after, (Gain(peak * (1.0 - peak) * mean),) + (Gain(0.0),) * (len(call.operands) - 1)
    )


def _log_softmax(call: Call, before: Moments, count: float, variance: float, peak: float) -> Step:
    level = math.log(count) + 0.5 * min(variance, 2.0 * math.log(max(count, 2.0)))
    after = replace(
        before,
        square=variance + level * level,
        shared=before.shared + level * level,
        local=before.local + level * level,
        mean=-level,
        shape=call.shape,
        curve=None,
    )
    return Step(after, (Gain(max(1.0 + peak - 2.0 / count, 0.0)),) * len(call.operands))


def log_sum_exp(call: Call) -> Step:
    """log sum exp over N logits: the gain is the concentration of the weights."""
    before = call.first
    count = before.elements / max(math.prod(call.shape), 1)
    variance = max(before.square - before.mean**2, 0.0)
    level = before.mean + math.log(max(count, 1.0)) + 0.5 * variance
    square = max(level * level, 1e-280)
    axes = before.axes[: len(call.shape)]
    after = replace(
        before,
        square=square,
        shared=square,
        local=square,
        mean=level,
        shape=call.shape,
        axes=axes,
        spread=(),
        curve=None,
    )
    return Step(after, (Gain(concentration(count, variance)),))


def _axis(call: Call, before: Moments) -> tuple[float, float]:
    """The number of logits that compete, and the variance between them."""
    rank = max(len(before.shape), 1)
    setting = call.layer.setting
    axis = int(setting("dim", setting("argument1", setting("axis", -1.0)))) % rank
    role = before.axes[axis] if axis < len(before.axes) else FEATURE
    count = float(max(before.shape[axis] if before.shape else 1, 1))
    common = before.mean**2 if role == FEATURE else before.local
    return count, max(before.square - common, 0.0)


def _likeness(before: Moments) -> float:
    return min(max((before.shared - before.mean**2) / before.variance, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What attention does: moments of the mixed values and the gains of query, key and value."""

    square: float
    local: float
    query: float
    key: float
    value: float


def attend(
    query: Moments, key: Moments, value: Moments, width: int, keys: float, scale: float
) -> Mixture:
    """softmax(Q K^T scale) V over `keys` places, with `width` features a head.

    The logits have variance d q_Q (q_K - p_K) scale^2, because what all keys share cancels. The
    values mix to p_V + (q_V - p_V) C. The gradient reaches V with gain C, and Q and K through the
    softmax.
    """
    spread = max(key.square - key.local, 0.0)
    peak = concentration(keys, width * query.square * spread * scale * scale)
    own = max(value.square - value.local, 0.0)
    logit_gain = width * value.square * peak * (1.0 - peak) / keys * scale * scale
    logit_gain *= own / value.square if value.square > 0.0 else 0.0
    return Mixture(
        square=bounded(value.local + own * peak),
        local=value.local + own * peak,
        query=logit_gain * keys * spread,
        key=logit_gain * keys * query.square,
        value=peak,
    )


def fused_attention(call: Call) -> Step:
    """`scaled_dot_product_attention`: see `attend`; a causal mask halves the keys on average."""
    if len(call.operands) < 3:
        return Step(
            replace(call.first, shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
        )
    query, key, value = (operand.moments for operand in call.operands[:3])
    query, key, value = (_heads(part) for part in (query, key, value))
    width = query.shape[-1]
    causal = bool(call.layer.setting("is_causal", 0.0))
    keys = _keys(key.shape[-2], causal=causal)
    mixed = attend(query, key, value, width, keys, call.layer.setting("scale", 0.0) or width**-0.5)
    after = replace(
        value,
        square=mixed.square,
        local=min(mixed.local, mixed.square),
        shared=min(value.shared, mixed.square),
        shape=call.shape,
        spread=(),
        curve=None,
    )
    lands = landings(query.shape[-2], key.shape[-2], mixed.value, causal=causal)
    gains = (
        Gain(gain, lands=way)
        for gain, way in zip((mixed.query, mixed.key, mixed.value), lands, strict=True)
    )
    return Step(after, (*gains, *(Gain(0.0),) * (len(call.operands) - 3)))


def landings(
    queries: int, keys: float, peak: float, *, causal: bool = False
) -> tuple[Landing, ...]:
    """How gradients land on query, key and value.

    Every value gets nearly the same sum over queries, so what is alike at all queries adds up: n^2
    / n for even weights. Under a causal mask value j gets sum_(i >= j) 1 / i, of which the mean
    square is 2 - H_n / n; and a token that is read out is the last one, which weighs all the same.
    """
    likeness = 1.0 / max(keys * peak, 1.0)
    value = spread_by(queries, likeness)
    if causal:
        alike = (2.0 - _harmonic(queries) / queries) / peak
        value = Landing((likeness, ALIKE), (alike, ALIKE), value.rest)
    return Landing(), SCATTERED, value


def _harmonic(count: int) -> float:
    return sum(1.0 / (place + 1) for place in range(count))


def _heads(part: Moments) -> Moments:
    axes = (BATCH + FEATURE * max(len(part.shape) - 3, 0) + POSITION + FEATURE)[-len(part.shape) :]
    return replace(part, axes=axes, curve=None)


def _keys(count: int, *, causal: bool) -> float:
    """Mean number of keys that a query sees.

    N, or the harmonic mean N / H_N under a causal mask.
    """
    if not causal:
        return float(count)
    return count / _harmonic(count)


def multi_head_attention(call: Call) -> Step:
    """`nn.MultiheadAttention`: projections, attention and the output projection in one."""
    weights = {p.id.rpartition(".")[2]: p for p in call.parameters}
    joint, out = weights.get("in_proj_weight"), _output_weight(call)
    if out is None or not call.operands:
        return Step(
            replace(call.first, shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
        )
    sources = [operand.moments for operand in call.operands]
    query, key, value = sources[0], sources[min(1, len(sources) - 1)], sources[-1]
    embed = out.shape[1]
    gains_in = [
        weight.mean_square * weight.shape[1] if weight else 1.0
        for weight in (
            (joint, joint, joint)
            if joint
            else tuple(weights.get(f"{n}_proj_weight") for n in "qkv")
        )
    ]
    q, k, v = (part.scaled(gain) for part, gain in zip((query, key, value), gains_in, strict=True))
    heads = max(int(call.layer.setting("num_heads", 1.0)), 1)
    width = embed // heads
    keys = float(max(key.count(POSITION), 1))
    mixed = attend(q, k, v, width, keys, width**-0.5)
    last = out.mean_square * embed
    after = replace(
        value,
        square=bounded(mixed.square * last),
        local=mixed.local * last,
        shared=min(v.shared, mixed.square) * last,
        mean=0.0,
        shape=call.shape,
        spread=(),
        curve=None,
    )
    ways = (
        mixed.query * gains_in[0] * last,
        mixed.key * gains_in[1] * last,
        mixed.value * gains_in[2] * last,
    )
    queries = max(query.count(POSITION), 1)
    return Step(after, _shared_ways(ways, landings(queries, keys, mixed.value), len(call.operands)))


def _output_weight(call: Call) -> Parameter | None:
    for parameter in call.parameters:
        if parameter.id.endswith("out_proj.weight"):
            return parameter
    return None


def _shared_ways(
    ways: tuple[float, ...], lands: tuple[Landing, ...], operands: int
) -> tuple[Gain, ...]:
    groups = {1: ((0, 1, 2),), 2: ((0,), (1, 2))}.get(operands, ((0,), (1,), (2,)))
    gains = (_joint([(ways[one], lands[one]) for one in group]) for group in groups)
    return (*gains, *(Gain(0.0),) * (operands - 3))


def _joint(parts: list[tuple[float, Landing]]) -> Gain:
    """Several ways to one tensor."""
    total = sum(gain for gain, _ in parts)
    if total <= 0.0:
        return Gain(total)

    def joined(ways: list[tuple[float, Places]]) -> tuple[float, Places]:
        return together(
            (gain / total * share, places)
            for (gain, _), (share, places) in zip(parts, ways, strict=True)
        )

    landing = Landing(
        joined([lands.one for _, lands in parts]),
        joined([lands.alike for _, lands in parts]),
        joined([lands.rest for _, lands in parts]),
    )
    return Gain(total, lands=landing)
