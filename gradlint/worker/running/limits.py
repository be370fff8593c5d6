"""What a process that runs the user's code may use: memory, files, network, randomness."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import random
import signal
import sys

if sys.platform != "win32":  # which has no such limits
    import resource

LARGEST_FILE = 256 * 2**20
"""Bytes that linted code may write into one file."""

_MEGABYTE = 2**20
_LOCAL_HOSTS = {"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def confine(memory_mb: int, root: str, stacks: int, stack_signal: int) -> None:
    """Limit this process for good.

    `memory_mb` counts from what the process holds now; 0 is no limit. `stacks` is the file
    descriptor that gets the Python stack of a crash, or when `stack_signal` comes; -1 for none.
    """
    _limit_resources(memory_mb)
    _volunteer_for_the_out_of_memory_killer()
    if stacks >= 0:
        os.set_inheritable(stacks, False)
        faulthandler.enable(stacks, all_threads=False)
        faulthandler.register(stack_signal, stacks, all_threads=False)
    sys.dont_write_bytecode = True  # because linting must leave the user's folders as they are
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.addaudithook(_forbid_network)
    with contextlib.suppress(OSError):
        os.chdir(root or ".")
    random.seed(0)  # here, because Python seeds it anew in every fork


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the process `parent` ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of what descendants of this process leave behind, to be able to end it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _limit_resources(memory_mb: int) -> None:
    if sys.platform == "win32":
        return
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    if memory_mb > 0 and (held := _address_space()):
        _limit(resource.RLIMIT_AS, held + memory_mb * _MEGABYTE)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (allowed, allowed))


def _address_space() -> int:
    """Bytes of address space in use; 0 where it cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _volunteer_for_the_out_of_memory_killer() -> None:
    with (
        contextlib.suppress(OSError),
        open("/proc/self/oom_score_adj", "w", encoding="ascii") as f,
    ):
        f.write("1000")


def _forbid_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook, because linting must not download, and a dead network must not stall it.

    Raises:
        OSError: a host other than this one was asked for.
    """
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
    if name not in _LOCAL_HOSTS:
        raise OSError(f"linted code may not use the network (it asked for {name})")


def seed_generators() -> None:
    """Seed torch and NumPy; processes forked afterwards all begin with this state."""
    sys.modules["torch"].manual_seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)
