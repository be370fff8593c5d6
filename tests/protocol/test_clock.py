"""The clock that stands still while a process waits for a processor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gradlint.protocol.clock import now, queued

ROOT = Path(__file__).parents[2]

CROWDED = """
import os, subprocess, sys, time
from gradlint.protocol.clock import now

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
start, lived = time.monotonic(), now()
while time.process_time() < 1.0:
    pass
print(time.monotonic() - start, now() - lived)
rival.kill()
"""


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux alone counts this")
def test_time_in_which_others_have_the_processor_does_not_count() -> None:
    command = [sys.executable, "-c", CROWDED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    waited, lived = map(float, done.stdout.split())
    assert lived < 0.8 * waited


def test_a_process_that_is_not_there_has_waited_for_nothing() -> None:
    assert queued("nobody") == 0.0


def test_time_goes_on() -> None:
    assert now() <= now()
