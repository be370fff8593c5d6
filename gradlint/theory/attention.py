"""Softmax and attention, fused and spelled out."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from gradlint.protocol.nodes import Parameter
from gradlint.theory.moments import BATCH, FEATURE, POSITION, Moments, bounded
from gradlint.theory.places import ALIKE, SCATTERED, Landing, Places, spread_by, together
from gradlint.theory.step import NOTHING, Call, Gain, Step

_NORMAL = NormalDist()


class Competition(NamedTuple):
    """What softmax makes of N Gaussian logits.

    `peak` is C = E sum p^2, one over the number of those that count. `slope` is E |J|^2, the sum of
    the squares of the Jacobian p_i (1[i = j] - p_j).
    """

    peak: float
    slope: float


@lru_cache(maxsize=1024)
def competition(count: float, variance: float) -> Competition:
    """Softmax over `count` independent logits N(0, s^2): C = 1 - F'(s) / s for F = E log sum exp.

    By partial integration, E sum p x = s^2 (1 - C). F' is (1 - 1/N) s while all take part and
    m = E max of N standard normals where the largest wins, as energies freeze (Derrida 1981), so
    that ties keep an attention from closing: 1 - C falls as 1 / s. In between F' is their power
    mean of order -(3/2 + log2(N) / 4). |J|^2 is C (1 - C) for many, a third of it for few (Ruelle
    1987). Measured on N from 2 to 1024 and s from .3 to 32: C and |J|^2 within
    14 % up to N = 256, within 40 % beyond.
    """
    deviation = math.sqrt(max(variance, 0.0))
    if count <= 1.0 or deviation < 1e-9:
        peak = 1.0 / max(count, 1.0)
        return Competition(peak, peak * (1.0 - peak))
    every, octaves = (1.0 - 1.0 / count) * deviation, math.log2(count)
    largest = _NORMAL.inv_cdf((count - 0.375) / (count + 0.25))  # Blom 1958
    order = 1.5 + 0.25 * octaves
    peak = 1.0 - every / deviation * (1.0 + (every / largest) ** order) ** (-1.0 / order)
    frozen = (deviation / (0.7 + 0.165 * octaves)) ** 2.5
    return Competition(peak, peak * (1.0 - peak) * (1.0 + 2.0 / (1.0 + frozen)) / 3.0)


@lru_cache(maxsize=1024)
def competition_of_earlier(count: float, variance: float) -> Competition:
    """Under a causal mask: the mean over queries, of which the i-th sees i keys."""
    peak = slope = 0.0
    first = 1
    while first <= count:  # in runs of queries, because many that see nearly as much are alike
        last = min(first + first // 8, int(count))
        among, share = competition(math.sqrt(first * last), variance), (last - first + 1) / count
        peak, slope = peak + share * among.peak, slope + share * among.slope
        first = last + 1
    return Competition(peak, slope)


def softmax(call: Call) -> Step:
    """Weights that sum to 1: q' = C / N, m' = 1 / N, gain |J|^2 / N. See `competition`.

    Two rows under a causal mask have in common what the shorter one sees.
    """
    before = call.first
    count, variance = _axis(call, before)
    causal = is_causal(before.visible, int(count))
    seen = count if causal else max(count * before.visible, 1.0)
    among = (competition_of_earlier if causal else competition)(seen, variance)
    peak, mean = among.peak, 1.0 / count
    if call.name.startswith("log"):
        return _log_softmax(call, before, count, variance, peak)
    square = bounded(peak * mean)
    common = mean * mean * (in_common(count) if causal else 1.0)
    after = before._replace(
        square=square,
        shared=mean * mean + (square - mean * mean) * before.correlation,
        local=common + max(square - common, 0.0) * before.local_correlation,
        mean=mean,
        shape=call.shape,
        spread=(),
        curve=None,
        skew=0.0,
        visible=1.0,
        alike=0.0,
        sign=1,
    )
    gain = Gain(among.slope * mean, along=0.0)
    return Step(after, (gain,) + (NOTHING,) * (len(call.operands) - 1))


def _log_softmax(call: Call, before: Moments, count: float, variance: float, peak: float) -> Step:
    """y = x - log sum exp x: J^T g = g - p sum g, so |J|^2 / N = 1 - 2 / N + E sum p^2.

    The signal lies along (1, …, 1), of which J^T leaves 1 - N p, nothing where all p are alike.
    """
    level = math.log(count) + 0.5 * min(variance, 2.0 * math.log(max(count, 2.0)))
    after = before._replace(
        square=variance + level * level,
        shared=before.shared + level * level,
        local=before.local + level * level,
        mean=-level,
        shape=call.shape,
        curve=None,
        sign=-1,
    )
    rest = (1.0 + peak - 2.0 / count) / max(1.0 - 1.0 / count, 0.5)
    return Step(after, (Gain(max(rest, 0.0), along=0.0),) * len(call.operands))


def log_sum_exp(call: Call) -> Step:
    """log sum exp over N logits: the gain is the concentration of the weights."""
    before = call.first
    count = before.elements / max(math.prod(call.shape), 1)
    variance = max(before.square - before.mean**2, 0.0)
    level = before.mean + math.log(max(count, 1.0)) + 0.5 * variance
    square = max(level * level, 1e-280)
    axes = before.axes[: len(call.shape)]
    after = before._replace(
        square=square,
        shared=square,
        local=square,
        mean=level,
        shape=call.shape,
        axes=axes,
        spread=(),
        curve=None,
        sign=0,
        skew=0.0,
    )
    return Step(after, (Gain(competition(count, variance).peak),))


def _axis(call: Call, before: Moments) -> tuple[float, float]:
    """The number of logits that compete, and the variance between them."""
    rank = max(len(before.shape), 1)
    setting = call.layer.setting
    axis = int(setting("dim", setting("argument1", setting("axis", -1.0)))) % rank
    role = before.axes[axis] if axis < len(before.axes) else FEATURE
    count = float(max(before.shape[axis] if before.shape else 1, 1))
    common = before.local
    if role == FEATURE:
        common = before.mean**2 + before.alike * before.variance
    return count, max(before.square - common, 0.0)


class Mixture(NamedTuple):
    """What attention does: moments of the mixed values and the gains of query, key and value.

    `likeness` is E[A_ij A_i'j] / E A_ij^2 of the weights that two queries give to one key.
    """

    square: float
    local: float
    query: float
    key: float
    value: float
    likeness: float


def attend(
    query: Moments,
    key: Moments,
    value: Moments,
    *,
    width: int,
    keys: float,
    scale: float,
    causal: bool = False,
) -> Mixture:
    """softmax(Q K^T scale) V over `keys` places, with `width` features a head.

    The logits have variance d q_Q (q_K - p_K) scale^2, because what all keys share cancels. The
    values mix to p_V + (q_V - p_V) C. Two queries of correlation c weigh alike to (N C)^(c - 1), 1
    for one query and 1 / (N C) for independent ones. The gradient reaches V with gain C, and Q and
    K through the softmax.
    """
    spread = max(key.square - key.local, 0.0)
    variance = float(f"{width * query.square * spread * scale * scale:.4g}")
    among = (competition_of_earlier if causal else competition)(keys, variance)
    seen, peak = keys / _harmonic(keys) if causal else keys, among.peak
    own = max(value.square - value.local, 0.0)
    slope = width * own * among.slope * scale * scale
    likeness = max(seen * peak, 1.0) ** (query.local_correlation - 1.0)
    if causal:
        likeness *= in_common(keys) / _harmonic(keys)
    return Mixture(
        square=bounded(value.local + own * peak),
        local=value.local + own * peak * likeness,
        query=slope * spread,
        key=slope * query.square,
        value=peak,
        likeness=likeness,
    )


def fused_attention(call: Call) -> Step:
    """`scaled_dot_product_attention`: see `attend`; a causal mask halves the keys on average."""
    if len(call.operands) < 3:
        return Step(
            call.first._replace(shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
        )
    query, key, value = (operand.moments for operand in call.operands[:3])
    query, key, value = (_heads(part) for part in (query, key, value))
    packed = _is_packed(call.first)
    width, keys = query.shape[-1], key.shape[-2]
    visible = _visible(call)
    causal = bool(call.layer.setting("is_causal", 0.0)) or is_causal(visible, keys)
    scale = call.layer.setting("scale", 0.0) or width**-0.5
    seen = float(keys) if causal else max(visible * keys, 1.0)
    mixed = attend(query, key, value, width=width, keys=seen, scale=scale, causal=causal)
    after = value._replace(
        square=mixed.square,
        local=min(mixed.local, mixed.square),
        shared=min(mixed.local if packed else value.shared, mixed.square),
        shape=call.shape,
        spread=(),
        curve=None,
        skew=0.0,
    )
    lands = landings(query.shape[-2], keys, mixed, causal=causal)
    gains = (
        Gain(mixed.query, along=0.0, lands=lands[0]),
        Gain(mixed.key, along=0.0, lands=lands[1]),
        Gain(mixed.value, lands=lands[2]),  # of which alone the result is a linear function
    )
    return Step(after, gains + (NOTHING,) * (len(call.operands) - 3))


def _visible(call: Call) -> float:
    """The share of the keys that a mask lets queries see: by truth, or by very negative numbers."""
    setting = call.layer.setting
    mean = setting("attn_mask.mean", setting("argument3.mean", 1.0))
    if mean < 0.0:
        return 1.0 - mean**2 / setting("attn_mask.square", setting("argument3.square", math.inf))
    return mean if 0.0 < mean < 1.0 else 1.0


def is_causal(visible: float, keys: int) -> bool:
    """Whether so large a share of the keys is seen as where each query sees what came before it."""
    return keys > 1 and abs(visible - 0.5 * (keys + 1) / keys) < 1e-6


def landings(
    queries: int, keys: float, mixed: Mixture, *, causal: bool = False
) -> tuple[Landing, ...]:
    """How gradients land on query, key and value.

    Under a causal mask a token that is read out is the last one, which weighs all the same.
    """
    value = spread_by(queries, keys, mixed.value, mixed.likeness)
    if causal:
        value = Landing((1.0 / max(keys * mixed.value, 1.0), ALIKE), value.alike, value.rest)
    return Landing(), SCATTERED, value


def in_common(count: float) -> float:
    """N sum_j A_ij A_i'j of two rows under a causal mask of even weights: N E 1 / max(i, i')."""
    return 2.0 - _harmonic(count) / count


def _harmonic(count: float) -> float:
    return sum(1.0 / (place + 1) for place in range(int(count)))


def _heads(part: Moments) -> Moments:
    """Heads as features and tokens as positions, which a packed batch has instead of inputs."""
    axes = (BATCH + FEATURE * max(len(part.shape) - 3, 0) + POSITION + FEATURE)[-len(part.shape) :]
    local = part.shared if _is_packed(part) else part.local
    return part._replace(axes=axes, local=local, curve=None)


def _is_packed(part: Moments) -> bool:
    return part.axes[-2:-1] == BATCH


def multi_head_attention(call: Call) -> Step:
    """`nn.MultiheadAttention`: projections, attention and the output projection in one."""
    weights = {p.id.rpartition(".")[2]: p for p in call.parameters}
    joint, out = weights.get("in_proj_weight"), _output_weight(call)
    if out is None or not call.operands:
        return Step(
            call.first._replace(shape=call.shape, curve=None), (Gain(1.0),) * len(call.operands)
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
    keys = float(max(key.extent(POSITION), 1))
    mixed = attend(q, k, v, width=width, keys=keys, scale=width**-0.5)
    last = out.mean_square * embed
    after = value._replace(
        square=bounded(mixed.square * last),
        local=mixed.local * last,
        shared=min(v.shared, mixed.square) * last,
        mean=0.0,
        shape=call.shape,
        spread=(),
        curve=None,
        sign=0,
        skew=0.0,
    )
    ways = (
        mixed.query * gains_in[0] * last,
        mixed.key * gains_in[1] * last,
        mixed.value * gains_in[2] * last,
    )
    queries = max(query.extent(POSITION), 1)
    return Step(after, _shared_ways(ways, landings(queries, keys, mixed), len(call.operands)))


def _output_weight(call: Call) -> Parameter | None:
    for parameter in call.parameters:
        if parameter.id.endswith("out_proj.weight"):
            return parameter
    return None


def _shared_ways(
    ways: tuple[float, ...], lands: tuple[Landing, ...], operands: int
) -> tuple[Gain, ...]:
    groups = {1: ((0, 1, 2),), 2: ((0,), (1, 2))}.get(operands, ((0,), (1,), (2,)))
    gains = [_joint([(ways[one], lands[one]) for one in group]) for group in groups]
    gains[:-1] = [gain._replace(along=0.0) for gain in gains[:-1]]  # the last one has the values
    return (*gains, *(NOTHING,) * (operands - 3))


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
