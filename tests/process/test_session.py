"""The worker process against code that crashes, hangs, floods, forks and lies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gradlint.process import child, session
from gradlint.process import worker as process
from gradlint.process.session import Lost, Session
from gradlint.process.worker import Worker
from gradlint.protocol.span import Span
from gradlint.protocol.training import Training
from gradlint.protocol.wire import (
    BuiltFrom,
    Candidate,
    Imported,
    OpenFile,
    Probed,
    ProbeModel,
    Ready,
    Traced,
    TraceModel,
    UserFailure,
    decode,
)

SERVICE = str(Path(__file__).parent / "expression_service.py")
PATIENCE = 20.0
IMPATIENCE = 0.4


def start(**settings: object) -> Worker:
    """A worker with the service of the tests."""
    values = {"memory_mb": 2048, "timeout": PATIENCE, "service": SERVICE, **settings}
    return Worker(Path(sys.executable), **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with start() as running:
        yield running


@dataclass(frozen=True)
class Answer:
    """What came of a file: the import, the answer to the one question, and the output."""

    imported: Imported | UserFailure | Lost
    traced: Traced | Probed | UserFailure | Lost | None
    output: str

    @property
    def value(self) -> str:
        assert isinstance(self.traced, Traced), self
        return self.traced.inputs[0]


def file(folder: Path, source: str, name: str = "model.py") -> OpenFile:
    """The request to open a new file with this source."""
    path = folder / name
    path.write_text(textwrap.dedent(source).lstrip(), encoding="utf-8")
    return OpenFile(str(path), name, str(folder), "", (), 0)


def evaluate(expression: str) -> TraceModel:
    """The request to evaluate an expression in the user's module."""
    return TraceModel("Net", (Candidate(BuiltFrom.DEFAULTS, expression),), seed=0)


def opened(worker: Worker, request: OpenFile) -> Session:
    """The session for a file that can be opened."""
    session = worker.open(request)
    assert isinstance(session, Session), session
    return session


def serve(
    worker: Worker,
    request: OpenFile,
    expression: str = "net()",
    timeout: float = PATIENCE,
    import_timeout: float = PATIENCE,
) -> Answer:
    """Open, import, ask, close."""
    with opened(worker, request) as session:
        imported = session.import_file(timeout=import_timeout)
        traced = session.ask(evaluate(expression), timeout=timeout)
    return Answer(imported, traced, session.output)


def is_healthy(worker: Worker, folder: Path) -> bool:
    """Whether the worker serves the next file."""
    return serve(worker, file(folder, "def net(): return 'well'", "healthy.py")).value == "well"


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def is_gone_soon(pid: int, seconds: float = 3.0) -> bool:
    """Whether a process ends within the time."""
    give_up = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < give_up:
        time.sleep(0.01)
    return not is_running(pid)


def test_a_worker_says_which_torch_and_python_serve(worker: Worker) -> None:
    ready = worker.ready()
    assert isinstance(ready, Ready)
    assert ready.python == ".".join(map(str, sys.version_info[:3]))
    assert re.match(r"2\.\d+", ready.torch)


def test_a_file_is_imported_and_asked(worker: Worker, tmp_path: Path) -> None:
    answer = serve(worker, file(tmp_path, "import torch\ndef net(): return torch.ones(2).sum()"))
    assert answer.imported == Imported()
    assert answer.value == "tensor(2.)"


def test_a_probe_is_answered(worker: Worker, tmp_path: Path) -> None:
    with opened(worker, file(tmp_path, "def probe(): pass")) as session:
        assert session.ask(ProbeModel((), (), (), (0,), Training())) == Probed((), (), True, 0.0)


def test_what_user_code_prints_is_captured_and_stays_with_its_file(
    worker: Worker, tmp_path: Path
) -> None:
    source = """
        import os, sys
        def net():
            print('by print')
            os.write(1, b'by write\\n')
            os.system('echo by a process')
            sys.stderr.write('by stderr\\n')
    """
    answer = serve(worker, file(tmp_path, source))
    assert answer.output.split("\n") == [
        "by print",
        "by write",
        "by a process",
        "by stderr",
        "",
    ]
    assert serve(worker, file(tmp_path, "def net(): print('second')")).output == "second\n"


