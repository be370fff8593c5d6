"""Time as a process has it: what passes while it waits for a processor does not count.

A limit in such seconds means the same on a machine that does much else at once, so that what is
found there does not depend on it.
"""

from __future__ import annotations

import time
from pathlib import Path


def queued(process: int | str = "self") -> float:
    """Seconds that the main thread of a process has waited for a processor; 0 where nobody says.

    Linux does, in the second number of `/proc/PID/schedstat` (nanoseconds; proc_schedstat(5)).
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def now() -> float:
    """Seconds of this process since some moment, without those in which it waited to run."""
    return time.monotonic() - queued()
