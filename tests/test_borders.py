"""Who imports whom: the contracts hold and can fail, and torch stays out of the parent."""

from __future__ import annotations

import importlib.util
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gradlint

ROOT = Path(gradlint.__file__).parents[1]
POISON = 'raise RuntimeError("torch was imported where it must not be")\n'


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A directory that, first on the path, makes every import of torch fail."""
    package = tmp_path / "poison" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(POISON)
    return package.parent


def python(poison: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the poison first on its path and gradlint behind it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(poison), str(ROOT)))}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        cwd=poison.parent,
        check=False,
    )


def parent_modules() -> Iterator[str]:
    """Every module of gradlint outside the worker."""
    for module in pkgutil.walk_packages(gradlint.__path__, "gradlint."):
        if not f"{module.name}.".startswith("gradlint.worker."):
            yield module.name


MODULES = tuple(parent_modules())
COMMAND = ("-c", "from gradlint.cli import main; main()")


def test_the_poison_works(poisoned: Path) -> None:
    done = python(poisoned, "-c", "import torch")
    assert done.returncode == 1
    assert "torch was imported where it must not be" in done.stderr


def test_the_poison_reaches_the_worker(poisoned: Path) -> None:
    done = python(poisoned, "-c", "import gradlint.worker.tracing.trace")
    assert "torch was imported where it must not be" in done.stderr


def test_the_walk_sees_the_modules_that_matter() -> None:
    assert {
        *("gradlint.cli", "gradlint.engine", "gradlint.process.session", "gradlint.layers.graph"),
        *("gradlint.discovery.text.files", "gradlint.reporters.text", "gradlint.rules.init_scale"),
    } <= set(MODULES)


def test_no_module_of_the_parent_imports_torch(poisoned: Path) -> None:
    imports = "\n".join(f"import {module}" for module in MODULES)
    done = python(poisoned, "-W", "error", "-c", f"{imports}\nprint('imported')")
    assert (done.stdout, done.stderr) == ("imported\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--version",), id="version"),
        pytest.param(("rules",), id="rules"),
        pytest.param(("rule", "saturating-stack"), id="rule"),
        pytest.param(("env",), id="env"),
        pytest.param(("plain.py",), id="a file without a model"),
        pytest.param(("model.py", "--no-trace"), id="a model that is not run"),
    ],
)
def test_the_command_line_works_without_torch(poisoned: Path, arguments: tuple[str, ...]) -> None:
    here = poisoned.parent
    (here / "plain.py").write_text("import math\n\n\ndef area(r):\n    return math.pi * r**2\n")
    (here / "model.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.out = nn.Linear(2, 2)\n\n"
        "    def forward(self, x):\n        return self.out(x)\n"
    )
    done = python(poisoned, *COMMAND, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_a_torch_that_does_not_import_is_a_listed_reason(poisoned: Path) -> None:
    (poisoned.parent / "model.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.out = nn.Linear(2, 2)\n\n"
        "    def forward(self, x):\n        return self.out(x)\n"
    )
    done = python(poisoned, *COMMAND, "model.py", "--python", _without_torch(poisoned))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Net" in done.stdout
    assert "torch" in done.stdout
    assert "probed 0 of 1 model" in done.stdout


def _without_torch(poison: Path) -> str:
    """An interpreter whose torch is the poison."""
    script = poison.parent / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{poison}" exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.skipif(importlib.util.find_spec("importlinter") is None, reason="no import-linter")
class TestContracts:
    """The contracts of import-linter in pyproject.toml."""

    def lint_imports(self, root: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
            check=False,
        )

    @pytest.fixture
    def copy(self, tmp_path: Path) -> Path:
        """A copy of the sources in which contracts may be broken."""
        ignored = shutil.ignore_patterns("__pycache__", ".*_cache", "rules")
        shutil.copytree(ROOT / "gradlint", tmp_path / "gradlint", ignore=ignored)
        shutil.copytree(ROOT / "rules", tmp_path / "gradlint" / "rules")
        (tmp_path / "tests").mkdir()
        shutil.copy(ROOT / "tests" / "import_contract.py", tmp_path / "tests")
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        return tmp_path

    def test_they_hold(self, copy: Path) -> None:
        done = self.lint_imports(copy)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0 broken" in done.stdout

    @pytest.mark.parametrize(
        ("file", "line", "contract"),
        [
            pytest.param("engine.py", "import torch", "Only the worker imports torch", id="torch"),
            pytest.param(
                "engine.py",
                "import gradlint.worker.tracing.trace",
                "Nothing imports the worker",
                id="worker",
            ),
            pytest.param(
                "worker/tracing/trace.py",
                "import gradlint.layers.graph",
                "The worker imports",
                id="graph in it",
            ),
            pytest.param(
                "worker/tracing/trace.py", "import numpy", "The worker imports", id="numpy in it"
            ),
            pytest.param(
                "protocol/span.py",
                "import gradlint.report",
                "What parent and worker say",
                id="span",
            ),
            pytest.param(
                "rules/init_scale.py", "import gradlint.layers.graph", "Rules import", id="rule"
            ),
            pytest.param("engine.py", "import libcst", "Only discovery and fixes", id="libcst"),
            pytest.param("engine.py", "import click", "Only the command line", id="click"),
            pytest.param("engine.py", "import networkx", "Only the layer graph", id="networkx"),
            pytest.param("theory/__init__.py", "import numpy", "Signal propagation", id="theory"),
        ],
    )
    def test_they_can_fail(self, copy: Path, file: str, line: str, contract: str) -> None:
        path = copy / "gradlint" / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
        done = self.lint_imports(copy)
        assert done.returncode == 1
        broken = [text for text in done.stdout.splitlines() if "BROKEN" in text]
        assert len(broken) == 1
        assert broken[0].startswith(contract)
