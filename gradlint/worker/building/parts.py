"""How models of the project construct and call the classes of the linted file as their parts."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType

from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel, Whole
from gradlint.worker.building.build import build
from gradlint.worker.building.recipe import Built
from gradlint.worker.building.written import NotWrittenError, Writer
from gradlint.worker.running.attempt import tried


class Parts:
    """The parts of one file's module that were seen inside of wholes; each whole runs once."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._seen: dict[str, Candidate] = {}
        self._run: set[tuple[str, str]] = set()

    def of(self, request: TraceModel) -> tuple[Candidate, ...]:
        """The construction and the inputs of a class inside of the first whole that holds it.

        Raises:
            LookupError: no whole that runs holds it.
        """
        for whole in request.wholes:
            if request.name not in self._seen and (whole.module, whole.name) not in self._run:
                self._run.add((whole.module, whole.name))
                self._look_into(whole, request.seed)
        if request.name not in self._seen:
            raise LookupError(f"no model of the project that runs holds a {request.name}")
        return (self._seen[request.name],)

    def _look_into(self, whole: Whole, seed: int) -> None:
        imported = tried(lambda: importlib.import_module(whole.module))
        module = imported.value if whole.module else self._module
        if not isinstance(module, ModuleType):
            return
        witness = _Witness(self._module)
        with witness.watching():
            wanted = TraceModel(whole.name, whole.candidates, seed)
            built = tried(lambda: build(module, wanted)).value
            if isinstance(built, Built):
                tried(built.output)  # because inputs are searched with fewer samples
        if isinstance(built, Built):
            guessed = built.candidate.built_from is BuiltFrom.NAMES
            source = BuiltFrom.NAMES if guessed else BuiltFrom.USE_IN_PROJECT
            for name, (constructor, inputs) in witness.seen.items():
                self._seen.setdefault(name, Candidate(source, constructor, inputs))


class _Witness:
    """Notes the arguments of the constructor and of the last call of each class of a module."""

    def __init__(self, module: ModuleType) -> None:
        self._writer = Writer(module)
        self._classes = {
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, nn.Module)
            and value.__module__ == module.__name__
        }
        self._constructors: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary()
        self.seen: dict[str, tuple[str, tuple[str, ...]]] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Listen until the block ends."""
        with contextlib.ExitStack() as stack:
            for kind in self._classes:
                stack.enter_context(_wrapped(kind, "__init__", self._constructed))
                stack.enter_context(_wrapped(kind, "forward", self._called))
            yield

    def _constructed(
        self, part: nn.Module, args: tuple[object, ...], words: dict[str, object]
    ) -> None:
        signature = inspect.signature(type(part))
        text = self._writer.call(type(part).__qualname__, signature, args, words)
        self._constructors[part] = text

    def _called(self, part: nn.Module, args: tuple[object, ...], words: dict[str, object]) -> None:
        if part in self._constructors:
            inputs = self._writer.inputs(inspect.signature(part.forward), args, words)
            self.seen[type(part).__qualname__] = (self._constructors[part], inputs)


Note = Callable[[nn.Module, tuple[object, ...], dict[str, object]], None]


@contextlib.contextmanager
def _wrapped(kind: type[nn.Module], name: str, note: Note) -> Iterator[None]:
    """A method of a class that, once it has run on an object of just this class, is noted."""
    own, method = vars(kind).get(name), getattr(kind, name)

    @functools.wraps(method)
    def noting(self: nn.Module, *args: object, **words: object) -> object:
        value = method(self, *args, **words)
        if type(self) is kind:
            with contextlib.suppress(NotWrittenError):
                note(self, args, words)
        return value

    setattr(kind, name, noting)
    try:
        yield
    finally:
        if own is None:
            delattr(kind, name)
        else:
            setattr(kind, name, own)
