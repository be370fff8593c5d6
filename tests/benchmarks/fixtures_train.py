"""Whether the sick fixtures are sick and the healthy ones healthy, found by training them.

Run as `python -m tests.benchmarks.fixtures_train [NAME…]`. Each program runs as its users would
run it, in a process of its own with one thread, and prints its final loss and accuracy. A sick one
must end no better than a guess, a healthy one must have learned; the exit status is 1 if any does
otherwise.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures"
LIMIT = 300  # seconds for one program, because a machine may be shared

NEEDS = {"lightning_classifier": "lightning"}


@dataclass(frozen=True, slots=True)
class Guess:
    """What a model that learned nothing reaches; `accuracy` is None where the task is no choice."""

    loss: float
    accuracy: float | None = None

    @classmethod
    def of(cls, classes: int) -> Guess:
        """A guess among as many equally frequent classes."""
        return cls(math.log(classes), 1 / classes)


GUESSES = {
    "applied_weights": Guess.of(6),
    "balance": Guess(2.0),  # the variance of the target
    "cached_features": Guess.of(2),
    "chaotic_rnn": Guess.of(4),
    "char_rnn": Guess(math.inf, 1 / 4),  # the accuracy is that of the closing letter alone
    "churn": Guess.of(2),
    "cliff_agent": Guess(1.085, 0.39),  # the entropy and the share of the most frequent pedal
    "cnn_large_weights": Guess.of(4),
    "cnn_shapes": Guess.of(4),
    "constant_weights": Guess.of(2),
    "deep_mlp_small_weights": Guess.of(4),
    "deep_plain_cnn": Guess.of(4),
    "deep_tagger": Guess.of(5),
    "default_init_mlp": Guess.of(5),
    "glyphs": Guess.of(60),
    "leaks": Guess(0.325),  # the entropy of one leak in ten
    "lightning_classifier": Guess.of(3),
    "listed_layers": Guess.of(2),
    "mlp_digits": Guess.of(10),
    "no_grad_encoder": Guess.of(2),
    "odometer_rnn": Guess(1.0),  # the variance of the target
    "rents": Guess(9.7),  # the variance of the target
    "residual_mlp": Guess.of(5),
    "ring_script": Guess.of(2),
    "rnn_cell_loop": Guess.of(2),
    "sensor_rnn": Guess.of(4),
    "spam_filter": Guess.of(2),
    "sparse_cnn": Guess.of(4),
    "spectra": Guess.of(6),
    "standard_normal": Guess(math.log(6)),  # judged by its loss, which is that of a guess
    "straight_lines": Guess.of(2),
    "text_rnn_sgd": Guess.of(20),
    "tiny_gpt": Guess.of(8),
    "xavier_tower": Guess.of(4),
    "zero_weights": Guess.of(2),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a training run ended; the loss is NaN where it diverged."""

    loss: float
    accuracy: float | None
    seconds: float

    def learned(self, guess: Guess) -> bool:
        """At least half of the way from a guess to perfection, by accuracy or else by loss."""
        if not math.isfinite(self.loss):
            return False
        if self.accuracy is None or guess.accuracy is None:
            return self.loss < guess.loss / 2
        return self.accuracy > (1 + guess.accuracy) / 2

    def failed(self, guess: Guess) -> bool:
        """At most a tenth of that way."""
        if not math.isfinite(self.loss):
            return True
        if self.accuracy is None or guess.accuracy is None:
            return self.loss > 0.9 * guess.loss
        return self.accuracy < guess.accuracy + 0.1 * (1 - guess.accuracy)


def train(program: Path) -> Outcome:
    """Run the program.

    Raises:
        RuntimeError: it failed, or did not print its loss.
    """
    start = time.perf_counter()
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, program.name],
        cwd=program.parent,
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    values = dict(re.findall(r"^(loss|accuracy) ([-\w.]+)$", done.stdout, re.MULTILINE))
    if done.returncode or "loss" not in values:
        raise RuntimeError(f"{program} ended with status {done.returncode}:\n{done.stderr[-800:]}")
    accuracy = float(values["accuracy"]) if "accuracy" in values else None
    return Outcome(float(values["loss"]), accuracy, time.perf_counter() - start)


def compare(name: str) -> bool:
    """Train both versions, print a line for each, and say whether both ended as they must."""
    missing = NEEDS.get(name)
    if missing and importlib.util.find_spec(missing) is None:
        print(f"{name:24} not trained: it needs {missing}, which is not installed")
        return True
    guess, right = GUESSES[name], True
    for kind, must in (("sick", Outcome.failed), ("healthy", Outcome.learned)):
        outcome = train(FIXTURES / name / f"{kind}.py")
        as_named = must(outcome, guess)
        right &= as_named
        accuracy = "" if outcome.accuracy is None else f"{outcome.accuracy:8.3f}"
        verdict = "" if as_named else "  NOT AS ITS NAME SAYS"
        print(
            f"{name:24} {kind:8} {outcome.loss:12.4g} {accuracy:8}"
            f" {outcome.seconds:7.1f} s{verdict}",
            flush=True,
        )
    return right


def main(names: Sequence[str]) -> int:
    """Train the named fixtures, or all, and return the exit status."""
    start = time.perf_counter()
    print(f"{'program':24} {'version':8} {'loss':>12} {'accuracy':>8} {'time':>7}")
    wrong = [name for name in names or sorted(GUESSES) if not compare(name)]
    print(f"{time.perf_counter() - start:.0f} s; not as named: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