@dataclass(frozen=True)
class Trouble:
    """Code that raises: at which line, which exception, and what its message says."""

    name: str
    source: str
    line: int
    error: str
    message: str
    stage: str = "forward"


RAISING = [
    Trouble(
        "raise at import",
        "x = 1\nraise ValueError('no')",
        2,
        "ValueError",
        "no",
        "import",
    ),
    Trouble("syntax error", "x = 1\ndef (:", 2, "SyntaxError", "invalid syntax", "import"),
    Trouble(
        "exit in a class body",
        "import sys\nclass Net:\n    sys.exit(3)",
        3,
        "SystemExit",
        "exit with status 3",
        "import",
    ),
    Trouble(
        "build failure",
        "def net():\n    raise RuntimeError('b')",
        2,
        "RuntimeError",
        "b",
        "build",
    ),
    Trouble(
        "sys.exit",
        "import sys\ndef net():\n    sys.exit()",
        3,
        "SystemExit",
        "tried to exit",
    ),
    Trouble(
        "keyboard interrupt",
        "def net():\n    raise KeyboardInterrupt",
        2,
        "KeyboardInterrupt",
        "raised KeyboardInterrupt",
    ),
    Trouble(
        "endless recursion",
        "def net():\n    net()",
        2,
        "RecursionError",
        "recursion",
        "build",
    ),
    Trouble(
        "100 GB by Python",
        "def net():\n    return bytearray(10**11)",
        2,
        "MemoryError",
        "more than 2048 MB",
    ),
    Trouble(
        "100 GB by torch",
        "import torch\ndef net():\n    return torch.empty(25 * 10**9)",
        3,
        "RuntimeError",
        "out of memory",
        "build",
    ),
    Trouble("input", "def net():\n    input('?')", 2, "EOFError", "no standard input"),
    Trouble(
        "network by name",
        "import urllib.request\ndef net():\n    urllib.request.urlopen('http://example.org')",
        3,
        "URLError",
        "may not use the network",
    ),
    Trouble(
        "network by address",
        "import socket\ndef net():\n    socket.create_connection(('192.0.2.1', 80))",
        3,
        "OSError",
        "may not use the network",
    ),
    Trouble(
        "an exception without a text",
        "class Odd(Exception):\n    def __str__(self): 1 / 0\ndef net():\n    raise Odd",
        4,
        "Odd",
        "__str__ raised ZeroDivisionError",
    ),
    Trouble(
        "a huge file",
        "def net():\n    with open('big', 'wb') as f:\n        f.truncate(2**40)",
        3,
        "OSError",
        "File too large",
    ),
    Trouble(
        "raised elsewhere",
        "import json\ndef net():\n    json.loads('{')",
        3,
        "JSONDecodeError",
        "",
    ),
]


@pytest.mark.parametrize("trouble", RAISING, ids=lambda trouble: trouble.name)
def test_code_that_raises_gives_a_located_failure(
    worker: Worker, tmp_path: Path, trouble: Trouble
) -> None:
    failure = serve(worker, file(tmp_path, trouble.source)).traced
    assert isinstance(failure, UserFailure), failure
    assert (failure.stage, failure.error) == (trouble.stage, trouble.error)
    assert failure.span is not None
    assert (failure.span.path, failure.span.line) == ("model.py", trouble.line)
    assert trouble.message in failure.message
    assert is_healthy(worker, tmp_path)


def test_the_other_models_of_a_file_are_served_after_one_raised(
    worker: Worker, tmp_path: Path
) -> None:
    with opened(worker, file(tmp_path, "def bad(): 1 / 0\ndef net(): return 'well'")) as session:
        assert isinstance(session.ask(evaluate("bad()")), UserFailure)
        assert isinstance(session.ask(evaluate("net()")), Traced)


@dataclass(frozen=True)
class Loss:
    """Code that takes its process away: the reason that is given, and the line it stood at."""

    name: str
    source: str
    reason: str
    line: int | None = None
    timeout: float = PATIENCE


