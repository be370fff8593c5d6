"""How long the user's code may take to do one thing, whatever it does."""

from __future__ import annotations

import contextlib
import math
import re
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType

from gradlint.protocol.clock import now

_AGAIN = 1.0  # seconds, because an exception is lost where Python runs a destructor
_IMPORTS = 8.0  # seconds more, because a module whose import was interrupted stays half a module
_BETWEEN = 5e-5  # seconds, because what is run between two slow operations takes no more
_WORKER = str(Path(__file__).parent)


class OutOfTimeError(BaseException):
    """Leaves the user's code at once, through whatever it catches."""


class Budget:
    """Some seconds of this process, because that is what an answer may take."""

    def __init__(self, seconds: float) -> None:
        """Begin to count."""
        self._end = now() + seconds

    def left(self) -> float:
        """The seconds that are left, 0 where none are."""
        return max(self._end - now(), 0.0)

    def half(self) -> Budget:
        """Half of what is left, so that something is left for the next attempt."""
        return Budget(self.left() / 2.0)

    @contextlib.contextmanager
    def enforced(self) -> Iterator[None]:
        """Within it, Python code is interrupted when the time is over; one torch call is not.

        An import, what enters or leaves a block, and what the core of torch calls back for are
        left some seconds more to end in.

        Where there are no such timers, or outside of the main thread, nothing is interrupted. A
        budget around this one goes on afterwards.

        Raises:
            OutOfTimeError: the time was over.
        """
        left = self.left()
        main = threading.current_thread() is threading.main_thread()
        if math.isinf(left) or not main or not hasattr(signal, "setitimer"):
            yield
            return
        before = signal.signal(signal.SIGALRM, partial(_interrupt, self._end))
        rest, again = signal.setitimer(signal.ITIMER_REAL, max(left, 1e-3), _AGAIN)
        end = time.monotonic() + rest
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, before)
            around = max(end - time.monotonic(), 1e-3) if rest else 0.0
            signal.setitimer(signal.ITIMER_REAL, around, again)


def _interrupt(end: float, number: int, frame: FrameType | None) -> None:
    late = now() - end
    if late < 0.0:
        signal.setitimer(signal.ITIMER_REAL, 1e-3 - late, _AGAIN)
    elif late < _IMPORTS and _is_on_the_way(frame):
        signal.setitimer(signal.ITIMER_REAL, 1e-3, _AGAIN)
    elif late < _IMPORTS and _is_called_back(frame):
        signal.setitimer(signal.ITIMER_REAL, _BETWEEN, _AGAIN)
    elif late >= _IMPORTS or not _imports(frame):
        raise OutOfTimeError


_WAYS = frozenset("__enter__ __exit__ _push_mode _pop_mode _pop_mode_temporarily".split())


def _is_on_the_way(frame: FrameType | None) -> bool:
    """Whether a block is just entered or left, which would stay half of what it is otherwise.

    So with torch's stack of modes, on which every later pass rests.
    """
    innermost = (frame, frame.f_back) if frame is not None else ()
    return any(each is not None and each.f_code.co_name in _WAYS for each in innermost)


_CORE = re.compile(r"[\\/]torch[\\/](_library|_subclasses)[\\/]|[\\/]torch[\\/]_ops\.py$")


def _is_called_back(frame: FrameType | None) -> bool:
    """Whether torch's core asks Python what an operation gives, as it does without values.

    Because in places the core cannot pass an exception on, and ends the process: 101 of 600
    interruptions of passes without values did.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__torch_dispatch__" or _CORE.search(code.co_filename):
            return True
        frame = frame.f_back
    return False


def _imports(frame: FrameType | None) -> bool:
    """Whether what the worker called waits for an import."""
    while frame is not None and not frame.f_code.co_filename.startswith(_WORKER):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
