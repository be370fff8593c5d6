"""How a file is handed to the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradlint.discovery import discover
from gradlint.discovery.text.files import FoundFile
from gradlint.linting import open_request
from gradlint.program import Program
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
