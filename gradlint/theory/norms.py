"""Normalisation: which elements share a mean and a variance, and what division by them does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from gradlint.theory.moments import FEATURE, POSITION, Moments
from gradlint.theory.places import ALIKE, ONE, Landing
from gradlint.theory.step import Call, Gain, Step


class Group(NamedTuple):
    """The elements that share statistics: how many inputs, features and positions."""

    batch: int
    features: int
    positions: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return max(self.batch * self.features * self.positions, 1)

    def common(self, before: Moments) -> float:
        """E of the square of the group's mean.

        The average second moment over pairs of its elements.

        A pair is one element twice (q), two positions of one feature (p), the same feature of two
        inputs (r), the smaller of both for two positions of two inputs, or two features (m^2).
        """
        places = self.positions
        apart = min(before.shared, before.local)
        same = before.square + (places - 1) * before.local
        same += (self.batch - 1) * (before.shared + (places - 1) * apart)
        other = (self.features - 1) * self.batch * places * before.mean**2
        return (same + other) / self.size

    def removed(self, before: Moments) -> tuple[float, float]:
        """What subtracting the mean takes from `shared` and from `local`.

        E of the square of the mean where two elements have the same one, else of the product of the
        means of two inputs, or of two places: of one of its features, m^2 of two.
        """
        common = self.common(before)
        if self.batch > 1:
            return common, common
        inputs, places = (
            before.mean**2 + (part - before.mean**2) / self.features
            for part in (before.shared, before.local)
        )
        return inputs, common if self.positions > 1 else places

    def degrees(self, before: Moments) -> float:
        """Effective number of independent elements: positions of one input may be nearly one."""
        own = before.square - before.shared
        if own <= 0.0:
            return float(self.size)
        likeness = min(max((before.local - before.shared) / own, 0.0), 1.0)
        positions = self.positions / (1.0 + (self.positions - 1) * likeness)
        return max(self.batch * self.features * positions, 1.0)


def normalise(call: Call, before: Moments, group: Group, *, centre: bool) -> Step:
    """(z - mean) / sqrt(variance + eps) over `group`, then the affine map.

    q' = E gamma^2 (q - M) / V + E beta^2, with M the second moment of the group's mean and V = q -
    M (or q where nothing is subtracted). The gain is E gamma^2 / V (1 - 2/N) N / (N - 3) for N
    independent elements: the gradient loses the directions of the mean and of z itself (Yang 2019),
    and the mean of 1 / V exceeds 1 over the mean.
    """
    common = group.common(before) if centre else 0.0
    variance = max(before.square - common, 0.0) + _epsilon(call)
    scale, offset = _affine(call)
    inputs, places = group.removed(before) if centre else (0.0, 0.0)
    after = Moments(
        max(scale * (before.square - common) / variance + offset, 1e-280),
        scale * (before.shared - inputs) / variance + offset,
        scale * (before.local - places) / variance + offset,
        0.0 if centre else before.mean * math.sqrt(scale / variance),
        call.shape,
        before.axes,
        before.spread if group.positions > 1 else (),
    )
    count = group.degrees(before)
    factor = scale / variance * _finite(count, centre=centre)
    noise = 2.0 / count if group.batch == 1 else 0.0
    lands = None
    if centre and group.batch == 1 and group.positions > 1:
        lands = Landing(alike=(1.0 - 1.0 / group.features, ALIKE))
    if before.single is not None and group.batch == group.positions == 1:
        lands = Landing(one=(variance / (before.single + _epsilon(call)), ONE))
    factors = _of_parts(before, group, scale, _epsilon(call)) if group.features == 1 else ()
    portions: tuple[float, ...] = ()
    if factors:
        mean = sum(factors)
        factor, portions = factor * mean * variance / scale, tuple(one / mean for one in factors)
    gain = Gain(factor, along=0.0, noise=noise, lands=lands, portions=portions)
    return Step(after, (gain,))


def _of_parts(before: Moments, group: Group, scale: float, epsilon: float) -> tuple[float, ...]:
    """The gains of features that were joined from several tensors, times their shares.

    Each feature is divided by its own variance, so those of small ones get more of the gradient.
    """
    elements = max(before.elements, 1)
    return tuple(
        part.elements / elements * scale / (max(part.square - group.common(part), 0.0) + epsilon)
        for part in before.parts
    )


def _finite(count: float, *, centre: bool) -> float:
    if count <= 4.0:
        return 1.0
    return (count - 2.0) / (count - 3.0) if centre else (count - 1.0) / (count - 2.0)


def _epsilon(call: Call) -> float:
    value = call.layer.setting("eps", 1e-5)
    return value if 0.0 < value < 1.0 else 1e-5


def _affine(call: Call) -> tuple[float, float]:
    """The mean squares of scale and offset, of which the scale may be computed from parameters."""
    scale, offset = 1.0, 0.0
    for operand in call.operands[1:2]:
        scale = operand.moments.square if operand.constant else 1.0
    for parameter in reversed(call.parameters):
        if "bias" in parameter.id.rpartition(".")[2]:
            offset = parameter.mean_square
        else:
            scale = parameter.mean_square
    return (1.0 if math.isnan(scale) else scale), (0.0 if math.isnan(offset) else offset)


def batch_norm(call: Call) -> Step:
    """Over inputs and positions of one feature (Ioffe & Szegedy 2015)."""
    before = call.first.with_channels()
    batch = before.shape[0] if before.shape else 1
    positions = math.prod(before.shape[2:])
    return normalise(call, before, Group(batch, 1, positions), centre=True)


def instance_norm(call: Call) -> Step:
    """Over the positions of one feature of one input (Ulyanov 2016)."""
    before = call.first.with_channels()
    return normalise(call, before, Group(1, 1, math.prod(before.shape[2:])), centre=True)


def group_norm(call: Call) -> Step:
    """Over positions and a group of features of one input (Wu & He 2018)."""
    before = call.first.with_channels()
    channels = before.shape[1] if len(before.shape) > 1 else 1
    groups = call.layer.setting("num_groups", call.layer.setting("argument1", 1.0))
    features = max(round(channels / max(groups, 1.0)), 1)
    return normalise(call, before, Group(1, features, math.prod(before.shape[2:])), centre=True)


def layer_norm(call: Call) -> Step:
    """Over the features of one position (Ba 2016).

    Or over as many trailing axes as the weight has.
    """
    before = call.first
    rank = max((len(p.shape) for p in call.parameters), default=1)
    return normalise(call, _features_last(before, rank), _trailing(before, rank), centre=True)


def rms_norm(call: Call) -> Step:
    """z / sqrt(mean z^2) over the features of one position (Zhang & Sennrich 2019)."""
    before = call.first
    return normalise(call, _features_last(before, 1), _trailing(before, 1), centre=False)


def unit_norm(call: Call) -> Step:
    """z / |z| over the features: q' = 1 / n, gain (1 - 1/n) / (n q)."""
    before = call.first
    count = max(before.extent(FEATURE), 1)
    scale = 1.0 / (count * before.square)
    after = before._replace(
        square=1.0 / count,
        shared=before.shared * scale,
        local=before.local * scale,
        mean=before.mean * math.sqrt(scale),
        shape=call.shape,
        curve=None,
    )
    return Step(after, (Gain(scale * (1.0 - 1.0 / count)),) * len(call.operands))


