"""The parent's half of the worker: start it, ask it, stop waiting for it, bury it.

An interpreter of the user's choice imports torch once and forks a process for each file. Requests
and replies are lines of JSON on the interpreter's standard input and output, which the worker moves
out of the way before any user code runs; what the user's code prints arrives on standard error.
Where the code stood when it crashed or hung is written into an unnamed file that both hold.
Three outcomes are kept apart: an answer, a failure of the user's code, and a process that was lost.

The worker inherits the environment, with `ENVIRONMENT` on top of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, final

from gradlint.process.child import Child, Garbage, Gone
from gradlint.protocol.span import Span
from gradlint.protocol.wire import (
    Closed,
    CloseFile,
    Ended,
    Imported,
    Opened,
    OpenFile,
    Probed,
    ProbeModel,
    Ready,
    Reply,
    Request,
    Traced,
    TraceModel,
    UserFailure,
)

START_SECONDS = 120.0
"""How long an interpreter may take to import torch: a cold disk may need a minute."""

BURIAL_SECONDS = 5.0
"""How long a killed process may take to disappear before the whole worker is given up."""

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PYTHONHASHSEED": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
}
"""Set for the worker: the same numbers every time, no accelerator, no windows, no downloads."""

_CLOSE_SECONDS = 3.0  # what a busy machine may need to say what the answers rested on
_PIPES_LOST = 113
_ATOMIC_BYTES = 4096  # a pipe that is read now and then takes this much without blocking
_STACK_SIGNAL: int = getattr(signal, "SIGUSR2", 0)
_STACK_SECONDS = 1.0
_STACK_FRAME = re.compile(r'^  File "(?P<path>.*)", line (?P<line>\d+) in ', re.MULTILINE)
_ADVICE = "install torch 2.4 or newer there, or name another interpreter with --python"

# Runs in any Python, so that one that is too old can say so.
_BOOTSTRAP = """
import sys
if sys.version_info < (3, 10):
    sys.stdout.write('{"type":"UserFailure","stage":"torch","error":"RuntimeError",'
        '"message":"Python %d.%d is too old, 3.10 or newer is needed","span":null}\\n'
        % sys.version_info[:2])
    sys.exit(1)
if not sys.path[0]:
    del sys.path[0]