DEADLY = [
    Loss(
        "os._exit",
        "import os\ndef net(): os._exit(0)",
        "the process exited with status 0",
    ),
    Loss(
        "os._exit with a status",
        "import os\ndef net(): os._exit(7)",
        "the process exited with status 7",
    ),
    Loss(
        "abort",
        "import os\ndef net():\n    os.abort()",
        "was killed by signal 6 (SIGABRT)",
        3,
    ),
    Loss(
        "segmentation fault",
        "import ctypes\ndef net():\n    ctypes.string_at(0)",
        "was killed by signal 11 (SIGSEGV)",
        3,
    ),
    Loss(
        "stack overflow",
        "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n"
        "    def __repr__(self): return repr([self])\ndef net():\n    return repr(A())",
        "was killed by signal 11 (SIGSEGV)",
        4,
    ),
    Loss(
        "kill",
        "import os, signal\ndef net(): os.kill(os.getpid(), signal.SIGKILL)",
        "was killed by signal 9 (SIGKILL) (out of memory?)",
    ),
    Loss(
        "closing all files",
        "import os\ndef net(): os.closerange(0, 65536)",
        "the process closed the pipes to gradlint",
    ),
    Loss(
        "writing into gradlint's pipe",
        "import os\ndef net():\n    for fd in range(100, 110):\n        try:\n"
        "            os.write(fd, b'junk\\n')\n        except OSError: pass",
        "something other than an answer came",
    ),
    Loss(
        "sleep",
        "import time\ndef net():\n    time.sleep(1000)",
        "timed out after 0.4 s while tracing Net",
        3,
        IMPATIENCE,
    ),
    Loss(
        "sleep at import",
        "import time\nclass Net:\n    time.sleep(1000)",
        "timed out after 0.4 s while importing model.py",
        3,
        IMPATIENCE,
    ),
    Loss(
        "a loop in C",
        "def net():\n    return sum(range(10**15))",
        "timed out after 0.4 s while tracing Net",
        2,
        IMPATIENCE,
    ),
    Loss(
        "ignoring signals",
        "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\ndef net():\n    while True: pass",
        "timed out after 0.4 s while tracing Net",
        None,
        IMPATIENCE,
    ),
    Loss(
        "a signal's default",
        "import signal, time\ndef net():\n    signal.setitimer(signal.ITIMER_REAL, 0.01)\n"
        "    time.sleep(9)",
        "was killed by signal 14 (SIGALRM)",
    ),
    Loss(
        "endless printing",
        "def net():\n    while True: print('x' * 1000)",
        "timed out after 0.4 s while tracing Net",
        2,
        IMPATIENCE,
    ),
    Loss(
        "killing the server",
        "import os, signal, time\ndef net():\n    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    time.sleep(99)",
        "was killed by signal 9",
    ),
    Loss(
        "stopping the server",
        "import os, signal, time\ndef net():\n    os.kill(os.getppid(), signal.SIGSTOP)\n"
        "    os._exit(0)",
        "timed out after 0.4 s",
        None,
        IMPATIENCE,
    ),
]


