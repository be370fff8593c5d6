"""How an exception of the user's code becomes a located, one-line failure."""

from __future__ import annotations

import linecache
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from types import TracebackType

from gradlint.protocol.span import Span
from gradlint.protocol.wire import OpenFile, UserFailure

LONGEST_MESSAGE = 300
"""Characters of an exception's text that are kept; the rest is cut with an ellipsis."""

_LINES_KEPT = 3
_NO_MEMORY = re.compile(
    r"std::bad_alloc|DefaultCPUAllocator: can't allocate memory|"
    r"could not create a primitive$"  # of oneDNN, whose other refusals say what they cannot do
)
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS = re.compile(r"\s+at 0x[0-9a-fA-F]{4,}|\b0x[0-9a-fA-F]{6,}\b")


class UserError(Exception):
    """The user's code raised `error` at `stage` (a stage of `gradlint.protocol.wire.UserFailure`).

    `span` is where to point if no frame of the linted file took part. `constructor` and `inputs`
    are what was tried, as a report writes them; `narrowed` says that it was a narrower form of a
    model that is too large to be tried first.
    """

    def __init__(self, stage: str, error: BaseException, span: Span | None = None) -> None:
        super().__init__(stage, error)
        self.stage = stage
        self.error = error
        self.span = span
        self.constructor = ""
        self.inputs: tuple[str, ...] = ()
        self.narrowed = False


class UnmeasurableError(Exception):
    """The quantity does not exist for this node; the message says why."""


class MissingPackageError(ModuleNotFoundError):
    """A package that cannot be imported was used; line `line` of the file `importer` imports it.

    `reason` is what its import says, where it is installed.
    """

    def __init__(self, package: str, path: str, line: int, reason: str = "") -> None:
        where = f"imported by {os.path.basename(path)} at line {line}"
        super().__init__(f"{reason or f'No module named {package!r}'} ({where})", name=package)
        self.importer = path
        self.line = line


def describe(
    error: BaseException,
    stage: str,
    opened: OpenFile,
    hint: str = "",
    fallback: Span | None = None,
) -> UserFailure:
    """The failure that tells a user about `error`, located in the file that is linted.

    The span is that of the innermost frame of the linted file, or of the syntax error, or of the
    import of the missing package; otherwise `fallback`, otherwise line 1. `hint` is added in
    brackets. The message holds no addresses, temporary paths or control characters, so that the
    same failure reads the same in every run.
    """
    if isinstance(error, UserError):
        inner = describe(error.error, error.stage, opened, hint, error.span or fallback)
        return replace(
            inner,
            constructor=error.constructor or inner.constructor,
            inputs=error.inputs or inner.inputs,
        )
    message = _message(error, opened)
    return UserFailure(
        stage=stage,
        error=_name(error),
        message=f"{message} ({hint})" if hint else message,
        span=locate(error, opened) or fallback or Span(opened.shown, 1),
        out_of_memory=ran_out_of_memory(error),
    )


def locate(error: BaseException, opened: OpenFile) -> Span | None:
    """Where in the linted file `error` came from, or None if no frame of that file took part."""
    for link in chain(error):
        span = _frame(link.__traceback__, opened)
        if isinstance(link, SyntaxError) and _is_linted(link.filename or "", opened):
            span = Span(opened.shown, link.lineno or 1, max(link.offset or 1, 1))
        if (
            isinstance(link, MissingPackageError)
            and span is None
            and _is_linted(link.importer, opened)
        ):
            span = Span(opened.shown, link.line)
        if span is not None:
            return span
    return None


def chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, the one inside it and those that it was raised from, without going in a circle."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        yield link
        seen.add(id(link))
        link = link.error if isinstance(link, UserError) else link.__cause__ or link.__context__


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an allocator gave up, be it Python's, torch's, that of C++ or of oneDNN."""
    return isinstance(error, MemoryError) or _NO_MEMORY.search(_text(error)) is not None


def clean(text: str, opened: OpenFile | None = None) -> str:
    """`text` as one line without control characters, addresses and paths of this machine."""
    if opened is not None:
        text = _relative(text, opened)
    lines = [_CONTROL.sub("", line).strip() for line in text.splitlines()]
    kept = [line for line in lines if line][:_LINES_KEPT]
    line = _ADDRESS.sub("", " ".join(kept)).encode("utf-8", "replace").decode("utf-8")
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


def brief(error: BaseException) -> str:
    """The kind and the text of `error` on one line, for use inside another message."""
    text = clean(_text(error))
    return f"{_name(error)}: {text}" if text else _name(error)


def _message(error: BaseException, opened: OpenFile) -> str:
    if isinstance(error, SystemExit):
        return clean(f"the code tried to exit with status {error.code!r}", opened)
    if isinstance(error, KeyboardInterrupt):
        return "the code raised KeyboardInterrupt"
    if ran_out_of_memory(error):
        return f"out of memory: more than {opened.memory_mb} MB were asked for"
    if isinstance(error, EOFError):
        return clean(f"{_text(error)} (linted code has no standard input)", opened)
    if isinstance(error, SyntaxError):
        return clean(error.msg, opened)
    return clean(_text(error), opened)


def _text(error: BaseException) -> str:
    # Any exception may come from here, because the user may have written this __str__.
    try:
        return str(error)
    except BaseException as second:  # noqa: BLE001
        return f"its text cannot be had: __str__ raised {type(second).__name__}"


def _name(error: BaseException) -> str:
    kind = ModuleNotFoundError if isinstance(error, MissingPackageError) else type(error)
    return clean(kind.__name__) or "Exception"


def _relative(text: str, opened: OpenFile) -> str:
    text = text.replace(opened.path, opened.shown)
    root = opened.root.rstrip(os.sep)
    text = text.replace(root + os.sep, "") if root else text
    return _temporary().sub(r"\1", text)


@lru_cache(maxsize=1)
def _temporary() -> re.Pattern[str]:
    """A path below the folder for temporary files; group 1 is its last part."""
    folder = re.escape(tempfile.gettempdir().rstrip(os.sep) + os.sep)
    return re.compile(rf"{folder}(?:[^\s'\":,;()]*[/\\])?([^\s'\":,;()/\\]+)")


def _frame(traceback: TracebackType | None, opened: OpenFile) -> Span | None:
    innermost = None
    while traceback is not None:
        if _is_linted(traceback.tb_frame.f_code.co_filename, opened):
            innermost = traceback
        traceback = traceback.tb_next
    return None if innermost is None else _span(innermost, opened)


def _span(traceback: TracebackType, opened: OpenFile) -> Span:
    line = max(traceback.tb_lineno or 1, 1)
    text = linecache.getline(opened.path, line)
    positions = getattr(traceback.tb_frame.f_code, "co_positions", None)
    if positions is not None and traceback.tb_lasti >= 0:
        place = list(positions())[traceback.tb_lasti // 2]
        if None not in place and place[0] == line:
            last = linecache.getline(opened.path, place[1])
            return Span(
                opened.shown,
                line,
                _column(text, place[2]),
                place[1],
                _column(last, place[3]),
            )
    return Span(opened.shown, line, len(text) - len(text.lstrip()) + 1)


def _column(line: str, offset: int) -> int:
    """The column, from 1, of a byte offset: the interpreter counts bytes of UTF-8."""
    return len(line.encode("utf-8", "replace")[:offset].decode("utf-8", "ignore")) + 1


def _is_linted(filename: str, opened: OpenFile) -> bool:
    return filename == opened.path or _same(filename, opened.path)


@lru_cache(maxsize=4096)
def _same(first: str, second: str) -> bool:
    if os.path.basename(first) != os.path.basename(second):
        return False
    return os.path.realpath(first) == os.path.realpath(second)
