"""What a file's process says that it rests on, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.command import ROOT

LISTEN = """
import sys
from gradlint.protocol.wire import OpenFile
from gradlint.worker.loading.dependencies import Dependencies
root = sys.argv[1]
dependencies = Dependencies(OpenFile(root + "/models/net.py", "net.py", root, "", (), 0))
sys.path.insert(0, root)
dependencies.listen()
{code}
found = dependencies.found()
print([path.replace(root, "") for path in found.read])
print([path.replace(root, "") for path in found.absent])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A package with a module, some data, and a virtual environment inside."""
    folders = ("models", "package", "venv/lib/site-packages")
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "models" / "net.py").write_text("x = 1\n")
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "part.py").write_text("import json\n")
    (tmp_path / "sizes.yaml").write_text("hidden: 3\n")
    (tmp_path / "venv/lib/site-packages/other.py").touch()
    return tmp_path


def found(project: Path, code: str) -> tuple[Sequence[str], Sequence[str]]:
    """What is read and what is missed when a process runs `code`."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", LISTEN.format(code=code), str(project)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
    )
    read, absent = done.stdout.splitlines()
    return eval(read), eval(absent)


@pytest.mark.parametrize(
    ("code", "read"),
    [
        pytest.param("import package.part", ["/package/__init__.py", "/package/part.py"], id="it"),
        pytest.param("open(root + '/sizes.yaml').read()", ["/sizes.yaml"], id="data"),
        pytest.param("import os; os.chdir(root); open('sizes.yaml')", ["/sizes.yaml"], id="here"),
        pytest.param("open(root + '/models/net.py')", [], id="the linted file itself"),
        pytest.param("open(root + '/venv/lib/site-packages/other.py')", [], id="what is installed"),
        pytest.param("import ast, json.tool; open('/proc/self/stat')", [], id="the interpreter's"),
        pytest.param("import gradlint.protocol.claim", [], id="gradlint's"),
        pytest.param("open(0, closefd=False)", [], id="no path"),
    ],
)
def test_files_of_the_project_that_are_read_count(
    project: Path, code: str, read: Sequence[str]
) -> None:
    assert found(project, code)[0] == read


def test_what_was_compiled_before_stands_for_its_source(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", "package"], cwd=project, check=True)
    assert found(project, "import package.part")[0] == [
        "/package/__init__.py",
        "/package/part.py",
    ]


def test_source_beside_the_project_counts(project: Path) -> None:
    beside = project.parent / f"{project.name}-beside"
    beside.mkdir()
    (beside / "library.py").touch()
    (beside / "data.bin").touch()
    code = f"sys.path.append({str(beside)!r}); import library; open({str(beside / 'data.bin')!r})"
    assert [Path(path).name for path in found(project, code)[0]] == ["library.py"]


def test_what_is_looked_for_in_vain_counts(project: Path) -> None:
    code = (
        "try:\n    import missing\nexcept ImportError:\n    pass\n"
        "try:\n    open(root + '/weights.pt')\nexcept OSError:\n    pass"
    )
    absent = found(project, code)[1]
    assert {"/missing.py", "/missing/__init__.py", "/models/missing.py", "/weights.pt"} <= set(
        absent
    )


def test_a_working_directory_that_is_gone_harms_nothing(project: Path) -> None:
    code = (
        "import os\nos.mkdir(root + '/gone')\nos.chdir(root + '/gone')\nos.rmdir(root + '/gone')\n"
        "open(root + '/sizes.yaml')\n"
        "try:\n    open('relative')\nexcept FileNotFoundError:\n    pass\nos.chdir(root)"
    )
    assert found(project, code)[0] == ["/sizes.yaml"]
