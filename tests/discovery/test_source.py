"""Files that are no text or no Python, and where they say so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradlint.discovery import discover
from gradlint.discovery.text.source import LARGEST
from gradlint.program import Program, Unreadable

_MODEL = b"import torch\n"


def _read(tmp_path: Path, data: bytes) -> Program | Unreadable:
    path = tmp_path / "file.py"
    path.write_bytes(data)
    return discover(path, "file.py", tmp_path)


def _reason(tmp_path: Path, data: bytes) -> tuple[int, int, str]:
    found = _read(tmp_path, data)
    assert isinstance(found, Unreadable), found
    return found.span.line, found.span.column, found.reason


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", ("",)),
        (b"x = 1\n", ("x = 1",)),
        (b"x = 1\r\ny = 2\r\n", ("x = 1", "y = 2")),
        (b"x = 1\ry = 2\r", ("x = 1", "y = 2")),
        (b"\xef\xbb\xbfx = 1\n", ("x = 1",)),
        (b"# coding: latin-1\nx = '\xe9'\n", ("# coding: latin-1", "x = 'é'")),
        ("x = 'a\x0cb\u2028c'\n".encode(), ("x = 'a\x0cb\u2028c'",)),
    ],
    ids=["empty", "plain", "crlf", "cr", "bom", "declared latin-1", "odd line breaks"],
)
def test_what_python_reads_is_read_line_by_line(
    tmp_path: Path, data: bytes, lines: tuple[str, ...]
) -> None:
    program = _read(tmp_path, data)
    assert isinstance(program, Program)
    assert program.lines == lines


@pytest.mark.parametrize("head", [_MODEL, b""], ids=["with torch", "without"])
def test_a_syntax_error_has_its_line_and_column(tmp_path: Path, head: bytes) -> None:
    line, column, reason = _reason(tmp_path, head + b"x = 1\ndef f(:\n    pass\n")
    assert (line, column) == (2 + head.count(b"\n"), 7)
    assert reason.startswith("syntax error: ")


def test_what_only_a_compiler_rejects_is_not_a_syntax_error(tmp_path: Path) -> None:
    assert isinstance(_read(tmp_path, b"def f(x):\n    nonlocal x\n"), Program)


def test_a_byte_of_another_encoding_is_located(tmp_path: Path) -> None:
    line, column, reason = _reason(tmp_path, b"# coding: ascii\nx = 'caf\xe9'\n")
    assert (line, column) == (2, 9)
    assert "0xe9" in reason
    assert "ascii" in reason


def test_an_undeclared_encoding_is_located_where_utf8_ends(tmp_path: Path) -> None:
    line, column, reason = _reason(tmp_path, b"x = 1\ny = '\xe9'\n")
    assert (line, column) == (2, 6)
    assert "encoding" in reason


def test_an_undeclared_encoding_far_into_a_file_is_located(tmp_path: Path) -> None:
    line, column, _ = _reason(tmp_path, b"x = 1\n" * 9 + b"y = '\xe9'\n")
    assert (line, column) == (10, 6)


def test_an_unknown_encoding_points_at_its_declaration(tmp_path: Path) -> None:
    line, _, reason = _reason(tmp_path, b"#!/bin/sh\n# coding: klingon\n")
    assert line == 2
    assert "klingon" in reason


def test_a_nul_byte_is_located(tmp_path: Path) -> None:
    assert _reason(tmp_path, b"x = 1\ny = \x00\n") == (2, 5, "has a NUL byte")


def test_a_file_beyond_the_size_limit_says_both_sizes(tmp_path: Path) -> None:
    _, _, reason = _reason(tmp_path, b"#" * (LARGEST + 7))
    assert str(LARGEST) in reason
    assert str(LARGEST + 7) in reason


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 5000 + ")" * 5000,
        "x = " + "-" * 50_000 + "1",
        "x = " + "+".join(["1"] * 50_000),
        "x = a" + ".b" * 50_000,
        "model = torch.nn.Sequential(a)" + ".to(b)" * 2000,
        "if x: pass\n" + "elif x: pass\n" * 3000,
    ],
    ids=["parentheses", "minus signs", "sum", "attributes", "calls", "branches"],
)
@pytest.mark.parametrize("head", ["import torch\n", ""], ids=["with torch", "without"])
def test_hostile_nesting_ends_in_a_reason_or_a_program(
    tmp_path: Path, head: str, text: str
) -> None:
    found = _read(tmp_path, (head + text).encode())
    assert isinstance(found, (Program, Unreadable))
    if isinstance(found, Unreadable):
        assert "nested" in found.reason


def test_names_that_refer_to_each_other_in_circles_are_read(tmp_path: Path) -> None:
    source = """
import torch
class A(B): pass
class B(A): pass
class C(C): pass
a = b
b = a
a(b)
def f(x=f()): return f(x)
def g(q): return h(q)
def h(q): return g(q)
m = g(1)
m(2)
lr = lr2
lr2 = lr
optimizer = torch.optim.Adam(m.parameters(), lr=lr)
loss.backward()
optimizer.step()
"""
    assert isinstance(_read(tmp_path, source.encode()), Program)


def test_warnings_of_the_parser_are_not_shown(tmp_path: Path) -> None:
    # The suite turns warnings into errors, and an invalid escape sequence is one.
    assert isinstance(_read(tmp_path, b'import torch\nx = "\\d"\nassert (1, 2)\n'), Program)


def test_a_directory_a_missing_file_and_a_broken_link_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "dir.py").mkdir()
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    reasons = []
    for name in ("dir.py", "gone.py", "missing.py"):
        found = discover(tmp_path / name, name, tmp_path)
        assert isinstance(found, Unreadable)
        assert found.span.path == name
        reasons.append(found.reason)
    assert reasons == [
        "is a directory, not a Python file",
        "cannot be read: broken link",
        "cannot be read: no such file or directory",
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in this file system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    found = discover(tmp_path / "pipe.py", "pipe.py", tmp_path)
    assert isinstance(found, Unreadable)
    assert found.reason == "is not a regular file"


def test_importing_discovery_imports_neither_torch_nor_libcst_nor_pathspec() -> None:
    code = (
        "import sys, gradlint.discovery, gradlint.discovery.text.files;"
        "print(sorted({'torch', 'libcst', 'pathspec', 'networkx', 'click'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
