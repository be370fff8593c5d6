"""The text of one Python file, its syntax tree, and the reasons why it has none."""

from __future__ import annotations

import ast
import io
import stat
import symtable
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from gradlint.discovery.text.notebooks import SUFFIX, read_cells
from gradlint.program import Unreadable
from gradlint.protocol.span import Span

LARGEST = 4 * 1024 * 1024
"""Bytes beyond which a file is generated code or data, and parsing takes seconds."""


@dataclass(frozen=True, slots=True)
class Source:
    """The decoded text of a file, newlines as one character; `shown` is the path to print.

    The text of a notebook is the Python of its cells, which begin at the lines with the indices
    `cells`; that is None for any other file.
    """

    path: Path
    shown: str
    text: str
    lines: tuple[str, ...]
    cells: tuple[int, ...] | None = None

    def span(self, node: ast.expr | ast.stmt) -> Span:
        """The stretch of text of a node; columns count characters from 1."""
        end_line, end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(
            self.shown,
            node.lineno,
            self.column(node.lineno, node.col_offset),
            end_line,
            self.column(end_line, end),
        )

    def column(self, line: int, offset: int) -> int:
        """The column, from 1, of a byte offset: syntax trees count UTF-8 bytes from 0."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        if text.isascii():
            return offset + 1
        return len(text.encode()[:offset].decode(errors="replace")) + 1


def read(path: Path, shown: str, content: bytes | None = None) -> Source | Unreadable:
    """The text of a file, or the located reason why there is none; raises nothing.

    `content` stands for what is on the disk.
    """
    try:
        data = _bytes(path) if content is None else content
    except OSError as error:
        return Unreadable(Span(shown, 1), f"cannot be read: {_why(path, error)}")
    if isinstance(data, str):
        return Unreadable(Span(shown, 1), data)
    decoded = _decoded(data, shown)
    if isinstance(decoded, Unreadable):
        return decoded
    if "\0" in decoded:
        return _nul(decoded, shown)
    if path.suffix == SUFFIX:
        cells = read_cells(decoded, shown)
        if isinstance(cells, Unreadable):
            return cells
        return Source(path, shown, cells.text, _lines(cells.text), cells.starts)
    return Source(path, shown, decoded, _lines(decoded))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.removesuffix("\n").split("\n"))


def parse(source: Source) -> ast.Module | Unreadable:
    """The syntax tree, or the located reason why there is none; warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text, source.shown)
    except _NOT_PYTHON as error:
        return _rejected(error, source)


def syntax_error(source: Source) -> Unreadable | None:
    """What `parse` would reject, at about half its cost: no tree is built."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            symtable.symtable(source.text, source.shown, "exec")
    except _NOT_PYTHON:
        # Because a symbol table also rejects what merely cannot be compiled, the tree has the say.
        tree = parse(source)
        return tree if isinstance(tree, Unreadable) else None
    return None


_NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError)


def _bytes(path: Path) -> bytes | str:
    kind = path.stat()
    if stat.S_ISDIR(kind.st_mode):
        return "is a directory, not a Python file"
    if not stat.S_ISREG(kind.st_mode):
        return "is not a regular file"
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        return f"has {kind.st_size} bytes, more than {LARGEST}: exclude it or split it"
    return data


def _why(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "broken link" if path.is_symlink() else "no such file or directory"
    return (error.strerror or type(error).__name__).lower()


def _decoded(data: bytes, shown: str) -> str | Unreadable:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        return Unreadable(_undeclared(data, shown), f"unknown or undeclared encoding: {error.msg}")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        reason = f"byte 0x{data[error.start]:02x} is not {encoding}; declare the file's encoding"
        return Unreadable(Span(shown, line, column), reason)
    except (ValueError, LookupError) as error:
        return Unreadable(Span(shown, 1), f"cannot be decoded as {encoding}: {error}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _undeclared(data: bytes, shown: str) -> Span:
    for number, line in enumerate(data.split(b"\n")[:2], start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            return Span(shown, number, error.start + 1)
        if b"coding" in line:
            return Span(shown, number)
    return Span(shown, 1)


def _nul(text: str, shown: str) -> Unreadable:
    position = text.index("\0")
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return Unreadable(Span(shown, text.count("\n", 0, position) + 1, column), "has a NUL byte")


def _rejected(error: BaseException, source: Source) -> Unreadable:
    if isinstance(error, SyntaxError):
        # Because tokenizer errors at the end of a file point one line beyond it.
        line = min(max(error.lineno or 1, 1), len(source.lines))
        return Unreadable(
            Span(source.shown, line, max(error.offset or 1, 1)), f"syntax error: {error.msg}"
        )
    if isinstance(error, (RecursionError, MemoryError, SystemError)):
        return Unreadable(Span(source.shown, 1), "is nested too deeply to be parsed")
    return Unreadable(Span(source.shown, 1), f"cannot be parsed: {error}")
