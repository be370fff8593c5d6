"""What installing gradlint without torch costs: `python -m tests.benchmarks.install`.

A hook of pre-commit installs gradlint into an environment of its own, on every machine and in CI.
The environment must stay under 80 MB, pip included, and pip must be done within 10 seconds, of
which few are work: the rest is waiting for the package index.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from tests.checkout import copy_checkout

MEGABYTES = 80
SECONDS = 10


def main() -> int:
    """Install a copy of the checkout into a fresh environment; print what it took."""
    with tempfile.TemporaryDirectory() as directory:
        source = copy_checkout(Path(directory) / "source")
        environment = Path(directory) / "environment"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        start, busy = time.perf_counter(), computed()
        subprocess.run([python, "-m", "pip", "install", "-q", str(source)], check=True)
        seconds, busy = time.perf_counter() - start, computed() - busy
        megabytes = size(environment) / 1e6
        has_torch = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
    print(f"installed in {seconds:.1f} s (limit {SECONDS} s), of which {busy:.1f} s computing")
    print(f"environment of {megabytes:.0f} MB (limit {MEGABYTES} MB)")
    print(f"torch {'is there' if has_torch.returncode == 0 else 'is not there'}")
    return int(seconds > SECONDS or megabytes > MEGABYTES or has_torch.returncode == 0)


def computed() -> float:
    """The processor time that ended child processes have taken, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def size(directory: Path) -> int:
    """The bytes of all files below `directory`; links count nothing."""
    files = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    sys.exit(main())
