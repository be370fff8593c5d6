"""One trial of the user's code: what came back, or what failed, where and on which tensors."""

from __future__ import annotations

import contextlib
import itertools
import linecache
import os
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FrameType, TracebackType
from typing import TypeVar

import torch
from torch import nn

from gradlint.worker.running.failure import ran_out_of_memory
from gradlint.worker.running.modes import FunctionMode
from gradlint.worker.running.wording import worded

T = TypeVar("T")
_SOURCES = "_gradlint_sources"
_LONGEST = 30
_OWN_FILES = tuple(
    os.path.dirname(os.path.abspath(path)) + os.sep
    for path in (torch.__file__, os.path.dirname(__file__))
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either a value, or the exception that came instead."""

    value: object
    error: Exception | None


def tried(call: Callable[..., object], /, *args: object, **kwargs: object) -> Outcome:
    """Run code of the user's.

    It may raise anything, and the next way to build the model is tried then, hence the wide clause;
    this is the only one while models are built. What `args` and `kwargs` hold is let go by
    `released`; what a closure holds is not.
    """
    try:
        return Outcome(call(*args, **kwargs), None)
    except Exception as error:  # noqa: BLE001
        return Outcome(None, error)


def released(error: BaseException) -> None:
    """Let go of the tensors that the frames of an exception hold; its lines stay known."""
    link: BaseException | None = error
    for _ in range(_LONGEST):
        if link is None:
            return
        for frame in _frames_around(link.__traceback__):
            with contextlib.suppress(RuntimeError):  # because some of them are still running
                frame.clear()
            # Asked once more, because before 3.13 a frame keeps the names that it told of last.
            len(frame.f_locals)
        link = link.__cause__ or link.__context__


def told(error: BaseException) -> str:
    """What an error says and where: the same again means that nothing was mended.

    Two parts of a line of a file are two places; of a construction, parts move as it is changed.
    """
    step, places = error.__traceback__, []
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        # because the interpreter changes the steps of what it has run often, such as our own
        written = not file.startswith(("<", *_OWN_FILES))
        places.append(f"{step.tb_lineno}.{step.tb_lasti if written else 0}")
        step = step.tb_next
    return f"{error} ({', '.join(places)})"


def _frames_around(step: TracebackType | None) -> Iterator[FrameType]:
    """The frames that a traceback keeps alive: its own, and the callers of its first."""
    outward = step.tb_frame.f_back if step is not None else None
    yield from (frame for frame, _ in traceback.walk_tb(step))
    while outward is not None:
        yield outward
        outward = outward.f_back


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of the failing call stack: the line that ran, and the names it could see.

    `parameters` are those of the function that have a name of their own, in order.
    """

    file: str
    function: str
    text: str
    variables: Mapping[str, object]
    parameters: tuple[str, ...] = ()
    line: int = 0

    @property
    def users(self) -> bool:
        """Whether this is the user's code, not that of torch, einops or gradlint."""
        own = self.file.startswith(("<", *_OWN_FILES))
        return not own and f"{os.sep}einops{os.sep}" not in self.file


def frames_of(error: BaseException) -> tuple[Frame, ...]:
    """The call stack of `error`, outermost first."""
    frames, step = [], error.__traceback__
    while step is not None:
        frames.append(_frame(step.tb_frame, step.tb_lineno, _last_line(step)))
        step = step.tb_next
    return tuple(frames)


def _frame(frame: FrameType, line: int, last: int) -> Frame:
    code = frame.f_code
    texts = (linecache.getline(code.co_filename, n).strip() for n in range(line, last + 1))
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return Frame(code.co_filename, code.co_name, " ".join(texts), dict(frame.f_locals), named, line)


def _last_line(step: TracebackType) -> int:
    """The line on which the failing expression ends; Python 3.10 knows only where it begins."""
    positions = getattr(step.tb_frame.f_code, "co_positions", None)
    if positions is None:
        return step.tb_lineno
    _, last, _, _ = next(itertools.islice(positions(), step.tb_lasti // 2, None))
    return max(min(last or 0, step.tb_lineno + _LONGEST), step.tb_lineno)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a torch function."""

    name: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]

    def argument(self, index: int, name: str) -> object:
        """The argument at `index`, or the one called `name`, or None."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name)

    def tensors(self) -> list[torch.Tensor]:
        """All tensors among the arguments, those inside of tuples and lists too."""
        return list(_tensors((*self.args, *self.kwargs.values())))


@dataclass(frozen=True)
class Failure:
    """A forward pass that raised `error` after `progress` torch calls, in `call`."""

    error: Exception
    call: Call | None
    frames: tuple[Frame, ...]
    progress: int

    @cached_property
    def text(self) -> str:
        """The message of the error on one line."""
        return worded(self.error)

    def modules(self) -> list[nn.Module]:
        """The modules that were running, innermost first."""
        owners = [frame.variables.get("self") for frame in reversed(self.frames)]
        return list(dict.fromkeys(owner for owner in owners if isinstance(owner, nn.Module)))

    def user_frame(self) -> Frame | None:
        """The innermost line of the user's own code."""
        return next((frame for frame in reversed(self.frames) if frame.users), None)


class Watch(FunctionMode):
    """Counts torch calls, keeps the one that failed, and marks what stems from which argument."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.failed: Call | None = None

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
        self.calls += 1
        outcome = tried(func, *args, **kwargs)
        if outcome.error is not None:
            self.failed = Call(getattr(func, "__name__", ""), args, kwargs)
            raise outcome.error
        sources = frozenset[str]()
        for tensor in _tensors((*args, *kwargs.values())):
            sources |= sources_of(tensor)
        if sources:
            written = args[:1] if getattr(func, "__name__", "") == "__setitem__" else ()
            for tensor in _tensors((outcome.value, *written)):
                if not isinstance(tensor, nn.Parameter):
                    mark(tensor, sources)
        return outcome.value


def mark(value: object, sources: Iterable[str]) -> None:
    """Note that the tensors in `value` stem from the arguments called `sources`."""
    for tensor in _tensors((value,)):
        setattr(tensor, _SOURCES, frozenset(sources))


def sources_of(tensor: object) -> frozenset[str]:
    """The names of the arguments that `tensor` was computed from, as far as they are known."""
    known = getattr(tensor, "__dict__", {}).get(_SOURCES)
    return known if isinstance(known, frozenset) else frozenset()


def _tensors(values: Iterable[object]) -> Iterable[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            # because an index may be a list of millions, and one such as x[0, y] is a tuple
            if isinstance(value, tuple) or not isinstance(next(iter(value), None), (int, float)):
                yield from _tensors(value)
        elif isinstance(value, Mapping):
            yield from _tensors(value.values())
        elif isinstance(value, types.SimpleNamespace):
            yield from _tensors(vars(value).values())


def watched(
    model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
) -> Outcome | Failure:
    """Run a forward pass on marked arguments: its outcome, or how it failed."""
    watch = Watch()
    with watch:
        outcome = tried(model, *args, **kwargs)
    if outcome.error is None:
        return outcome
    if ran_out_of_memory(outcome.error):
        released(outcome.error)  # because what is done about it takes some as well
    return Failure(outcome.error, watch.failed, frames_of(outcome.error), watch.calls)
