"""Budgets of time: the user's code is interrupted, whatever it catches, and nothing else is."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from gradlint.worker.running.budget import Budget, OutOfTimeError

# Because what interrupts a destructor is lost, which Python only warns of.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _spin(seconds: float = 20.0) -> None:
    """Code that catches every exception that it knows of."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(Exception):
            math.sqrt(2.0)


def test_code_that_catches_everything_is_left_when_the_time_is_over() -> None:
    with pytest.raises(OutOfTimeError), Budget(0.05).enforced():
        _spin()


def test_code_that_ends_in_time_is_left_alone_afterwards() -> None:
    with Budget(0.05).enforced():
        pass
    _spin(0.1)


def test_a_budget_goes_on_after_one_inside_of_it() -> None:
    def inner_then_outer() -> None:
        with contextlib.suppress(OutOfTimeError), Budget(0.05).enforced():
            _spin()
        _spin()

    with pytest.raises(OutOfTimeError), Budget(0.2).enforced():
        inner_then_outer()


class _Slow:
    """A block that takes its time to be left."""

    left = False

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        self.left = True


def test_a_block_is_left_wholly_before_the_code_is_interrupted() -> None:
    slow = _Slow()

    def leave_then_spin() -> None:
        with slow:
            pass
        _spin()

    with pytest.raises(OutOfTimeError), Budget(0.1).enforced():
        leave_then_spin()
    assert slow.left


@pytest.mark.parametrize(
    ("file", "name"),
    [("torch/_library/rules.py", "find"), ("own.py", "__torch_dispatch__")],
    ids=["a file of the core", "a mode"],
)
def test_what_the_core_of_torch_calls_back_for_ends_first(file: str, name: str) -> None:
    namespace: dict[str, Callable[[], None]] = {}
    source = f"def {name}():\n    spin(0.2)\n    ended.append(True)\n"
    ended: list[bool] = []
    code = compile(source, f"/site-packages/{file}", "exec")
    exec(code, {"spin": _spin, "ended": ended}, namespace)

    def called_then_spin() -> None:
        namespace[name]()
        _spin()

    with pytest.raises(OutOfTimeError), Budget(0.05).enforced():
        called_then_spin()
    assert ended == [True]


def test_nothing_is_left_of_a_budget_that_was_spent() -> None:
    spent = Budget(0.0)
    assert spent.left() == spent.half().left() == 0.0


def test_half_of_what_is_left_is_no_more_than_that() -> None:
    assert 4.0 < Budget(10.0).half().left() <= 5.0


def test_an_import_is_left_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tedious.py").write_text("import time\ntime.sleep(1.3)\nwhole = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with contextlib.suppress(OutOfTimeError), Budget(0.05).enforced():
        import_module("tedious")
    assert sys.modules.pop("tedious").whole
