"""One line on a terminal that says what a long run is doing."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gradlint.progress import Step, Watch

_DELAY = 0.7  # seconds; because a line that flashes up only disturbs
_PERIOD = 0.2
_CLEAR = "\r\x1b[2K"


@contextmanager
def watching(stream: TextIO | None = None) -> Iterator[Watch | None]:
    """Draw each step on standard error until the block ends; None where that is no terminal."""
    stream = stream or sys.stderr
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield None
        return
    meter = Meter(stream)
    try:
        yield meter.watch
    finally:
        meter.close()


class Meter:
    """Draws the step told last, with the seconds since it began, on a line of its own."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._born = clock()
        self._step: Step | None = None
        self._began = self._born
        self._drawn = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def watch(self, step: Step) -> None:
        """Remember a step; it is drawn by and by."""
        self._step, self._began = step, self._clock()

    def close(self) -> None:
        """Take the line away."""
        self._closed.set()
        self._thread.join()
        if self._drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def _run(self) -> None:
        while not self._closed.wait(_PERIOD):
            self.draw()

    def draw(self) -> None:
        """Write the line anew, unless the run is still young."""
        step, now = self._step, self._clock()
        if step is None or now - self._born < _DELAY:
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_CLEAR + described(step, now - self._began)[:width])
        self._stream.flush()
        self._drawn = True


def described(step: Step, seconds: float) -> str:
    """`12 of 80 files, probing models/net.py: Net, 4 s`."""
    from gradlint.reporters.presentation import cleaned

    doing = f"probing {step.path}: {step.model}" if step.model else f"importing {step.path}"
    waited = f", {seconds:.0f} s" if seconds >= 2 else ""
    return cleaned(f"{step.done} of {step.total} files, {doing}{waited}")