import importlib.util
folder = sys.argv[1]
spec = importlib.util.spec_from_file_location(
    "gradlint", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["gradlint"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["gradlint"])
from gradlint.worker.__main__ import main
main()
"""


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
class Worker:
    """An interpreter that serves files one after the other; a context manager.

    Construction starts it and does not wait. It is started again whenever it was lost.
    """

    def __init__(
        self,
        python: Path,
        *,
        memory_mb: int,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        fork: bool | None = None,
        service: str = "gradlint.worker.service",
    ) -> None:
        """Start `python`.

        `memory_mb` is what a file may take on top of torch itself, 0 for no limit; it goes into
        every request to open one. `timeout` bounds each answer, in seconds. `environment` goes on
        top of `ENVIRONMENT`. `fork` is false where each file shall have an interpreter of its own;
        None decides by platform. `service` is the module, or the `.py` file, with the `FileService`
        that answers.
        """
        self.python = python
        self.timeout = timeout
        self._memory_mb = memory_mb
        self._environment = {**os.environ, **ENVIRONMENT, **(environment or {})}
        self._environment.pop("PYTHONINSPECT", None)
        self._fork = _can_fork() if fork is None else fork
        self._service = service
        self._session: Session | None = None
        self._greeting: Ready | UserFailure | Lost | None = None
        self._child: Child | None = None
        self._start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def ready(self) -> Ready | UserFailure | Lost:
        """Wait until torch is imported.

        A `UserFailure` of stage `torch` means that this interpreter has no torch that serves, or
        cannot be run; its message names the interpreter and says what to do.
        """
        if self._child is None and self._greeting is None:
            self._start()
        if self._greeting is None:
            self._greeting = self._greet()
        return self._greeting

    def open(self, request: OpenFile) -> Session | Lost:
        """Begin a file in a process of its own, which starts to import it at once.

        A session that is still open is closed.
        """
        if self._session is not None:
            self._session.close()
        served_before = isinstance(self._greeting, Ready)
        opened = self._open(request)
        if isinstance(opened, Lost) and served_before and self._child is None:
            opened = self._open(request)  # because a server that died meanwhile is no verdict
        return opened

    def close(self) -> None:
        """End the worker and all that it runs; nothing of it is left afterwards."""
        session, self._session = self._session, None
        if session is not None:
            session.abandon()
        self._discard(gently=session is not None)

    def _start(self) -> None:
        self._greeting = None
        settings: dict[str, str | int | bool] = {
            "service": self._service,
            "fork": self._fork,
            "stack_signal": _STACK_SIGNAL,
            "pipes_lost": _PIPES_LOST,
        }
        folder = str(Path(__file__).resolve().parent.parent)
        command = [str(self.python), "-X", "utf8", "-u", "-c", _BOOTSTRAP, folder]
        try:
            self._child = Child(command, settings, self._environment)
        except OSError as error:
            self._child = None
            reason = error.strerror or str(error)
            self._greeting = self._unusable(type(error).__name__, f"it cannot be run: {reason}")

    def _greet(self) -> Ready | UserFailure | Lost:
        assert self._child is not None
        deadline = time.monotonic() + max(START_SECONDS, self.timeout)
        while True:
            match self._child.receive(deadline):
                case Ready() as ready:
                    return ready
                case UserFailure(error=error, message=message):
                    return self._unusable(error, message)
                case Gone(status=status):
                    return self._lost_at_start(_describe_end(status))
                case None:
                    seconds = max(START_SECONDS, self.timeout)
                    return self._lost_at_start(f"had not imported torch after {seconds:g} s")

    def _unusable(self, error: str, message: str) -> UserFailure:
        return UserFailure("torch", error, f"{self.python}: {message}; {_ADVICE}", None)

    def _lost_at_start(self, reason: str) -> Lost:
        assert self._child is not None
        self._child.output.wait_for_mark()
        last = self._child.output.text().strip().splitlines()[-1:]
        self._discard()
        printed = f"; it printed: {last[0][:300]}" if last else ""
        return Lost("start", f"{self.python} {reason}{printed}")

    def _open(self, request: OpenFile) -> Session | Lost:
        if self._child is None:
            self._start()  # also after a failure, because what was missing may be there now
        greeting = self.ready()
        if isinstance(greeting, Lost):
            return greeting
        if isinstance(greeting, UserFailure):
            return Lost("start", greeting.message)
        assert self._child is not None
        self._child.output.clear()
        self._child.stacks.clear()
        request = replace(request, memory_mb=self._memory_mb)
        deadline = time.monotonic() + self.timeout
        self._child.send(request, deadline)
        return self._opened(request, self._child.receive(deadline))

    def _opened(self, request: OpenFile, reply: Reply | Gone | Garbage | None) -> Session | Lost:
        match reply:
            case Opened(pid=pid) if self._child is not None:
                self._session = Session(self, self._child, request, pid)
                return self._session
            case UserFailure(message=message):
                return Lost(
                    "open",
                    f"no process could be started for {request.shown}: {message}",
                )
        self._discard()
        return Lost("open", f"the worker was lost before it began {request.shown}")

    def _ended(self, session: Session, reusable: bool) -> None:
        """Called by a session at its end."""
        if self._session is session:
            self._session = None
        if not (reusable and self._fork):
            self._discard()

    def _discard(self, gently: bool = False) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close(gently)
            self._greeting = None


@final
class Session:
    """One file, served by one process; all requests are about it.

    After `close`, `closed` is what the answers rested on, None where the process was lost.
    """

    def __init__(self, worker: Worker, child: Child, request: OpenFile, pid: int) -> None:
        self.pid = pid
        self.request = request
        self._worker = worker
        self._child = child
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
        seconds = self._worker.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        if request is not None:
            self._child.send(request, deadline)
        match self._child.receive(deadline):
            case None:
                return self._late(stage, f"timed out after {seconds:g} s while {doing}")
            case Ended(status=status) | Gone(status=status) as end:
                return self._crashed(stage, status, doing, reusable=isinstance(end, Ended))
            case Garbage():
                return self._garbled(stage, doing)
            case reply:
                return reply

    def _late(self, stage: str, reason: str) -> Lost:
        with contextlib.suppress(OSError):
            if _STACK_SIGNAL:
                os.kill(self.pid, _STACK_SIGNAL)
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
        return self._lose(stage, f"the process {_describe_end(status)}{memory} while {doing}", span)

    def _garbled(self, stage: str, doing: str) -> Lost:
        self._bury()
        self._worker._ended(self, reusable=False)
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
            self._worker._ended(self, reusable)


def _doing(request: TraceModel | ProbeModel, shown: str) -> tuple[str, str]:
    match request:
        case TraceModel(name=name):
            return "trace", f"tracing {name}"
    return "probe", f"probing a model of {shown}"


def _describe_end(status: int) -> str:
    if status == _PIPES_LOST:
        return "closed the pipes to gradlint"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed by signal {-status}"


def _can_fork() -> bool:
    # Not on macOS, because its system libraries, which torch uses, may not be used after a fork.
    return hasattr(os, "fork") and sys.platform != "darwin"
