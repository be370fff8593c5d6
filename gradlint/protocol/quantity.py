"""The names and units of everything that the probe can measure."""

from __future__ import annotations

from enum import Enum


class Quantity(str, Enum):
    """A measurable property of a live model; the value is its name in reports and its file name.

    How each is computed stands in `gradlint/worker/probing/quantities/`, one file for each member.
    """

    GRADIENT_DECADES = "gradient-decades"
    RECURRENT_DECAY = "recurrent-decay"
    GRADIENT_NORM = "gradient-norm"
    SATURATION = "saturation"
    DEAD_SHARE = "dead-share"
    LOGIT_SPREAD = "logit-spread"
    INPUT_CORRELATION = "input-correlation"
    WEAKEST_GRADIENT = "weakest-gradient"
    TRAINING_SPIKE = "training-spike"
    GRADIENT_RANK = "gradient-rank"
    TOKEN_CORRELATION = "token-correlation"
    GRADIENT_GAIN = "gradient-gain"
    NONLINEARITY = "nonlinearity"
    ZERO_SHARE = "zero-share"
    FORGET_GATE = "forget-gate"
    REPRESENTATION_SPREAD = "representation-spread"
    REACHED_SHARE = "reached-share"
    STRAY_SHARE = "stray-share"
    SIGNAL_GROWTH = "signal-growth"
    NORMALIZED_VALUES = "normalized-values"
    BIAS_GRADIENT = "bias-gradient"
    VARIANCE_SHIFT = "variance-shift"
    INTENSITY_RESPONSE = "intensity-response"
    GRADIENT_LOTTERY = "gradient-lottery"
    PASSED_GRADIENT = "passed-gradient"
    WRONG_GRADIENT = "wrong-gradient"
    OUTSIDE_DOMAIN = "outside-domain"
    STRESS_FAILURES = "stress-failures"
    OUTPUT_HIGHEST = "output-highest"
    OUTPUT_LOWEST = "output-lowest"
    HALF_UNDERFLOW = "half-underflow"
    HALF_OVERFLOW = "half-overflow"

    UNLEARNED_SHARE = "unlearned-share"
    UNLEARNED_START = "unlearned-start"
    TRAINED_DECAY = "trained-decay"

    @property
    def unit(self) -> str:
        """The unit that reports print behind the number."""
        return _UNITS[self]

    @property
    def module(self) -> str:
        """The name of the file in `worker/probing/quantities/` that measures this quantity."""
        return self.value.replace("-", "_")


_UNITS = {
    Quantity.UNLEARNED_SHARE: "share",
    Quantity.UNLEARNED_START: "share",
    Quantity.TRAINED_DECAY: "decade",
    Quantity.GRADIENT_DECADES: "decade",
    Quantity.RECURRENT_DECAY: "decade",
    Quantity.GRADIENT_NORM: "1",
    Quantity.SATURATION: "share",
    Quantity.DEAD_SHARE: "share",
    Quantity.LOGIT_SPREAD: "decade",
    Quantity.INPUT_CORRELATION: "1",
    Quantity.WEAKEST_GRADIENT: "decade",
    Quantity.TRAINING_SPIKE: "decade",
    Quantity.GRADIENT_RANK: "share",
    Quantity.TOKEN_CORRELATION: "1",
    Quantity.GRADIENT_GAIN: "decade",
    Quantity.NONLINEARITY: "share",
    Quantity.ZERO_SHARE: "share",
    Quantity.FORGET_GATE: "share",
    Quantity.REPRESENTATION_SPREAD: "decade",
    Quantity.REACHED_SHARE: "share",
    Quantity.STRAY_SHARE: "share",
    Quantity.SIGNAL_GROWTH: "decade",
    Quantity.NORMALIZED_VALUES: "1",
    Quantity.BIAS_GRADIENT: "decade",
    Quantity.VARIANCE_SHIFT: "decade",
    Quantity.INTENSITY_RESPONSE: "share",
    Quantity.GRADIENT_LOTTERY: "decade",
    Quantity.PASSED_GRADIENT: "decade",
    Quantity.WRONG_GRADIENT: "decade",
    Quantity.OUTSIDE_DOMAIN: "share",
    Quantity.STRESS_FAILURES: "share",
    Quantity.OUTPUT_HIGHEST: "1",
    Quantity.OUTPUT_LOWEST: "1",
    Quantity.HALF_UNDERFLOW: "share",
    Quantity.HALF_OVERFLOW: "share",
}
