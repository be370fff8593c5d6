"""What linting a file costs, against a bare script that builds the same model and runs it once.

Run as `python tests/benchmarks/cost.py`; times are whole processes, medians of alternating runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path.pop(0); from gradlint.cli import main; main()"

BARE = """
import importlib.util, sys
import torch
spec = importlib.util.spec_from_file_location("bare", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules["bare"] = module
spec.loader.exec_module(module)
model = getattr(module, sys.argv[2])()
model(torch.randn(*map(int, sys.argv[3].split(",")))).square().mean().backward()
assert all(parameter.grad is not None for parameter in model.parameters())
"""

RESIDUAL = '''"""A residual network for 32x32 images, of eight blocks."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.skip = nn.Conv2d(channels, out, 1, stride=stride, bias=False)

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.skip(x))


class ResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, padding=1)
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        self.blocks = nn.Sequential(
            *[Block(a, b, 1 if a == b else 2) for a, b in zip(widths, widths[1:])]
        )
        self.head = nn.Linear(512, num_classes)

    def forward(self, x):  # x: (batch, 3, 32, 32)
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


if __name__ == "__main__":
    model = ResNet()
    model(torch.randn(16, 3, 32, 32)).sum().backward()
'''

NO_MODEL = '''"""Helpers for experiments."""

import torch


def accuracy(logits, labels):
    return (logits.argmax(1) == labels).float().mean().item()
'''

POISON = """import os
open(os.environ["GRADLINT_POISON"], "a").close()
raise ImportError("this torch must not be imported")
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of one process and its children: on the wall and of computing."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Comparison:
    """The medians of linting a file and of the bare script, and the model that both ran."""

    name: str
    parameters: int
    inputs: str
    lint: Cost
    bare: Cost

    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            f"{self.parameters:,}",
            self.inputs,
            f"{self.lint.wall:.2f}",
            f"{self.bare.wall:.2f}",
            f"{self.lint.wall / self.bare.wall:.2f}",
            f"{self.lint.cpu:.2f}",
            f"{self.bare.cpu:.2f}",
            f"{self.lint.cpu / self.bare.cpu:.2f}",
        )


TITLES = (
    "file",
    "parameters",
    "inputs",
    "gradlint s",
    "bare s",
    "ratio",
    "gradlint cpu s",
    "bare cpu s",
    "cpu ratio",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each  [default: 5]")
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory(prefix="gradlint-cost-") as directory:
        residual = Path(directory) / "residual_cnn.py"
        residual.write_text(RESIDUAL)
        fixtures = [
            ROOT / "fixtures" / name / "healthy.py" for name in ("mlp_digits", "cnn_shapes")
        ]
        _print_table([TITLES, *(compare(file, repeat).cells() for file in [*fixtures, residual])])
        print()
        print(without_torch(Path(directory), repeat))


def compare(file: Path, repeat: int) -> Comparison:
    """Lint a file with one model, and run that model barely on the input that gradlint chose.

    Raises:
        ValueError: gradlint did not probe the model, or its input is not one float tensor.
    """
    models = json.loads(_lint(file)[1])["models"]
    roots = [model for model in models if model["status"] == "probed" and model["inputs"]]
    shape = re.fullmatch(r".*?float32\[([\d, ×]+)\]", roots[0]["inputs"][0]) if roots else None
    if shape is None or len(roots[0]["inputs"]) != 1:
        raise ValueError(f"{file}: expected one probed model with one float input, got {models}")
    sizes = ",".join(re.findall(r"\d+", shape[1]))
    bare = [sys.executable, "-c", BARE, str(file), roots[0]["name"], sizes]
    pairs = [(_lint(file)[0], _run(bare)[0]) for _ in range(repeat)]
    name = file.stem if file.stem != "healthy" else file.parent.name
    lints, bares = zip(*pairs, strict=True)
    return Comparison(name, roots[0]["parameters"], f"[{sizes}]", _median(lints), _median(bares))


def without_torch(directory: Path, repeat: int) -> str:
    """The cost of a file without model and loop, run where importing torch leaves a trace.

    Raises:
        ValueError: torch was imported for it, or was not imported for a file with a model.
    """
    plain, modelled = directory / "helpers.py", directory / "residual_cnn.py"
    plain.write_text(NO_MODEL)
    poisoned, trace = directory / "poisoned", directory / "imported"
    (poisoned / "torch").mkdir(parents=True)
    (poisoned / "torch" / "__init__.py").write_text(POISON)
    environment = {"PYTHONPATH": f"{poisoned}{os.pathsep}{ROOT}", "GRADLINT_POISON": str(trace)}
    cost = _median([_lint(plain, environment)[0] for _ in range(repeat)])
    if trace.exists():
        raise ValueError(f"{plain}: torch was imported for a file without model and loop")
    _lint(modelled, environment)
    if not trace.exists():
        raise ValueError(f"{modelled}: the poisoned torch was not imported, so it proves nothing")
    return (
        f"file without model and loop: {cost.wall:.2f} s ({cost.cpu:.2f} s of computing); a torch "
        "that leaves a trace was not imported for it, and was for a file with a model"
    )


def _lint(file: Path, environment: dict[str, str] | None = None) -> tuple[Cost, str]:
    options = ["--format", "json", "--show", "all", "--isolated", "--exit-zero", "--no-cache"]
    command = [sys.executable, "-c", START, str(file), *options, "--python", sys.executable]
    return _run(command, {"PYTHONPATH": str(ROOT), **(environment or {})})


def _run(command: list[str], environment: dict[str, str] | None = None) -> tuple[Cost, str]:
    before, start = _computed(), time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        cwd=tempfile.gettempdir(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Cost(time.perf_counter() - start, _computed() - before), done.stdout


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(costs: list[Cost] | tuple[Cost, ...]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
    )


def _print_table(lines: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]))


if __name__ == "__main__":
    main()
