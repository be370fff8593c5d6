"""The parent's half of the worker: an interpreter that is started, asked and started again.

An interpreter of the user's choice imports torch once and forks a process for each file. Requests
and replies are lines of JSON on the interpreter's standard input and output, which the worker moves
out of the way before any user code runs; what the user's code prints arrives on standard error.

The worker inherits the environment, with `ENVIRONMENT` on top of it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, final

from gradlint.process.child import Child, Garbage, Gone
from gradlint.process.session import PIPES_LOST, STACK_SIGNAL, Lost, Session, ending
from gradlint.protocol.wire import Opened, OpenFile, Ready, Reply, UserFailure

START_SECONDS = 120.0
"""How long an interpreter may take to import torch: a cold disk may need a minute."""

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
            "stack_signal": STACK_SIGNAL,
            "pipes_lost": PIPES_LOST,
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
                    return self._lost_at_start(ending(status))
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
                self._session = Session(self._child, request, pid, self.timeout, self._ended)
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


def _can_fork() -> bool:
    # Not on macOS, because its system libraries, which torch uses, may not be used after a fork.
    return hasattr(os, "fork") and sys.platform != "darwin"
