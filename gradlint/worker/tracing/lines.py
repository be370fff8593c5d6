"""Lines of the linted file: from a stack of frames to the place in it."""

from __future__ import annotations

import itertools
import sys
from types import CodeType, FrameType

from gradlint.protocol.span import Span


class Source:
    """The linted file, and how a stack of frames is mapped to a line in it."""

    def __init__(self, path: str, shown: str) -> None:
        self.path = path
        self._shown = shown
        self._spans: dict[tuple[CodeType, int], Span] = {}

    def locate(self, frame: FrameType | None, *, building: object = None) -> Span | None:
        """The innermost line of the linted file below `frame`, constructors of `building` aside."""
        while frame is not None:
            if frame.f_code.co_filename == self.path and not _constructs(frame, building):
                return self._span(frame)
            frame = frame.f_back
        return None

    def _span(self, frame: FrameType) -> Span:
        key = (frame.f_code, frame.f_lasti)
        if key not in self._spans:
            self._spans[key] = self._position(frame)
        return self._spans[key]

    def _position(self, frame: FrameType) -> Span:
        if sys.version_info >= (3, 11):
            positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
            line, end_line, column, end_column = next(positions)
            if line and column is not None and end_column is not None:
                return Span(self._shown, line, column + 1, end_line or line, end_column + 1)
        return Span(self._shown, frame.f_lineno)


def _constructs(frame: FrameType, building: object) -> bool:
    """Whether `frame` is a constructor that is at work on `building` itself."""
    if building is None or not frame.f_code.co_varnames:
        return False
    return frame.f_locals.get(frame.f_code.co_varnames[0]) is building