@pytest.mark.parametrize("loss", DEADLY, ids=lambda loss: loss.name)
def test_a_process_that_is_lost_gives_the_reason_and_the_next_file_is_served(
    worker: Worker, tmp_path: Path, loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BURIAL_SECONDS", 1.0)
    import_timeout = loss.timeout if "importing" in loss.reason else PATIENCE
    request = file(tmp_path, loss.source)
    lost = serve(worker, request, timeout=loss.timeout, import_timeout=import_timeout).traced
    assert isinstance(lost, Lost), lost
    assert loss.reason in lost.reason
    assert lost.span == (None if loss.line is None else Span("model.py", loss.line))
    assert is_healthy(worker, tmp_path)


HARMLESS = [
    ("megabytes of output", "def net():\n    for i in range(99999): print('x' * 99)\n    return 1"),
    ("a thread that never ends", ("import threading, time\n"
     "def net():\n    threading.Thread(target=time.sleep, args=(999,)).start()\n    return 1")),
    ("garbage on standard output", ("import os\n"
     "def net():\n    os.write(1, b'{\"type\":\"Ended\",\"status\":0}\\n\\0\\xff')\n    return 1")),
    ("another working folder", "import os\ndef net():\n    os.chdir('/')\n    return 1"),
    ("no standard streams", ("import sys\nsys.stdout = sys.stderr = sys.stdin = None\n"
     "def net(): return 1")),
    ("a pool", ("import multiprocessing\ndef net():\n    context = "
        "multiprocessing.get_context('fork')\n"
     "    pool = context.Pool(2)\n    return pool.map(abs, [-1])[0]")),
    ("an exit handler that hangs", ("import atexit, time\n"
     "def net():\n    atexit.register(time.sleep, 99)\n    return 1")),
    ("returning twice", "import os\ndef net():\n    os.fork()\n    return 1"),
    ("importing twice", "import os\nclass Net:\n    os.fork()\ndef net(): return 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    "source", [case[1] for case in HARMLESS], ids=[case[0] for case in HARMLESS]
)
def test_odd_code_is_answered_as_any_other(worker: Worker, tmp_path: Path, source: str) -> None:
    started = time.monotonic()
    answer = serve(worker, file(tmp_path, source))
    assert answer.value == "1"
    assert len(answer.output) <= child.OUTPUT_BYTES
    assert is_healthy(worker, tmp_path)
    assert time.monotonic() - started < PATIENCE / 2


LEFT_BEHIND = [
    ("a child", "pid = os.fork()\n    if pid == 0: time.sleep(999)"),
    ("a session of its own", ("pid = os.fork()\n    if pid == 0:\n        os.setsid()\n"
     "        time.sleep(999)")),
    ("an orphan", ("r, w = os.pipe()\n    if os.fork() == 0:\n        os.setsid()\n"
     "        pid = os.fork()\n        if pid == 0: time.sleep(999)\n"
     "        os.write(w, str(pid).encode())\n        os._exit(0)\n    pid = int(os.read(r, 99))")),
    ("a program", "pid = subprocess.Popen(['sleep', '999'], start_new_session=True).pid"),
]  # fmt: skip


@pytest.mark.parametrize(
    "body", [case[1] for case in LEFT_BEHIND], ids=[case[0] for case in LEFT_BEHIND]
)
def test_what_user_code_leaves_behind_ends_with_its_file(
    worker: Worker, tmp_path: Path, body: str
) -> None:
    source = f"import os, subprocess, time\ndef net():\n    {body}\n    return pid"
    with opened(worker, file(tmp_path, source)) as session:
        traced = session.ask(evaluate("net()"))
        assert isinstance(traced, Traced), traced
        left = int(traced.inputs[0])
        assert is_running(left)
    assert not is_running(left)
    assert not is_running(session.pid)
    assert is_healthy(worker, tmp_path)


def test_a_file_cannot_change_what_the_next_one_sees(worker: Worker, tmp_path: Path) -> None:
    source = """
        import os, sys, torch
        torch.set_default_dtype(torch.float64)
        sys.modules['json'] = None
        os.environ['LEFT'] = 'behind'
        def net(): return torch.ones(1).dtype
    """
    assert serve(worker, file(tmp_path, source)).value == "torch.float64"
    source = "import json, os, torch\ndef net(): return torch.ones(1).dtype, os.environ.get('LEFT')"
    assert serve(worker, file(tmp_path, source)).value == "(torch.float32, None)"


def test_every_file_starts_from_the_same_random_state(worker: Worker, tmp_path: Path) -> None:
    source = """
        import random, torch
        def net(): return random.random(), torch.rand(1).item(), hash('text')
    """
    first, second = (serve(worker, file(tmp_path, source)).value for _ in range(2))
    assert first == second


def test_no_compiled_files_are_left_in_the_users_folders(worker: Worker, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("value = 1")
    assert (
        serve(worker, file(tmp_path, "import helper\ndef net(): return helper.value")).value == "1"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helper.py", "model.py"]


def test_no_download_can_start_and_no_window_open(worker: Worker, tmp_path: Path) -> None:
    names = (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "MPLBACKEND",
        "CUDA_VISIBLE_DEVICES",
    )
    source = f"import os\ndef net(): return [os.environ[name] for name in {names}]"
    assert serve(worker, file(tmp_path, source)).value == "['1', '1', 'Agg', '']"


def test_the_folder_of_gradlint_is_not_put_on_the_path_of_user_code(
    worker: Worker, tmp_path: Path
) -> None:
    folder = str(Path(process.__file__).parents[2])
    asked = f"{folder!r} in sys.path"
    bare = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; print({asked})"],
        capture_output=True,
        check=True,
        text=True,
    )
    source = f"import sys\ndef net(): return {asked}, '' in sys.path"
    with start(environment={"PYTHONPATH": ""}) as clean:
        assert serve(clean, file(tmp_path, source)).value == f"({bare.stdout.strip()}, False)"


def test_a_session_that_is_not_closed_ends_with_the_next(worker: Worker, tmp_path: Path) -> None:
    first = opened(worker, file(tmp_path, "import time\nclass Net:\n    time.sleep(999)"))
    assert is_healthy(worker, tmp_path)
    assert not is_running(first.pid)
    assert isinstance(first.ask(evaluate("1")), Lost)


def test_every_question_after_a_loss_gets_the_same_answer(worker: Worker, tmp_path: Path) -> None:
    with opened(worker, file(tmp_path, "import os\ndef net(): os._exit(1)")) as session:
        lost = session.ask(evaluate("net()"))
        assert isinstance(lost, Lost)
        assert session.ask(evaluate("1")) == lost == session.import_file()


def test_a_process_that_ends_between_two_questions_is_noticed(
    worker: Worker, tmp_path: Path
) -> None:
    source = """
        import os, threading
        def net(): threading.Timer(0.05, os._exit, (5,)).start()
    """
    with opened(worker, file(tmp_path, source)) as session:
        assert isinstance(session.ask(evaluate("net()")), Traced)
        assert is_gone_soon(session.pid)
        lost = session.ask(evaluate("1"))
    assert lost == Lost("trace", "the process exited with status 5 while tracing Net")
    assert is_healthy(worker, tmp_path)


def test_requests_and_replies_larger_than_a_pipe_pass(worker: Worker, tmp_path: Path) -> None:
    with opened(worker, file(tmp_path, "")) as session:
        answer = session.ask(evaluate(f"len({'x' * 300_000!r}) * 'y'"))
    assert isinstance(answer, Traced)
    assert answer.inputs == ("y" * 300_000,)


def test_a_server_killed_between_files_is_started_again(worker: Worker, tmp_path: Path) -> None:
    assert is_healthy(worker, tmp_path)
    assert worker._child is not None
    os.kill(worker._child._process.pid, signal.SIGKILL)
    assert is_healthy(worker, tmp_path)


def test_nothing_is_left_after_close(tmp_path: Path) -> None:
    def held() -> tuple[int, set[str], int]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return len(os.listdir("/proc/self/fd")), set(children), threading.active_count()

    before = held()
    with start() as worker:
        assert is_healthy(worker, tmp_path)
        request = file(tmp_path, "import time\nclass Net:\n    time.sleep(999)")
        session = opened(worker, request)
        assert held() != before
    assert held() == before
    assert not is_running(session.pid)


def test_an_interrupt_in_the_parent_ends_everything_at_once(tmp_path: Path) -> None:
    request = file(tmp_path, "import time\nclass Net:\n    time.sleep(999)")
    alarm = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    hanging: list[int] = []

    def wait_for_the_import() -> None:
        with start() as worker:
            session = opened(worker, request)
            hanging.append(session.pid)
            alarm.start()
            session.import_file()

    # Because what runs in the background of a shell inherits that interrupts are ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            wait_for_the_import()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(hanging) == 1
    assert is_gone_soon(hanging[0])


PARENT = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
sys.path.insert(0, {tests!r})
from test_session import *
worker = start(fork={fork})
session = worker.open(file(Path({folder!r}), "import time\\nclass Net:\\n    time.sleep(999)"))
print(session.pid, flush=True)
time.sleep(999)
"""


@pytest.mark.parametrize("fork", [True, False], ids=["forking", "spawning"])
def test_a_worker_does_not_outlive_a_parent_that_is_killed(tmp_path: Path, fork: bool) -> None:
    tests = Path(__file__).parent
    script = PARENT.format(
        root=str(tests.parents[1]), tests=str(tests), folder=str(tmp_path), fork=fork
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    assert is_gone_soon(pid)


def test_an_interpreter_that_is_not_there_is_a_clear_failure() -> None:
    with Worker(Path("/nowhere/python"), memory_mb=1, timeout=1) as worker:
        failure = worker.ready()
        lost = worker.open(OpenFile("m.py", "m.py", ".", "", (), 0))
    assert isinstance(failure, UserFailure)
    assert (failure.stage, failure.error) == ("torch", "FileNotFoundError")
    assert failure.message.startswith("/nowhere/python: it cannot be run: No such file")
    assert "--python" in failure.message
    assert isinstance(lost, Lost)


@pytest.mark.parametrize(
    ("torch", "message"),
    [
        (
            "raise ImportError('libc10.so: cannot open')",
            "ImportError: libc10.so: cannot open",
        ),
        (
            "__version__ = '2.3.1+cu118'",
            "torch 2.3.1+cu118 is too old, 2.4 or newer is needed",
        ),
    ],
    ids=["broken", "old"],
)
def test_a_torch_that_does_not_serve_is_a_clear_failure(
    tmp_path: Path, torch: str, message: str
) -> None:
    (tmp_path / "torch.py").write_text(torch)
    with start(environment={"PYTHONPATH": str(tmp_path)}) as worker:
        failure = worker.ready()
    assert isinstance(failure, UserFailure)
    assert failure.stage == "torch"
    assert failure.message.startswith(sys.executable)
    assert message in failure.message
    assert "install torch 2.4 or newer" in failure.message


def test_an_interpreter_that_is_no_python_is_a_clear_loss() -> None:
    with Worker(Path("/bin/echo"), memory_mb=1, timeout=1) as worker:
        lost = worker.ready()
    assert isinstance(lost, Lost)
    assert lost.reason.startswith("/bin/echo exited with status 0")


def test_a_python_that_is_too_old_says_so() -> None:
    code = f"import sys; sys.version_info = (3, 8, 1)\n{process._BOOTSTRAP}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    reply = decode(done.stdout)
    assert isinstance(reply, UserFailure)
    assert reply.message == "Python 3.8 is too old, 3.10 or newer is needed"


def test_a_worker_that_cannot_fork_serves_file_after_file(tmp_path: Path) -> None:
    with start(fork=False) as worker:
        crashed = serve(worker, file(tmp_path, "import os\ndef net(): os._exit(3)")).traced
        closed = serve(worker, file(tmp_path, "import os\ndef net(): os.closerange(0, 999)")).traced
        endless = file(tmp_path, "def net():\n    while True: pass")
        hung = serve(worker, endless, timeout=IMPATIENCE).traced
        assert is_healthy(worker, tmp_path)
    assert crashed == Lost("trace", "the process exited with status 3 while tracing Net")
    assert closed == Lost("trace", "the process closed the pipes to gradlint while tracing Net")
    reason = "timed out after 0.4 s while tracing Net"
    assert hung == Lost("trace", reason, Span("model.py", 2), late=True)


def test_a_process_that_had_to_wait_for_a_processor_is_given_as_much_longer(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    monkeypatch.setattr(session, "queued", lambda pid: (time.monotonic() - began) / 2)
    slow = file(tmp_path, "import time\ndef net(): time.sleep(0.6); return 'done'")
    assert serve(worker, slow, timeout=IMPATIENCE).value == "done"


def test_even_a_process_that_only_waits_is_given_up(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "queued", lambda pid: 2 * time.monotonic())
    endless = file(tmp_path, "def net():\n    while True: pass")
    lost = serve(worker, endless, timeout=IMPATIENCE).traced
    assert isinstance(lost, Lost)
    assert lost.late
