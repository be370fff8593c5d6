"""Whether what is flagged fails to train: verdicts of the command line beside real training runs.

Run as `python -m tests.benchmarks.training_failure tuning` or `… held-out`; it writes the programs
of that half to a folder, lints the folder with the command line, and prints how findings at `error`
compare with the labels. `… label` trains what has no label yet, one process with one thread; the
labels are kept beside this file. Programs of even seeds are for tuning, those of odd ones held out.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import time
from pathlib import Path
from types import ModuleType

from tests.benchmarks.programs import design, program

LABELS = Path(__file__).with_suffix(".csv")
PROGRAMS = 640
FAILS, LEARNS = 0.2, 0.7  # shares of what there is to learn


def trained(seed: int) -> float:
    """The score that the program of a seed reaches, trained from that same random seed."""
    import torch

    module = ModuleType("program")
    exec(compile(program(design(seed)), f"program {seed}", "exec"), vars(module))
    torch.manual_seed(seed)
    score = float(module.score(module.train()))
    return score if math.isfinite(score) else 0.0


def label() -> None:
    """Train every program that has no label yet, in the order of seeds."""
    import torch

    torch.set_num_threads(1)
    known = labels() if LABELS.exists() else {}
    with LABELS.open("a") as file:
        for seed in range(PROGRAMS):
            if seed not in known:
                start = time.perf_counter()
                file.write(f"{seed},{trained(seed):.3f}\n")
                file.flush()
                print(seed, f"{time.perf_counter() - start:.1f} s", file=sys.stderr)


def labels() -> dict[int, float]:
    """The scores by seed."""
    with LABELS.open() as file:
        return {int(seed): float(score) for seed, score in csv.reader(file)}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("label", "tuning", "held-out"))
    options = parser.parse_args()
    if options.what == "label":
        label()


if __name__ == "__main__":
    main()
