"""One run of the command line over files that do what no linted file should do."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import ROOT

TIMEOUT, MEMORY, LIMIT = 8, 512, 120

HEAD = """
import os, sys, time
import torch
from torch import nn
"""

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.last = nn.Linear(16, 2)

    def forward(self, x):
        {}
        return self.last(torch.relu(self.first(x)))


if __name__ == "__main__":
    Net()(torch.randn(4, 8)).sum().backward()
"""

BUILD = NET.format("pass").replace("super().__init__()", "super().__init__()\n        {}", 1)

BACKWARD = """
class Refuses(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("backward refuses")
"""

FORK = """for _ in range(3):
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            with open({!r}, "a") as pids:
                pids.write(f"{{child}}\\n")"""

STOPPED = {
    "allocates": HEAD + NET.format("kept = []\n        while True: kept.append(torch.ones(2**25))"),
    "allocates_python": HEAD
    + NET.format("kept = []\n        while True: kept.append(bytearray(2**26))"),
    "exits_in_init": HEAD + BUILD.format("os._exit(0)"),
    "exits_at_import": HEAD + "class Sizes:\n    os._exit(3)\n" + NET.format("Sizes"),
    "hangs_in_forward": HEAD + NET.format("while True: pass"),
    "kills_itself": HEAD + NET.format("os.kill(os.getpid(), 11)"),
    "raises_at_import": HEAD + 'raise ValueError("import refuses")\n' + NET.format("pass"),
    "raises_in_backward": HEAD + BACKWARD + NET.format("x = Refuses.apply(self.first(x))[:, :8]"),
    "raises_in_forward": HEAD + NET.format('raise ValueError("forward refuses")'),
    "raises_in_init": HEAD + BUILD.format('raise ValueError("init refuses")'),
    "recurses": HEAD + NET.format("return self.forward(x)"),
    "works_at_import": HEAD + "WIDTH = sys.exit(0)\n" + BUILD.format("self.width = WIDTH"),
    "sys_exit_at_import": HEAD + "class Sizes:\n    sys.exit(0)\n" + NET.format("Sizes"),
    "sys_exit_in_init": HEAD + BUILD.format("sys.exit(0)"),
}

SAID = {
    "allocates": "memory",
    "allocates_python": "memory",
    "exits_at_import": "status 3",
    "hangs_in_forward": f"{TIMEOUT} s",
    "raises_at_import": "import refuses",
    "raises_in_backward": "backward refuses",
    "raises_in_forward": "forward refuses",
    "raises_in_init": "init refuses",
    "recurses": "RecursionError",
    "sys_exit_at_import": "exit with status 0",
    "sys_exit_in_init": "SystemExit",
    "works_at_import": "line 5, which gives it its value, was not run",
}

# Imported by a file that is probed, because top levels are run without what ends the process.
HELPERS = {"exiting": "import os\nos._exit(3)\n", "leaving": "import sys\nsys.exit(0)\n"}


@dataclass(frozen=True)
class Run:
    """What the run left. `children` are processes that linted code has forked."""

    status: int
    printed: str
    complaint: str
    seconds: float
    children: tuple[int, ...]

    def models(self, stem: str) -> list[dict[str, str | None]]:
        models = json.loads(self.printed)["models"]
        return [model for model in models if model["path"] == f"{stem}.py"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("hostile")
    pids = folder / "children.txt"
    tolerated = {
        "exits_after_its_model": HEAD + NET.format("pass") + "\n\nos._exit(0)\n",
        "imports_what_exits": HEAD + "import exiting, leaving\n" + NET.format("exiting, leaving"),
        "forks": HEAD + NET.format(FORK.format(str(pids))),
        "prints": HEAD + NET.format('print("#" * 10_000_000)'),
        "zz_healthy": HEAD + NET.format("pass"),
    }
    for stem, text in {**STOPPED, **tolerated, **HELPERS}.items():
        (folder / f"{stem}.py").write_text(text)
    code = "from gradlint.cli import main; main()"
    options = ["--format", "json", "--show", "all", "--isolated", "--python", sys.executable]
    limits = ["--timeout", str(TIMEOUT), "--memory", str(MEMORY)]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, ".", *options, *limits],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    seconds = time.monotonic() - start
    children = tuple(map(int, pids.read_text().split())) if pids.exists() else ()
    yield Run(done.returncode, done.stdout, done.stderr, seconds, children)
    for child in filter(_runs, children):
        os.kill(child, 9)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("stem", STOPPED)
def test_a_file_that_stops_its_own_model_is_listed_with_the_reason(run: Run, stem: str) -> None:
    (model,) = run.models(stem)
    assert model["name"] == "Net"
    assert model["status"] in {"failed", "not-built"}
    assert (model["reason"] or "").strip()


@pytest.mark.parametrize(("stem", "said"), SAID.items(), ids=list(SAID))
def test_the_reason_says_what_happened(run: Run, stem: str, said: str) -> None:
    (model,) = run.models(stem)
    assert said in (model["reason"] or "")


@pytest.mark.parametrize(
    "stem", ["exits_after_its_model", "forks", "imports_what_exits", "prints", "zz_healthy"]
)
def test_a_file_that_harms_nothing_is_probed_in_spite_of_its_neighbours(
    run: Run, stem: str
) -> None:
    (model,) = run.models(stem)
    assert (model["status"], model["reason"]) == ("probed", None)


def test_nothing_hangs(run: Run) -> None:
    assert run.seconds < LIMIT


def test_no_traceback_and_no_output_of_linted_code_reaches_the_user(run: Run) -> None:
    assert "Traceback" not in run.printed + run.complaint
    assert "####" not in run.printed + run.complaint


def test_nothing_is_confirmed_against_models_that_were_stopped(run: Run) -> None:
    assert run.status == 0, run.complaint
    assert json.loads(run.printed)["findings"] == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc to see processes")
def test_no_process_that_linted_code_forked_outlives_the_run(run: Run) -> None:
    assert run.children
    deadline = time.monotonic() + 10
    while any(map(_runs, run.children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in run.children if _runs(child)]
