"""The parent's half of the worker: start it, ask it, stop waiting for it, bury it.

An interpreter of the user's choice imports torch once and forks a process for each file. Requests
and replies are lines of JSON on the interpreter's standard input and output, which the worker moves
out of the way before any user code runs; what the user's code prints arrives on standard error.
Three outcomes are kept apart: an answer, a failure of the user's code, and a process that was lost.

The worker inherits the environment, with `ENVIRONMENT` on top of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from gradlint.span import Span
from gradlint.wire import (
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
    decode,
    encode,
)

START_SECONDS = 120.0
"""How long an interpreter may take to import torch: a cold disk may need a minute."""

BURIAL_SECONDS = 5.0
"""How long a killed process may take to disappear before the whole worker is given up."""

OUTPUT_BYTES = 64 * 1024
"""How much of the end of the user's output is kept."""

REPLY_BYTES = 256 * 2**20
"""The longest reply that is taken for one."""

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

_PIPES_LOST = 113
_ATOMIC_BYTES = 4096  # a pipe that is read now and then takes this much without blocking
_STACK_SIGNAL: int = getattr(signal, "SIGUSR2", 0)
_STACK_SECONDS = 0.5
_QUIET_SECONDS = 0.02
_STACK_HEADER = b"most recent call first"
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
    process crashed or its time was up, if that could be learnt.
    """

    stage: str
    reason: str
    span: Span | None = None


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
        self._interpreter: _Interpreter | None = None
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
        if isinstance(opened, Lost) and served_before and self._interpreter is None:
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
        mark = secrets.token_hex(16)
        settings = {
            "service": self._service,
            "fork": self._fork,
            "mark": mark,
            "stack_signal": _STACK_SIGNAL,
            "pipes_lost": _PIPES_LOST,
        }
        folder = str(Path(__file__).resolve().parent)
        command = [str(self.python), "-X", "utf8", "-u", "-c", _BOOTSTRAP, folder]
        try:
            self._interpreter = _Interpreter(
                [*command, json.dumps(settings)], self._environment, mark
            )
        except OSError as error:
            self._interpreter = None
            reason = error.strerror or str(error)
            self._greeting = self._unusable(type(error).__name__, f"it cannot be run: {reason}")

    def _greet(self) -> Ready | UserFailure | Lost:
        assert self._interpreter is not None
        deadline = time.monotonic() + max(START_SECONDS, self.timeout)
        while True:
            match self._interpreter.receive(deadline):
                case Ready() as ready:
                    return ready
                case UserFailure(error=error, message=message):
                    return self._unusable(error, message)
                case _Gone(status=status):
                    return self._lost_at_start(_describe_end(status))
                case None:
                    seconds = max(START_SECONDS, self.timeout)
                    return self._lost_at_start(f"had not imported torch after {seconds:g} s")

    def _unusable(self, error: str, message: str) -> UserFailure:
        return UserFailure("torch", error, f"{self.python}: {message}; {_ADVICE}", None)

    def _lost_at_start(self, reason: str) -> Lost:
        assert self._interpreter is not None
        last = self._interpreter.output.text().strip().splitlines()[-1:]
        self._discard()
        printed = f"; it printed: {last[0][:300]}" if last else ""
        return Lost("start", f"{self.python} {reason}{printed}")

    def _open(self, request: OpenFile) -> Session | Lost:
        if self._interpreter is None:
            self._start()
        greeting = self.ready()
        if isinstance(greeting, Lost):
            return greeting
        if isinstance(greeting, UserFailure):
            return Lost("start", greeting.message)
        assert self._interpreter is not None
        self._interpreter.output.clear()
        request = replace(request, memory_mb=self._memory_mb)
        deadline = time.monotonic() + self.timeout
        self._interpreter.send(request, deadline)
        return self._opened(request, self._interpreter.receive(deadline))

    def _opened(self, request: OpenFile, reply: Reply | _Gone | _Garbage | None) -> Session | Lost:
        match reply:
            case Opened(pid=pid) if self._interpreter is not None:
                self._session = Session(self, self._interpreter, request, pid)
                return self._session
            case UserFailure(message=message):
                return Lost("open", f"no process could be started for {request.shown}: {message}")
        self._discard()
        return Lost("open", f"the worker was lost before it began {request.shown}")

    def _ended(self, session: Session, reusable: bool) -> None:
        """Called by a session at its end."""
        if self._session is session:
            self._session = None
        if not (reusable and self._fork):
            self._discard()

    def _discard(self, gently: bool = False) -> None:
        interpreter, self._interpreter = self._interpreter, None
        if interpreter is not None:
            interpreter.close(gently)
            self._greeting = None


class Session:
    """One file, served by one process; all requests are about it."""

    def __init__(
        self, worker: Worker, interpreter: _Interpreter, request: OpenFile, pid: int
    ) -> None:
        self.pid = pid
        self.request = request
        self._worker = worker
        self._interpreter = interpreter
        self._imported: Imported | UserFailure | None = None
        self._lost: Lost | None = None
        self._closed = False
        self._output = ""

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
        return self._output if self._closed else self._interpreter.output.text()

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
        """End the file's process; it is killed unless it ends by itself at once."""
        if self._closed:
            return
        if self._imported is not None:
            self._interpreter.send(CloseFile(), time.monotonic() + 1)
            if self._await_end(1.0):
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
            self._interpreter.send(request, deadline)
        match self._interpreter.receive(deadline):
            case None:
                return self._late(stage, f"timed out after {seconds:g} s while {doing}")
            case Ended(status=status) | _Gone(status=status) as end:
                return self._crashed(stage, status, doing, reusable=isinstance(end, Ended))
            case _Garbage():
                return self._garbled(stage, doing)
            case reply:
                return reply

    def _late(self, stage: str, reason: str) -> Lost:
        span = self._stack_span() if self._ask_for_stack() else None
        self._bury()
        return self._lose(stage, reason, span)

    def _crashed(self, stage: str, status: int, doing: str, reusable: bool) -> Lost:
        if not reusable:
            self._kill()
        self._interpreter.output.wait_for_mark()
        text = self._interpreter.output.text()
        span = self._stack_span() if status < 0 else None
        memory = " (out of memory?)" if status == -9 or "bad_alloc" in text else ""
        self._finish(reusable)
        return self._lose(stage, f"the process {_describe_end(status)}{memory} while {doing}", span)

    def _garbled(self, stage: str, doing: str) -> Lost:
        self._bury()
        self._worker._ended(self, reusable=False)
        reason = f"something other than an answer came through gradlint's own pipe while {doing}"
        return self._lose(stage, reason)

    def _lose(self, stage: str, reason: str, span: Span | None = None) -> Lost:
        self._lost = Lost(stage, reason, span)
        return self._lost

    def _ask_for_stack(self) -> bool:
        if not _STACK_SIGNAL:
            return False
        stacks = self._interpreter.output.count(_STACK_HEADER)
        with contextlib.suppress(OSError):
            os.kill(self.pid, _STACK_SIGNAL)
        return self._interpreter.output.wait_for(_STACK_HEADER, _STACK_SECONDS, stacks + 1)

    def _stack_span(self) -> Span | None:
        """The innermost frame of the linted file in the last stack that the process printed."""
        path = self.request.path.encode("ascii", "backslashreplace").decode()
        for frame in _STACK_FRAME.finditer(self._interpreter.output.stack()):
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
            match self._interpreter.receive(deadline):
                case Ended():
                    self._interpreter.output.wait_for_mark()
                    return True
                case None | _Gone():
                    return False

    def _finish(self, reusable: bool) -> None:
        if not self._closed:
            self._output = self._interpreter.output.text()
            self._closed = True
            self._worker._ended(self, reusable)


