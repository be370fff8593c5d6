"""Published faults: the architectures of AutoTrainer restated in PyTorch and linted.

Run as `python -m tests.benchmarks.autotrainer [FOLDER]`; the folder keeps the restated programs.
Every architecture with a published label must be confirmed with the cause that its facts name;
every one without a label, and without a symptom at initialisation, must be silent at `error`. The
exit status is 1 if any is otherwise.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.command import lint

DATA = Path(__file__).parent / "data" / "autotrainer_models.json"

Facts = Mapping[str, object]

_ACTIVATIONS = {
    "relu": "nn.ReLU()",
    "sigmoid": "nn.Sigmoid()",
    "tanh": "nn.Tanh()",
    "softmax": "nn.Softmax(dim=1)",
    "exponential": "Exponential()",
}
_EXPONENTIAL = """

class Exponential(nn.Module):
    def forward(self, x):
        return torch.exp(x)
"""
_PROGRAM = """import torch
from torch import nn
{own}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
{lines}
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


if __name__ == "__main__":
    print(Net()(torch.randn(32, {sizes})).shape)
"""
_DEEP_AND_NARROW = (15, 5)  # so many ReLU layers of so few units


@dataclass(frozen=True, slots=True)
class Architecture:
    """One published network: its name, its layers, its label and what it shows at the start."""

    name: str
    layers: tuple[Facts, ...]
    label: str
    healthy: bool

    @property
    def kind(self) -> str:
        """Published as faulty, quiet, or faulty by its gradients though nobody labelled it."""
        return "labelled" if self.label else "quiet" if self.healthy else "unlabelled"

    @property
    def activations(self) -> list[str]:
        """The hidden activations in order; the output's is left out."""
        found = [_activation(layer) for layer in self.layers]
        return [name for name in found if name][:-1]

    @property
    def causes(self) -> frozenset[str]:
        """The rules that name the cause of a labelled fault, by the facts alone."""
        hidden = Counter(self.activations)
        kinds = [_named(layer, "kernel_initializer").get("fn") for layer in self.layers]
        if hidden["exponential"]:
            return frozenset({"exploding-activation"})
        if "RandomUniform" in kinds:
            return frozenset({"init-scale"})
        if hidden["sigmoid"]:
            return frozenset({"saturating-stack"})
        depth, width = _DEEP_AND_NARROW
        narrow = [layer.get("units") for layer in self.layers].count(width) >= depth
        return frozenset({"narrow-and-deep"} if narrow else ())


def architectures() -> list[Architecture]:
    """All published architectures, in the order of the file."""
    facts = json.loads(DATA.read_text())
    return [
        Architecture(
            name=f"net_{index:02}_{item['dataset'].lower()}",
            layers=tuple(item["layers"]),
            label=item.get("symptom") or ("labelled" if "status" in item else ""),
            healthy="status" not in item and set(item["torch_init_symptom_5seeds"]) == {"none"},
        )
        for index, item in enumerate(facts)
    ]


def program(architecture: Architecture) -> str:
    """The architecture as a PyTorch program that builds it and runs it once."""
    first = architecture.layers[0]
    shape = cast("list[int]", first["input_shape"])
    sizes = shape if len(shape) == 1 else [shape[2], shape[0], shape[1]]
    return _PROGRAM.format(
        own=_EXPONENTIAL if "exponential" in architecture.activations else "",
        lines="\n".join(f"        {line}" for line in _lines(architecture.layers, sizes)),
        sizes=", ".join(map(str, sizes)),
    )


