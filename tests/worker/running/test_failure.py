"""How exceptions become messages that read the same in every run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlint.protocol.span import Span
from gradlint.protocol.wire import OpenFile
from gradlint.worker.running.failure import (
    LONGEST_MESSAGE,
    UserError,
    brief,
    clean,
    describe,
    ran_out_of_memory,
)

Raised = Callable[[str], tuple[BaseException, OpenFile]]


@pytest.fixture
def raised(tmp_path: Path) -> Raised:
    """Runs a source as the linted file and gives what it raised."""

    def run(source: str) -> tuple[BaseException, OpenFile]:
        path = tmp_path / "net.py"
        path.write_text(source, encoding="utf-8")
        opened = OpenFile(str(path), "sub/net.py", str(tmp_path), "", (), 512)
        try:
            exec(compile(source, str(path), "exec"), {})
        except BaseException as error:  # noqa: BLE001 - a test of what may be raised
            return error, opened
        raise AssertionError("the source raised nothing")

    return run


def test_the_span_is_the_innermost_expression_of_the_linted_file(raised: Raised) -> None:
    error, opened = raised("import json\ndef f():\n    é = 'é'; x = json.loads(é)\nf()")
    span = describe(error, "forward", opened).span
    assert span is not None
    assert (span.path, span.line) == ("sub/net.py", 3)
    if span.end_line:  # Python 3.11 and later know the columns.
        assert (span.column, span.end_line, span.end_column) == (18, 3, 31)


def test_an_exception_that_was_raised_from_another_is_located_by_that(raised: Raised) -> None:
    error, opened = raised("x = 1\n1 / 0")
    outer = RuntimeError("while building")
    outer.__cause__ = error
    failure = describe(outer, "build", opened)
    assert (failure.error, failure.message) == ("RuntimeError", "while building")
    assert failure.span is not None
    assert failure.span.line == 2


def test_an_error_of_no_frame_of_the_file_takes_the_fallback(raised: Raised) -> None:
    _, opened = raised("1 / 0")
    fallback = Span("sub/net.py", 9)
    assert describe(ValueError("x"), "build", opened).span == Span("sub/net.py", 1)
    assert (
        describe(UserError("inputs", ValueError("x"), fallback), "build", opened).span == fallback
    )


def test_a_user_error_says_the_stage(raised: Raised) -> None:
    error, opened = raised("1 / 0")
    failure = describe(UserError("backward", error), "build", opened, hint="why")
    assert (failure.stage, failure.error) == ("backward", "ZeroDivisionError")
    assert failure.message == "division by zero (why)"


def test_exceptions_that_refer_to_each_other_are_described(raised: Raised) -> None:
    _, opened = raised("1 / 0")
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert describe(first, "build", opened).message == "first"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\n\n  two\nthree\nfour", "one two three"),
        ("\x1b[31mred\x1b[0m \x00bell\x07", "red bell"),
        ("<Net object at 0x7f12ab34cd56> and 0xdeadbeef", "<Net object> and "),
        ("\ud800 alone", "? alone"),
        ("x" * 1000, "x" * (LONGEST_MESSAGE - 1) + "…"),
    ],
    ids=["lines", "control characters", "addresses", "surrogates", "length"],
)
def test_a_message_is_one_clean_line(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_paths_of_this_machine_are_left_out(raised: Raised) -> None:
    _, opened = raised("1 / 0")
    folder = tempfile.gettempdir()
    text = f"{opened.path}, {opened.root}/data/x.bin and {folder}/ab12cd/deep/weights.bin"
    assert clean(text, opened) == "sub/net.py, data/x.bin and weights.bin"


def test_the_kind_stands_alone_where_there_is_no_text() -> None:
    assert brief(AssertionError()) == "AssertionError"
    assert brief(KeyError("x")) == "KeyError: 'x'"


def test_out_of_memory_names_the_limit(raised: Raised) -> None:
    _, opened = raised("1 / 0")
    assert "512 MB" in describe(MemoryError(), "forward", opened).message


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes", True),
        ("could not create a primitive", True),
        ("could not create a primitive descriptor for a convolution of these types", False),
        ("Given groups=1, expected 3 channels", False),
    ],
    ids=["torch", "oneDNN", "what oneDNN cannot do", "shapes"],
)
def test_memory_has_ended_where_an_allocator_gave_up(text: str, ended: bool) -> None:
    assert ran_out_of_memory(RuntimeError(text)) is ended
