"""What linting one file costs beside a bare script that does the least with the same model.

Run as `python -m tests.benchmarks.cost [--runs N] [--json FILE]`. The bare script imports torch,
imports the file, builds the model and runs one forward and one backward pass with the inputs that
gradlint used. Both are whole processes, timed in turn on the wall, medians of N. The exit status is
1 where a ratio is above 2, where a file without a model takes 0.3 s or more, or where torch is
imported for it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.command import ROOT, lint

MOST = 2.0  # times the bare script
MOST_WITHOUT_MODEL = 0.3  # seconds

FILES = {
    "MLP, healthy": "fixtures/mlp_digits/healthy.py",
    "MLP, sick": "fixtures/mlp_digits/sick.py",
    "CNN, healthy": "fixtures/cnn_shapes/healthy.py",
    "CNN, sick": "fixtures/cnn_shapes/sick.py",
    "ResNet-18, 8 of 224x224": "tests/benchmarks/resnet.py",
}

WITHOUT_MODEL = '''\
"""Helpers for paths."""

from pathlib import Path


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))
'''

BARE = """\
import importlib.util
import torch

spec = importlib.util.spec_from_file_location("linted", {path!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
model = module.{constructor}
output = model({inputs})
output.sum().backward()
"""

LINT = "from gradlint.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the wall, medians; `ratio` is linting over the bare script."""

    name: str
    inputs: str
    bare: float
    linting: float

    @property
    def ratio(self) -> float:
        return self.linting / self.bare


def measure(name: str, path: str, runs: int) -> Cost:
    """Time linting and the bare script in turn.

    Raises:
        RuntimeError: gradlint could not probe the file's only root model.
    """
    models = [model for model in lint([path]).report["models"] if model["inputs"]]
    if len(models) != 1 or models[0]["status"] != "probed":
        raise RuntimeError(f"{path}: expected one probed model, got {models}")
    shown = models[0]["inputs"]
    assert isinstance(shown, list)
    inputs = ", ".join(map(_tensor, shown))
    constructor = f"{models[0]['name']}()"
    bare = BARE.format(path=str(ROOT / path), constructor=constructor, inputs=inputs)
    pairs = [(_timed(["-c", bare]), _linting(path)) for _ in range(runs)]
    return Cost(
        name,
        " ".join(shown),
        statistics.median(first for first, _ in pairs),
        statistics.median(second for _, second in pairs),
    )


def without_model(runs: int) -> float:
    """Seconds, median, for a file with neither model nor loop.

    Raises:
        RuntimeError: torch was imported, in gradlint's process or in a worker.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "helpers.py")
        file.write_text(WITHOUT_MODEL)
        if lint([str(file)]).report["torch"] or "torch" in _modules_after_linting(file):
            raise RuntimeError("torch was imported for a file without a model")
        return statistics.median(_linting(str(file)) for _ in range(runs))


def _tensor(shown: str) -> str:
    """`float32[8,3]` as an expression."""
    kind, _, sizes = shown.rstrip("]").partition("[")
    if not sizes:
        return shown
    shape = f"({sizes},)"
    return f"torch.randn{shape}" if "float" in kind else f"torch.zeros({shape}, dtype=torch.{kind})"


def _linting(path: str) -> float:
    return _timed(["-c", LINT, "--isolated", "--python", sys.executable, path])


def _timed(arguments: Sequence[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise RuntimeError(f"{arguments} ended with {done.returncode}: {done.stderr[-600:]}")
    return seconds


def _modules_after_linting(file: Path) -> set[str]:
    code = (
        "import sys; from gradlint.cli import run; "
        f"run(['--isolated', {str(file)!r}]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    print(f"{'file':26} {'bare':>8} {'gradlint':>9} {'ratio':>6}   inputs")
    costs = []
    for name, path in FILES.items():
        cost = measure(name, path, asked.runs)
        costs.append(cost)
        print(
            f"{name:26} {cost.bare:6.2f} s {cost.linting:7.2f} s {cost.ratio:6.2f}   {cost.inputs}",
            flush=True,
        )
    empty = without_model(asked.runs)
    print(f"{'no model, no loop':26} {'':8} {empty:7.2f} s          torch not imported")
    if asked.json:
        rows = [asdict(cost) | {"ratio": cost.ratio} for cost in costs]
        asked.json.write_text(json.dumps({"files": rows, "without_model": empty}, indent=1))
    return 1 if empty >= MOST_WITHOUT_MODEL or any(cost.ratio > MOST for cost in costs) else 0


if __name__ == "__main__":
    sys.exit(main())
