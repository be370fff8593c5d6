"""The text of the user's classes and functions, as it is written."""

from __future__ import annotations

import functools
import inspect
import linecache
import textwrap
from types import CodeType, FunctionType, MethodType

from gradlint.worker.running.attempt import tried


def text_of(item: object) -> str:
    """The source of a class, a function or the code of one, dedented; "" where it is not known."""
    if isinstance(item, (FunctionType, MethodType)):
        item = getattr(tried(inspect.unwrap, item).value, "__code__", None)
    if isinstance(item, CodeType):
        return _text_of(item)
    source = tried(inspect.getsource, item).value
    return textwrap.dedent(source) if isinstance(source, str) else ""


@functools.lru_cache(maxsize=256)
def _text_of(code: CodeType) -> str:
    """Its lines alone, because `inspect` looks through all loaded modules for that of a code."""
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
    block = tried(inspect.getblock, lines).value
    return textwrap.dedent("".join(block)) if isinstance(block, list) else ""
