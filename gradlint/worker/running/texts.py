"""The text of the user's classes and functions, as it is written."""

from __future__ import annotations

import inspect
import linecache
import textwrap
from types import CodeType

from gradlint.worker.running.attempt import tried


def text_of(item: object) -> str:
    """The source of a class, a function or the code of one, dedented; "" where it is not known."""
    read = _lines_of if isinstance(item, CodeType) else inspect.getsource
    source = tried(read, item).value
    return textwrap.dedent(source) if isinstance(source, str) else ""


def _lines_of(code: CodeType) -> str:
    """Its lines alone, because `inspect` looks through all loaded modules for that of a code.

    Raises:
        IndexError: the file is gone, or shorter than it was.
    """
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    return "".join(inspect.getblock(lines))
