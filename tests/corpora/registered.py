"""A program for each architecture that a package has a name for."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from gradlint.report import ModelStatus
from tests.corpora.linting import environment
from tests.corpora.results import Outcome
from tests.corpora.sources import Package

_COVERED = (ModelStatus.PROBED.value, ModelStatus.TRACED.value)


@dataclass(frozen=True, slots=True)
class Registry:
    """How a package is asked for its names, and the call that makes the model of a name.

    `imported` are the names of `module` that the call needs; `{}` stands for the model's name.
    """

    module: str
    names: str
    imported: str
    make: str


REGISTRIES = {
    "pytorchcv": Registry(
        "pytorchcv.model_provider", "sorted(module._models)", "get_model", "get_model({})"
    ),
    "timm": Registry("timm", "module.list_models()", "create_model", "create_model({})"),
    "torchvision": Registry(
        "torchvision.models", "module.list_models()", "get_model", "get_model({})"
    ),
    "transformers": Registry(
        "transformers",
        "sorted(module.models.auto.modeling_auto.MODEL_MAPPING_NAMES)",
        "AutoConfig, AutoModel",
        "AutoModel.from_config(AutoConfig.for_model({}))",
    ),
}


def write_programs(package: str, folder: Path, sample: int, seed: int) -> Package:
    """Write a program for each of `sample` architectures (0: all) of `package` into `folder`.

    They are called so that none stands before a package that is named like an architecture.

    Raises:
        LookupError: the package is unknown here, or cannot be asked.
    """
    registry = REGISTRIES.get(package)
    if registry is None:
        raise LookupError(f"{package}: its names are unknown; choose from {', '.join(REGISTRIES)}")
    names = _names(registry)
    if sample:
        names = sorted(random.Random(seed).sample(names, min(sample, len(names))))
    target = folder / package
    target.mkdir(parents=True, exist_ok=True)
    files = []
    for name in names:
        file = Path(package) / f"train_{re.sub('[^a-zA-Z0-9]', '_', name)}.py"
        (folder / file).write_text(_program(registry, name), encoding="utf-8")
        files.append(file)
    return Package(package, folder, tuple(files))


_NATIVE = """
import sys, warnings, torch
warnings.simplefilter("ignore")
with torch.device("meta"):
    names = {}
    exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), names)
    model = names.get("model")
    inputs = getattr(model, "dummy_inputs", {})
    if getattr(model, "main_input_name", None) in inputs:
        try:
            model(**inputs)
        except Exception as error:
            if "size" in str(error):  # because it may want more, or what only a device has
                raise
"""


def with_refusals(outcome: Outcome, root: Path) -> Outcome:
    """The outcome of a program below `root`, with what it raises by itself if no model was covered.

    So does a model whose sizes do not fit each other for its package's own example of its inputs.
    It runs on the meta device, because a program of a healthy package may need more memory than
    there is; what only that device refuses does not count.
    """
    if all(model.status in _COVERED for model in outcome.models):
        return outcome
    command = [sys.executable, "-c", _NATIVE, str(root / outcome.path)]
    process = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    error = re.compile(r"[\w.]+(Error|Exception)")
    lines = [line for line in process.stderr.splitlines() if error.match(line)]
    raised = lines[-1] if process.returncode and lines and "meta" not in lines[-1] else ""
    return replace(outcome, models=tuple(replace(m, refused=raised) for m in outcome.models))


def _names(registry: Registry) -> list[str]:
    asked = f"import json, {registry.module} as module; print(json.dumps({registry.names}))"
    command = [sys.executable, "-c", asked]
    process = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    if process.returncode != 0:
        last = process.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
        raise LookupError(f"{registry.module} cannot be asked for its names: {last[0]}")
    names: list[str] = json.loads(process.stdout.splitlines()[-1])
    return names


def _program(registry: Registry, name: str) -> str:
    """A program that trains the model, because models of others are linted where they are."""
    return (
        f"import torch\nfrom {registry.module} import {registry.imported}\n\n"
        f"model = {registry.make.format(repr(name))}\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    )
