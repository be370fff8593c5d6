"""How the worker serves one file after the other, each in a process of its own.

The parent process writes requests into one pipe and reads replies from another; a third carries
what the user's code prints. All three belong to the server and to the one process that it forks
for the file being served. That process reads its requests itself, while the server waits for its
end. Whatever happens to it, the server then says `Ended`, kills what it left behind, and serves the
next file.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NoReturn, Protocol

from gradlint.protocol.span import Span
from gradlint.protocol.wire import (
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
from gradlint.worker.loading.dependencies import Dependencies
from gradlint.worker.loading.load import Loaded, load
from gradlint.worker.loading.standin import StandIn
from gradlint.worker.loading.toplevel import late
from gradlint.worker.running.compiler import spare_compiler
from gradlint.worker.running.failure import brief, chain, describe
from gradlint.worker.running.limits import adopt_orphans, confine, die_with_parent, seed_generators

OLDEST_TORCH = (2, 4)

_PRIVATE_FILES = 100
_ORPHAN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the parent decides: `service` is a module or a `.py` file that has a `FileService`.

    `mark` is written to the output when a file has ended. `stack_signal` asks a process for its
    Python stack, 0 for none; it is written to the descriptor `stacks`. `pipes_lost` is the exit
    status of a process that found its pipes closed by the user's code.
    """

    service: str
    fork: bool
    mark: str
    stack_signal: int
    stacks: int
    pipes_lost: int


class Service(Protocol):
    """Serves one imported file; see `gradlint.worker.service`."""

    def trace(self, request: TraceModel) -> Traced:
        """Build a model and trace it."""

    def probe(self, request: ProbeModel) -> Probed:
        """Measure claims on the model traced last."""


MakeService = Callable[[ModuleType, OpenFile, Mapping[str, object]], Service]


class Pipes:
    """The worker's ends of the pipes, on file descriptors out of the way of the user's code."""

    def __init__(self) -> None:
        self.requests = _move_away(0)
        self.replies = _move_away(1)
        self._unread = b""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def receive(self) -> Request | None:
        """The next request; None where the parent is gone. What is no request is passed over."""
        while True:
            while b"\n" not in self._unread:
                chunk = os.read(self.requests, 1 << 16)
                if not chunk:
                    return None
                self._unread += chunk
            line, _, self._unread = self._unread.partition(b"\n")
            with contextlib.suppress(ValueError):
                message = decode(line)
                if isinstance(message, Request):
                    return message

    def send(self, reply: Reply) -> None:
        """Write one reply."""
        self.send_line(encode(reply))

    def send_line(self, line: bytes) -> None:
        """Write one encoded reply."""
        while line:
            line = line[os.write(self.replies, line) :]

    def parent_is_gone(self) -> bool:
        """Whether nobody can write requests any more."""
        poll = select.poll()
        poll.register(self.requests, 0)
        return bool(poll.poll(0))


def _move_away(descriptor: int) -> int:
    try:
        import fcntl
    except ImportError:  # Windows: a copy is enough.
        return os.dup(descriptor)
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _PRIVATE_FILES)


def run(settings: Settings, pipes: Pipes) -> None:
    """Import torch, say `Ready` or why not, and serve files until the parent is gone."""
    gc.disable()  # because an import makes next to no garbage, and looking for it takes 0.1 s
    make_service = _prepare(settings.service, pipes)
    if make_service is None:
        return
    seed_generators()
    gc.freeze()  # because objects that stay for good need not be walked, and copied, in every fork
    gc.enable()
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork.*")
    adopt_orphans()
    while (request := pipes.receive()) is not None:
        if isinstance(request, OpenFile):
            if not settings.fork:
                _serve_here(request, settings, pipes, make_service)
            if not _serve_in_fork(request, settings, pipes, make_service):
                return


def _prepare(service: str, pipes: Pipes) -> MakeService | None:
    # Anything may be raised here, because a broken torch breaks in many ways.
    try:
        torch = importlib.import_module("torch")
        version = str(torch.__version__)
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST_TORCH:
            needed = ".".join(map(str, OLDEST_TORCH))
            raise ImportError(f"torch {version} is too old, {needed} or newer is needed")
        spare_compiler()
    except BaseException as error:  # noqa: BLE001
        reason = f"torch cannot be used: {brief(error)}"
        pipes.send(UserFailure("torch", type(error).__name__, reason, None))
        return None
    make_service: MakeService = _import_service(service).FileService
    python = ".".join(map(str, sys.version_info[:3]))
    pipes.send(Ready(torch=version, python=python))
    return make_service