def _lines(layers: Sequence[Facts], sizes: list[int]) -> Iterator[str]:
    """The lines that append each layer; `sizes` is what a sample has in front of the first."""
    sizes = list(sizes)
    for layer in layers:
        match layer["layer"]:
            case "Dense":
                units = cast("int", layer["units"])
                yield f"layers.append(nn.Linear({sizes[0]}, {units}))"
                yield from _initialised(layer, sizes[0], units)
                sizes = [units]
            case "Conv2D":
                filters, side = (
                    cast("int", layer["filters"]),
                    cast("list[int]", layer["kernel_size"])[0],
                )
                yield f"layers.append(nn.Conv2d({sizes[0]}, {filters}, {side}))"
                yield from _initialised(layer, sizes[0] * side**2, filters)
                sizes = [filters, *(size - side + 1 for size in sizes[1:])]
            case "MaxPooling2D":
                yield "layers.append(nn.MaxPool2d(2))"
                sizes = [sizes[0], *(size // 2 for size in sizes[1:])]
            case "Flatten":
                yield "layers.append(nn.Flatten())"
                sizes = [math.prod(sizes)]
        if activation := _activation(layer):
            yield f"layers.append({_ACTIVATIONS[activation]})"


def _activation(layer: Facts) -> str:
    own = layer.get("activation", "")
    return cast("list[str]", layer["args"])[0] if layer["layer"] == "Activation" else str(own)


def _named(layer: Facts, name: str) -> Mapping[str, object]:
    return cast("Mapping[str, object]", layer.get(name, {}))


def _initialised(layer: Facts, fan_in: int, units: int) -> Iterator[str]:
    """Keras's initialisers in PyTorch's words, its defaults where none is given."""
    kernel = _named(layer, "kernel_initializer") or _scaled(1.0, "fan_avg", "uniform")
    bias = _named(layer, "bias_initializer") or {"fn": "Zeros"}
    yield _fill("weight", kernel, fan_in, units)
    yield _fill("bias", bias, units, units)


def _scaled(scale: float, mode: str, distribution: str) -> dict[str, object]:
    return {"fn": "VarianceScaling", "scale": scale, "mode": mode, "distribution": distribution}


def _fill(tensor: str, initialiser: Mapping[str, object], fan_in: int, fan_out: int) -> str:
    target = f"layers[-1].{tensor}"
    match initialiser["fn"]:
        case "Zeros" | "Constant":
            return f"nn.init.zeros_({target})"
        case "Ones":
            return f"nn.init.ones_({target})"
        case "RandomUniform":
            return f"nn.init.uniform_({target}, -0.05, 0.05)"
        case "RandomNormal" | "TruncatedNormal":
            return f"nn.init.normal_({target}, std=0.05)"
    scale = cast("float", initialiser["scale"])
    if tensor == "weight" and scale == 2 and initialiser["mode"] == "fan_in":
        return f'nn.init.kaiming_{initialiser["distribution"]}_({target}, nonlinearity="relu")'
    fan = fan_in if initialiser["mode"] == "fan_in" else (fan_in + fan_out) / 2
    deviation = math.sqrt(scale / fan)
    if initialiser["distribution"] == "normal":
        return f"nn.init.normal_({target}, std={deviation:.4g})"
    limit = math.sqrt(3) * deviation
    return f"nn.init.uniform_({target}, -{limit:.4g}, {limit:.4g})"


def _rules(findings: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    """The confirmed rules with their severity, the causes first and then their notes."""
    for finding in findings:
        if finding["verdict"] == "confirmed":
            yield str(finding["rule"]), str(finding["severity"])


def _complaint(architecture: Architecture, found: list[tuple[str, str]]) -> str:
    """What is wrong with what was found; of the unlabelled nothing is required."""
    match architecture.kind:
        case "quiet":
            errors = ", ".join(rule for rule, severity in found if severity == "error")
            return f"an error where nothing is wrong: {errors}" if errors else ""
        case "labelled":
            rules = {rule for rule, severity in found if severity != "note"}
            wanted = " or ".join(sorted(architecture.causes))
            return "" if rules & architecture.causes else f"{wanted} expected"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Lint all architectures, print a line for each and the counts; return the exit status."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments[0]) if arguments else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        known = architectures()
        for architecture in known:
            (folder / f"{architecture.name}.py").write_text(program(architecture))
        report = lint([str(folder)], cwd=folder).report
    right: Counter[str] = Counter()
    for architecture in known:
        own = [f for f in report["findings"] if Path(str(f["path"])).stem == architecture.name]
        found = list(_rules(own))
        wrong = _complaint(architecture, found)
        right[architecture.kind] += not wrong
        named = ", ".join(f"{rule} ({severity})" for rule, severity in found) or "silent"
        print(
            f"{architecture.name:18} {architecture.kind:10} {named}"
            f"{f'  WRONG: {wrong}' if wrong else ''}"
        )
    every = Counter(architecture.kind for architecture in known)
    for kind in ("labelled", "quiet"):
        print(f"{kind}: {right[kind]} of {every[kind]} as they must be")
    return 0 if right == every else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
