"""How a file is handed to the worker."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from gradlint import linting
from gradlint.discovery import discover
from gradlint.discovery.text.files import FoundFile
from gradlint.linting import Linter, open_request
from gradlint.program import Program, Unreadable
from gradlint.protocol.span import Span
from gradlint.settings.config import Config


@pytest.mark.parametrize(
    ("imports", "module"),
    [
        pytest.param("from sizes import WIDTH", "", id="nothing relative"),
        pytest.param("from . import sizes", "models.net", id="a neighbour"),
        pytest.param(
            "from .op.fused import act", "models.net", id="a module in a folder beside it"
        ),
        pytest.param("from ..op import act", "src.models.net", id="a folder above"),
    ],
)
def test_a_file_belongs_to_the_folders_that_its_relative_imports_reach(
    tmp_path: Path, imports: str, module: str
) -> None:
    path = tmp_path / "src" / "models" / "net.py"
    path.parent.mkdir(parents=True)
    path.write_text(f"{imports}\n\n\ndef forward(x):\n    return x\n")
    program = discover(path, "net.py", tmp_path)
    assert isinstance(program, Program)
    request = open_request(
        FoundFile(path, "net.py", path.read_bytes()), program, tmp_path, Config()
    )
    assert request.module == module


def test_torch_is_imported_while_a_file_with_classes_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    worker = SimpleNamespace(close=lambda: events.append("closed"))

    def started(*_: object, **__: object) -> object:
        events.append("started")
        return worker

    def read(*_: object) -> Unreadable:
        events.append("read")
        return Unreadable(Span("net.py", 1), "cut off")

    monkeypatch.setattr(linting, "Worker", started)
    monkeypatch.setattr(linting, "discover", read)
    with contextlib.closing(Linter(Config(), tmp_path)) as linter:
        linter.lint(FoundFile(tmp_path / "utils.py", "utils.py", b"import os\n"))
        linter.lint(FoundFile(tmp_path / "net.py", "net.py", b"import torch\nclass Net("))
    assert events == ["read", "started", "read", "closed"]
