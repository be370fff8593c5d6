"""What a run costs when nothing has changed, one file has, or a module that two of them import.

`python -m tests.benchmarks.cache [--files N]` makes a project of N model files, 200 by default, and
prints the time of each run as a share of the first, and how many files it probed. All runs are
whole processes, from the start of Python to the report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = ("-c", "from gradlint.cli import main; main()", "--format", "json=report.json")

MODEL = """\
from torch import nn

{imports}

class Net{number}(nn.Module):
    def __init__(self, hidden={hidden}):
        super().__init__()
        self.first = nn.Linear(8, hidden)
        self.second = nn.Linear(hidden, 4)

    def forward(self, x):
        return self.second(self.first(x).relu())
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its seconds, and how many entries of the cache it wrote."""

    name: str
    seconds: float
    probed: int


def make_project(root: Path, files: int) -> None:
    """Write the model files, of which two import a module of the project."""
    (root / "sizes.py").write_text("HIDDEN = 16\n")
    for number in range(files):
        shares = number < 2
        imports = "from sizes import HIDDEN\n" if shares else ""
        hidden = "HIDDEN" if shares else "16"
        text = MODEL.format(imports=imports, number=number, hidden=hidden)
        (root / f"net{number:03}.py").write_text(text)


def run(name: str, root: Path, *options: str) -> Run:
    """Lint the project in a process of its own.

    Raises:
        RuntimeError: the run found something, or failed.
    """
    before = entries(root)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *COMMAND, "--python", sys.executable, *options],
        cwd=root,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stdout}{done.stderr}")
    written = {path for path, changed in entries(root).items() if before.get(path) != changed}
    return Run(name, seconds, sum("Net" in path.read_text() for path in written))


def entries(root: Path) -> dict[Path, int]:
    """The files of the cache and when each was written."""
    return {path: path.stat().st_mtime_ns for path in root.glob(".gradlint_cache/*/*.json")}


def edit(path: Path) -> None:
    """Change a file without a change of meaning."""
    path.write_text(path.read_text() + "\n# edited\n")
    time.sleep(0.01)  # because a file that changes while a run begins is not kept


def measure(root: Path, files: int) -> list[Run]:
    """All runs, in order."""
    make_project(root, files)
    time.sleep(0.01)
    runs = [run("first run", root), run("nothing changed", root)]
    edit(root / f"net{files - 1:03}.py")
    runs.append(run("one file changed", root))
    edit(root / "sizes.py")
    runs.append(run("an imported module changed", root))
    runs.append(run("nothing changed again", root))
    probed = json.loads((root / "report.json").read_text())["summary"]["probed"]
    if probed != files:
        raise RuntimeError(f"{probed} of {files} models were probed")
    return runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=200)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as directory:
        runs = measure(Path(directory), files)
    print(f"{'':28} seconds  of the first  files probed")
    for item in runs:
        share = item.seconds / runs[0].seconds
        print(f"{item.name:28} {item.seconds:7.2f} {share:13.4f} {item.probed:13}")


if __name__ == "__main__":
    main()