@dataclass(frozen=True, slots=True)
class _Gone:
    """The interpreter has ended with this status, and there is nothing left to read."""

    status: int


@dataclass(frozen=True, slots=True)
class _Garbage:
    """A line that is no reply."""


class _Interpreter:
    """One child process and its three pipes; the two that it writes are read by threads."""

    def __init__(self, command: list[str], environment: Mapping[str, str], mark: str) -> None:
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._writing = threading.Lock()
        self.output = _Output(mark)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._readers = [
            _read_in_thread(self._process.stdout, _Lines(self._lines).take),
            _read_in_thread(self._process.stderr, self.output.take),
        ]

    def send(self, message: Request, deadline: float) -> None:
        """Write one request; one that cannot be written in time is noticed as a missing answer."""
        # The newline first, because the process before may have died in the middle of reading.
        line = b"\n" + encode(message)
        if len(line) <= _ATOMIC_BYTES:
            self._write(line)
            return
        thread = threading.Thread(target=self._write, args=(line,), daemon=True)
        thread.start()
        thread.join(max(deadline - time.monotonic(), 0))

    def receive(self, deadline: float) -> Reply | _Gone | _Garbage | None:
        """The next reply; None if none has come by `deadline`, a time of `time.monotonic`."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=min(left, 0.25))
            except queue.Empty:
                # Asked as well, because what the user's code left behind may hold the pipe open.
                if self._process.poll() is not None and self._lines.empty():
                    return _Gone(self._process.returncode)
                continue
            if line is None:
                return self._gone(deadline)
            if line:
                return _reply(line)
        return None

    def close(self, gently: bool) -> None:
        """End the process and give everything back.

        With `gently`, closing its requests tells it to bury what the user's code left behind.
        """
        if not gently:
            self._kill()
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self._process.wait(BURIAL_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1)

    def _gone(self, deadline: float) -> _Gone | None:
        self._lines.put(None)
        try:
            return _Gone(self._process.wait(max(deadline - time.monotonic(), 1)))
        except subprocess.TimeoutExpired:
            return None

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _write(self, line: bytes) -> None:
        with self._writing, contextlib.suppress(OSError, ValueError):
            while line:
                line = line[self._stdin.write(line) :]


class _Lines:
    """Cuts what arrives into lines, and passes on None at the end."""

    def __init__(self, lines: queue.SimpleQueue[bytes | None]) -> None:
        self._lines = lines
        self._parts: list[bytes] = []
        self._held = 0

    def take(self, chunk: bytes) -> None:
        """Pass on the lines that `chunk` completes; empty at the end."""
        if not chunk:
            self._lines.put(None)
            return
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            self._lines.put(b"".join([*self._parts, line]))
            self._parts, self._held = [], 0
        self._parts.append(rest)
        self._held += len(rest)
        if self._held > REPLY_BYTES:
            self._parts, self._held = [b"too long"], 8


class _Output:
    """The end of what the user's code printed, and a way to wait for something in it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._text = bytearray()
        self._changed = threading.Condition()
        self._ended = False

    def take(self, chunk: bytes) -> None:
        """Append `chunk`; empty at the end."""
        with self._changed:
            self._text += chunk
            del self._text[: -OUTPUT_BYTES - len(self._mark)]
            self._ended = not chunk
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget what was printed so far."""
        with self._changed:
            self._text.clear()

    def wait_for_mark(self) -> None:
        """Wait until all that the ended process printed has arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._mark in self._text, 1.0)

    def wait_for(self, wanted: bytes, seconds: float, times: int = 1) -> bool:
        """Wait until `wanted` was printed so many times and nothing follows it; whether it was."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ended or self._text.count(wanted) >= times, seconds
            )
            while not self._ended and self._changed.wait(_QUIET_SECONDS) and seconds > 0:
                seconds -= _QUIET_SECONDS
            return self._text.count(wanted) >= times

    def count(self, wanted: bytes) -> int:
        """How often `wanted` stands in what is kept."""
        with self._changed:
            return self._text.count(wanted)

    def text(self) -> str:
        """What was printed; bytes that are not UTF-8 are replaced."""
        with self._changed:
            kept = bytes(self._text)
        text = kept.replace(b"\n" + self._mark + b"\n", b"")[-OUTPUT_BYTES:]
        return text.decode("utf-8", "replace")

    def stack(self) -> str:
        """The last Python stack that was printed, innermost frame first; empty if there is none."""
        return self.text().rpartition("most recent call first")[2]


def _read_in_thread(pipe: IO[bytes] | None, take: Callable[[bytes], None]) -> threading.Thread:
    thread = threading.Thread(target=_read, args=(pipe, take), daemon=True)
    thread.start()
    return thread


def _read(pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
    """Read to the end and close; the thread owns the pipe, so that nobody closes it meanwhile."""
    with pipe, contextlib.suppress(OSError, ValueError):
        while chunk := pipe.read(1 << 16):
            take(chunk)
    take(b"")


def _reply(line: bytes) -> Reply | _Garbage:
    try:
        message = decode(line)
    except ValueError:
        return _Garbage()
    return message if isinstance(message, Reply) else _Garbage()


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
