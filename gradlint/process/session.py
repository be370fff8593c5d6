"""One file that a worker serves: ask it, stop waiting for it, bury it.

Three outcomes are kept apart: an answer, a failure of the user's code, and a process that was lost.
Where the code stood when it crashed or hung is written into an unnamed file that both hold.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import final

from gradlint.process.child import Child, Garbage, Gone
from gradlint.protocol.clock import queued
from gradlint.protocol.span import Span
from gradlint.protocol.wire import (
    Closed,
    CloseFile,
    Ended,
    Imported,
    OpenFile,
    Probed,
    ProbeModel,
    Reply,
    Request,
    Traced,
    TraceModel,
    UserFailure,
)

BURIAL_SECONDS = 5.0
"""How long a killed process may take to disappear before the whole worker is given up."""

PIPES_LOST = 113
"""The status with which a process ends that can no longer answer."""

STACK_SIGNAL: int = getattr(signal, "SIGUSR2", 0)
"""What makes a process write down where it is, 0 where the system has no such signal."""

_LONGEST = 4.0  # times a limit, however little of it the process had a processor
_TICK = 0.01  # seconds that are not worth to wait for
_CLOSE_SECONDS = 3.0  # what a busy machine may need to say what the answers rested on
_STACK_SECONDS = 1.0
_STACK_FRAME = re.compile(r'^  File "(?P<path>.*)", line (?P<line>\d+) in ', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Lost:
    """The process that was asked is gone or was given up, and nothing is known of the answer.

    `stage` is start, open, import, trace or probe. `span` is where the user's code was when the
    process crashed or its time was up, if that could be learnt. `late` says that it was given up.
    """

    stage: str
    reason: str
    span: Span | None = None
    late: bool = False


@final
class Session:
    """One file, served by one process; all requests are about it; a context manager.

    `timeout` bounds each answer, in seconds in which the process has a processor. At its end it
    calls `ended` with itself and whether the worker can serve another file. After `close`, `closed`
    is what the answers rested on, None where the process was lost.
    """

    def __init__(
        self,
        child: Child,
        request: OpenFile,
        pid: int,
        timeout: float,
        ended: Callable[[Session, bool], None],
    ) -> None:
        self.pid = pid
        self.request = request
        self._child = child
        self._timeout = timeout
        self._ended = ended
        self._imported: Imported | UserFailure | None = None
        self._lost: Lost | None = None
        self._closed = False
        self._output = ""
        self.closed: Closed | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def output(self) -> str:
        """The end of what the user's code has printed, at most `OUTPUT_BYTES` of it."""
        return self._output if self._closed else self._child.output.text()

    def import_file(self, *, timeout: float | None = None) -> Imported | UserFailure | Lost:
        """Wait until the file is imported; the answer is remembered."""
        if self._imported is None:
            doing = f"importing {self.request.shown}"
            match self._converse(None, "import", doing, timeout):
                case Imported() | UserFailure() as reply:
                    self._imported = reply
                case Lost() as lost:
                    return lost
                case _:
                    return self._garbled("import", doing)
        assert self._imported is not None
        return self._lost or self._imported

    def ask(
        self, request: TraceModel | ProbeModel, *, timeout: float | None = None
    ) -> Traced | Probed | UserFailure | Lost:
        """Ask about one model; the import is waited for first.

        After a `Lost` every further question gets the same answer. `timeout` is in seconds.
        """
        imported = self.import_file(timeout=timeout)
        if not isinstance(imported, Imported):
            return imported
        stage, doing = _doing(request, self.request.shown)
        if isinstance(request, TraceModel):
            seconds = self._timeout if timeout is None else timeout
            request = replace(request, seconds=seconds)
        match request, self._converse(request, stage, doing, timeout):
            case _, (UserFailure() | Lost()) as reply:
                return reply
            case TraceModel(), Traced() as reply:
                return reply
            case ProbeModel(), Probed() as reply:
                return reply
        return self._garbled(stage, doing)

    def close(self) -> None:
        """End the file's process; it is killed unless it ends by itself soon."""
        if self._closed:
            return
        if self._imported is not None:
            self._child.send(CloseFile(), time.monotonic() + 1)
            if self._await_end(_CLOSE_SECONDS):
                self._finish(reusable=True)
                return
        self._bury()

    def abandon(self) -> None:
        """Kill the file's process and wait for nothing, because the worker ends as well."""
        self._kill()
        self._closed = True

    def _converse(
        self, request: Request | None, stage: str, doing: str, timeout: float | None
    ) -> Reply | Lost:
        if self._lost is not None or self._closed:
            return self._lost or Lost(stage, f"the session was closed before {doing}")
        seconds = self._timeout if timeout is None else timeout
        if request is not None:
            self._child.send(request, time.monotonic() + seconds)
        match self._answer(seconds):
            case None:
                return self._late(stage, f"timed out after {seconds:g} s while {doing}")
            case Ended(status=status) | Gone(status=status) as end:
                return self._crashed(stage, status, doing, reusable=isinstance(end, Ended))
            case Garbage():
                return self._garbled(stage, doing)
            case reply:
                return reply

    def _answer(self, seconds: float) -> Reply | Gone | Garbage | None:
        """The next reply; None if none came in so many seconds in which the process could run."""
        start, before = time.monotonic(), queued(self.pid)
        deadline = start + seconds
        while True:
            reply = self._child.receive(deadline)
            allowed = min(seconds + queued(self.pid) - before, _LONGEST * seconds)
            if reply is not None or start + allowed - deadline < _TICK:
                return reply
            deadline = start + allowed

    def _late(self, stage: str, reason: str) -> Lost:
        with contextlib.suppress(OSError):
            if STACK_SIGNAL:
                os.kill(self.pid, STACK_SIGNAL)
        self._child.stacks.wait(_STACK_SECONDS)
        span = self._stack_span()
        self._bury()
        return self._lose(stage, reason, span, late=True)

    def _crashed(self, stage: str, status: int, doing: str, reusable: bool) -> Lost:
        if not reusable:
            self._kill()
        self._child.output.wait_for_mark()
        text = self._child.output.text()
        span = self._stack_span()
        memory = " (out of memory?)" if status == -9 or "bad_alloc" in text else ""
        self._finish(reusable)
        return self._lose(stage, f"the process {ending(status)}{memory} while {doing}", span)

    def _garbled(self, stage: str, doing: str) -> Lost:
        self._bury()
        self._ended(self, False)
        reason = f"something other than an answer came through gradlint's own pipe while {doing}"
        return self._lose(stage, reason)

    def _lose(
        self, stage: str, reason: str, span: Span | None = None, *, late: bool = False
    ) -> Lost:
        self._lost = Lost(stage, reason, span, late)
        return self._lost

    def _stack_span(self) -> Span | None:
        """The innermost frame of the linted file in the stack that the process left."""
        path = self.request.path.encode("ascii", "backslashreplace").decode()
        for frame in _STACK_FRAME.finditer(self._child.stacks.text()):
            if frame["path"] == path:
                return Span(self.request.shown, int(frame["line"]))
        return None

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(OSError):
                    kill(self.pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Kill the process and wait until the server has seen it end."""
        self._kill()
        self._finish(reusable=self._await_end(BURIAL_SECONDS))

    def _await_end(self, seconds: float) -> bool:
        """Whether the server says in time that the process ended; other replies are late ones."""
        deadline = time.monotonic() + seconds
        while True:
            match self._child.receive(deadline):
                case Closed() as closed:
                    self.closed = closed
                case Ended():
                    self._child.output.wait_for_mark()
                    return True
                case None | Gone():
                    return False

    def _finish(self, reusable: bool) -> None:
        if not self._closed:
            self._output = self._child.output.text()
            self._closed = True
            self._ended(self, reusable)


def _doing(request: TraceModel | ProbeModel, shown: str) -> tuple[str, str]:
    match request:
        case TraceModel(name=name):
            return "trace", f"tracing {name}"
    return "probe", f"probing a model of {shown}"


def ending(status: int) -> str:
    """How a process ended, in words: `exited with status 1`."""
    if status == PIPES_LOST:
        return "closed the pipes to gradlint"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed by signal {-status}"