def local_response_norm(call: Call) -> Step:
    """z / (k + alpha mean z^2)^beta over neighbouring features (Krizhevsky 2012)."""
    setting, before = call.layer.setting, call.first
    divisor = setting("k", 1.0) + setting("alpha", 1e-4) * before.square
    factor = divisor ** (-2.0 * setting("beta", 0.75))
    after = before._replace(
        square=before.square * factor,
        shared=before.shared * factor,
        local=before.local * factor,
        mean=before.mean * math.sqrt(factor),
        curve=None,
    )
    return Step(after, (Gain(factor),))


def _features_last(before: Moments, rank: int) -> Moments:
    if rank > 1 or before.axes.endswith(FEATURE):
        return before
    return before._replace(axes=before.axes[:-1].replace(FEATURE, POSITION) + FEATURE)


def _trailing(before: Moments, rank: int) -> Group:
    pairs = list(zip(before.shape, before.axes, strict=False))[-rank:]
    if rank == 1:
        return Group(1, before.shape[-1] if before.shape else 1, 1)
    features = math.prod(size for size, role in pairs if role == FEATURE)
    return Group(1, features, math.prod(size for size, role in pairs if role == POSITION))


NORMS: dict[str, Callable[[Call], Step]] = {
    "batchnorm1d": batch_norm,
    "batchnorm2d": batch_norm,
    "batchnorm3d": batch_norm,
    "syncbatchnorm": batch_norm,
    "batch_norm": batch_norm,
    "instancenorm1d": instance_norm,
    "instancenorm2d": instance_norm,
    "instancenorm3d": instance_norm,
    "instance_norm": instance_norm,
    "groupnorm": group_norm,
    "group_norm": group_norm,
    "layernorm": layer_norm,
    "layer_norm": layer_norm,
    "rmsnorm": rms_norm,
    "rms_norm": rms_norm,
    "normalize": unit_norm,
    "localresponsenorm": local_response_norm,
    "local_response_norm": local_response_norm,
}
