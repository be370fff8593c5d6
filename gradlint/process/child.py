"""One interpreter that runs user code: its pipes, its output, and where its code stopped."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from gradlint.protocol.wire import Reply, Request, decode, encode

OUTPUT_BYTES = 64 * 1024
"""How much of the end of the user's output is kept."""

REPLY_BYTES = 256 * 2**20
"""The longest reply that is taken for one."""

_END_SECONDS = 5.0
_DRAIN_SECONDS = 1.0
_ATOMIC_BYTES = 4096  # a pipe that is read now and then takes this much without blocking


@dataclass(frozen=True, slots=True)
class Gone:
    """The interpreter has ended with this status, and there is nothing left to read."""

    status: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """A line that is no reply."""


class Child:
    """One child process and its three pipes; the two that it writes are read by threads."""

    def __init__(
        self,
        command: list[str],
        settings: Mapping[str, str | int | bool],
        environment: Mapping[str, str],
    ) -> None:
        mark = secrets.token_hex(16)
        self.output = Output(mark)
        self.stacks = Stacks()
        whole = {**settings, "mark": mark, "stacks": self.stacks.descriptor}
        try:
            self._process = subprocess.Popen(
                [*command, json.dumps(whole)],
                pass_fds=() if self.stacks.descriptor < 0 else (self.stacks.descriptor,),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError:
            self.stacks.close()
            raise
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        self._writing = threading.Lock()
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

    def receive(self, deadline: float) -> Reply | Gone | Garbage | None:
        """The next reply; None if none has come by `deadline`, a time of `time.monotonic`."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=min(left, 0.25))
            except queue.Empty:
                # Asked as well, because what the user's code left behind may hold the pipe open.
                if self._process.poll() is not None and self._lines.empty():
                    return Gone(self._process.returncode)
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
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)
        self.stacks.close()

    def _gone(self, deadline: float) -> Gone | None:
        self._lines.put(None)
        try:
            return Gone(self._process.wait(max(deadline - time.monotonic(), 1)))
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


class Output:
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
            self._changed.wait_for(lambda: self._ended or self._mark in self._text, _DRAIN_SECONDS)

    def text(self) -> str:
        """What was printed; bytes that are not UTF-8 are replaced."""
        with self._changed:
            kept = bytes(self._text)
        text = kept.replace(b"\n" + self._mark + b"\n", b"")[-OUTPUT_BYTES:]
        return text.decode("utf-8", "replace")


class Stacks:
    """An unnamed file into which the worker writes where the user's code stands."""

    def __init__(self) -> None:
        # Not on Windows, where a child cannot be given a descriptor by number.
        self._file = tempfile.TemporaryFile("a+b") if os.name == "posix" else None  # noqa: SIM115
        self.descriptor = -1 if self._file is None else self._file.fileno()

    def clear(self) -> None:
        """Forget what was written for the file before."""
        if self._file is not None:
            self._file.truncate(0)

    def wait(self, seconds: float) -> None:
        """Wait until a stack has been written and no more comes, for so long at most."""
        give_up = time.monotonic() + (seconds if self._file is not None else 0)
        before, now = "", self.text()
        while (now != before or not now) and time.monotonic() < give_up:
            time.sleep(0.01)
            before, now = now, self.text()

    def text(self) -> str:
        """What was written, the innermost frame first."""
        if self._file is None:
            return ""
        return os.pread(self.descriptor, 1 << 16, 0).decode("utf-8", "replace")

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None:
            self._file.close()


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


def _reply(line: bytes) -> Reply | Garbage:
    try:
        message = decode(line)
    except ValueError:
        return Garbage()
    return message if isinstance(message, Reply) else Garbage()