def _import_service(name: str) -> ModuleType:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("gradlint_service", name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _serve_here(
    opened: OpenFile, settings: Settings, pipes: Pipes, make_service: MakeService
) -> NoReturn:
    if hasattr(select, "poll"):
        threading.Thread(target=_end_with_parent, args=(pipes,), daemon=True).start()
    _serve_file(opened, settings, pipes, make_service)


def _serve_in_fork(
    opened: OpenFile, settings: Settings, pipes: Pipes, make_service: MakeService
) -> bool:
    """Serve one file in a new process; false if the parent went away meanwhile."""
    server = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        pipes.send(UserFailure("open", "OSError", brief(error), None))
        return True
    if child == 0:
        os.setsid()
        die_with_parent(server)
        _serve_file(opened, settings, pipes, make_service)
    alone = _wait(child, pipes)
    status = _bury(child)
    # The newline first, because the process may have died in the middle of a reply.
    os.write(2, f"\n{settings.mark}\n".encode())
    pipes.send_line(b"\n" + encode(Ended(status)))
    return not alone


def _wait(child: int, pipes: Pipes) -> bool:
    """Wait until the child ends, without reaping it; true if the parent went away first."""
    with _process_descriptor(child) as descriptor:
        poll = select.poll()
        poll.register(pipes.requests, 0)
        if descriptor >= 0:
            poll.register(descriptor, select.POLLIN)
        while not _has_ended(child):
            ready = [number for number, _ in poll.poll(None if descriptor >= 0 else 10)]
            if pipes.requests in ready:
                return True
    return False


@contextlib.contextmanager
def _process_descriptor(child: int) -> Iterator[int]:
    """A descriptor that becomes readable when the process ends; -1 where there is none."""
    try:
        descriptor = os.pidfd_open(child)
    except (AttributeError, OSError):
        yield -1
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _bury(child: int) -> int:
    """Kill the child and all that it started, and reap them; the child's exit status."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    give_up = time.monotonic() + _ORPHAN_SECONDS
    while _kill_children() and time.monotonic() < give_up:
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(status)


def _kill_children() -> bool:
    """Kill and reap what children there are; true if there may be more."""
    server = os.getpid()
    with contextlib.suppress(OSError):
        for orphan in Path(f"/proc/self/task/{server}/children").read_text().split():
            os.kill(int(orphan), signal.SIGKILL)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _end_with_parent(pipes: Pipes) -> None:
    """In a process that nobody waits for: end it when the parent is gone."""
    while not pipes.parent_is_gone():
        time.sleep(1)
    os._exit(0)


def _serve_file(
    opened: OpenFile, settings: Settings, pipes: Pipes, make_service: MakeService
) -> NoReturn:
    """Import the file and answer requests about it until `CloseFile`; then end the process."""
    status = 1
    try:
        confine(opened.memory_mb, opened.root, settings.stacks, settings.stack_signal)
        pipes.send(Opened(os.getpid()))
        _Session(opened, pipes, make_service).run()
        status = 0
    except OSError:
        status = settings.pipes_lost
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        # Not sys.exit, because the user's threads and exit handlers must not keep the process.
        os._exit(status)


class _Session:
    """One file in its own process, from import to `CloseFile`."""

    def __init__(self, opened: OpenFile, pipes: Pipes, make_service: MakeService) -> None:
        self._opened = opened
        self._pipes = pipes
        self._make_service = make_service
        self._process = os.getpid()
        self._loaded: Loaded | None = None
        self._service: Service | None = None
        self._dependencies = Dependencies(opened)

    def run(self) -> None:
        """Answer requests until `CloseFile` or the end of the parent.

        Raises:
            OSError: the user's code closed the pipes.
        """
        self._dependencies.listen()
        imported = self._attempt("import", self._import)
        self._reply(imported)
        while (request := self._pipes.receive()) is not None:
            match request, self._service:
                case CloseFile(), _:
                    self._reply(encode(self._dependencies.found(settled=not late)))
                    return
                case ((TraceModel() | ProbeModel()), None):
                    self._reply(imported)
                case TraceModel(), service if service is not None:
                    self._reply(self._attempt("forward", partial(service.trace, request)))
                case ProbeModel(), service if service is not None:
                    self._reply(self._attempt("backward", partial(service.probe, request)))

    def _import(self) -> Imported:
        loaded = load(self._opened)
        gc.freeze()  # because what was imported stays as well
        self._loaded = loaded
        self._service = self._make_service(loaded.module, self._opened, loaded.journal.assumed)
        return Imported(loaded.skipped, loaded.missing)

    def _attempt(self, stage: str, work: Callable[[], Reply]) -> bytes:
        """The encoded reply of `work`, or the failure that the user's code made of it."""
        # Everything is caught, SystemExit and KeyboardInterrupt too, because the process serves
        # the file's other models whatever one of them does.
        try:
            return encode(work())
        except BaseException as error:  # noqa: BLE001
            hint, span = self._explain(error)
            return encode(describe(error, stage, self._opened, hint, span))

    def _reply(self, line: bytes) -> None:
        if os.getpid() != self._process:
            os._exit(0)  # because the user's code forked, and only the first process may answer
        self._pipes.send_line(line)

    def _explain(self, error: BaseException) -> tuple[str, Span | None]:
        """What was left out of the import that may be behind `error`, and where it stands."""
        if self._loaded is None:
            return "", None
        for link in chain(error):
            if isinstance(link, NameError) and (entry := self._loaded.not_run(link.name or "")):
                line = entry.span.line
                return (
                    f"line {line}, which gives it its value, was not run: {entry.reason}",
                    entry.span,
                )
            if isinstance(link, TypeError) and StandIn.__name__ in str(link):
                return f"not installed: {', '.join(self._loaded.missing)}", None
        return "", None
