"""A source text, written to a file and read as discovery reads it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from gradlint.discovery import discover
from gradlint.program import Program


class Read(Protocol):
    """Write a source under a name, with other files of the project beside it, and read it."""

    def __call__(
        self, source: str, name: str = ..., others: Mapping[str, str] = ...
    ) -> Program: ...


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def written(source: str, name: str = "model.py", others: Mapping[str, str] = {}) -> Program:
        for file, text in {**others, name: source}.items():
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        program = discover(tmp_path / name, name, tmp_path)
        assert isinstance(program, Program), program
        return program

    return written
