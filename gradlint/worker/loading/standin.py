"""Stand-ins for packages that cannot be imported, so that a file can be imported without them."""

from __future__ import annotations

import ast
import inspect
import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import NoReturn

from gradlint.worker.loading.guarded import guards
from gradlint.worker.running.failure import MissingPackageError

_IMPORT_MACHINERY = (
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)


class StandInFinder(MetaPathFinder):
    """Answers top-level imports of the project whose package cannot be found, after all others.

    `folders` are where the project's own modules may lie: a missing module found there is imported
    from there. An import that the code itself protects (`try: … except ImportError`), that is made
    by another package, or by a function when it is called, fails as it would without gradlint.
    `packages` maps the name of each missing package to the file and line that import it first,
    `broken` that of each which is installed and fails to be imported to what its import says.
    """

    def __init__(self, root: str, folders: Sequence[str]) -> None:
        self.root = root
        self.folders = tuple(folders)
        self.packages: dict[str, tuple[str, int]] = {}
        self.broken: dict[str, str] = {}
        self.importing = True
        self._bases: dict[str, type] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The stand-in for `fullname`, or None to let the import fail."""
        if "." in fullname and self._absent(fullname):
            return self._spec(fullname)
        importer = _importing_frame()
        if not self.importing or importer is None or not self._is_project(importer):
            return None
        if "." not in fullname and (neighbour := self._neighbour(fullname)):
            return neighbour
        filename, line = importer.f_code.co_filename, importer.f_lineno
        if _is_protected(filename, line):
            return None
        self.packages.setdefault(fullname, (filename, line))
        return self._spec(fullname)

    def replace(self, error: BaseException) -> bool:
        """Stand in from now on for the installed module whose import failed, if it was one.

        It is the one that the project asked for: what is missing may be a package of its own.
        """
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        own = max((i for i, frame in enumerate(frames) if self._is_project(frame)), default=-1)
        for frame in frames[own + 1 :]:
            name = str(frame.f_globals.get("__name__", ""))
            executed = frame.f_code.co_name == "<module>"
            if own >= 0 and executed and name not in self.packages:
                importer = frames[own]
                self.packages[name] = (importer.f_code.co_filename, importer.f_lineno)
                self.broken[name] = str(error) or type(error).__name__
                return True
        return False

    def close(self) -> None:
        """End the time in which stand-ins may be called; forget their modules.

        The modules go because other packages ask `sys.modules` what is installed.
        """
        self.importing = False
        for name in [name for name, module in sys.modules.items() if type(module) is _Module]:
            del sys.modules[name]

    def base(self, name: str) -> type:
        """The class that stands for the class `name` where another class inherits from it."""
        if name not in self._bases:
            values = {
                "__new__": self._refusing_new(name),
                "__module__": name.rpartition(".")[0],
                "__init_subclass__": lambda cls, **words: None,
            }
            self._bases[name] = type(name.rpartition(".")[2], (), values)
        return self._bases[name]

    def fail(self, name: str) -> NoReturn:
        """Say that `name` was used for real.

        Raises:
            MissingPackageError: always.
        """
        absent = self._absent(name)
        filename, line = self.packages[absent]
        raise MissingPackageError(absent, filename, line, self.broken.get(absent, ""))

    def _absent(self, name: str) -> str:
        """The missing package or module that `name` belongs to, "" if none."""
        return next((p for p in self.packages if f"{name}.".startswith(f"{p}.")), "")

    def _refusing_new(self, name: str) -> object:
        def refuse(cls: type, *values: object, **words: object) -> NoReturn:
            self.fail(name)

        return refuse

    def _spec(self, fullname: str) -> ModuleSpec:
        return ModuleSpec(fullname, _StandInLoader(self), is_package=True)

    def _is_project(self, frame: FrameType) -> bool:
        filename = frame.f_code.co_filename
        return any(_is_inside(filename, folder) for folder in (self.root, *self.folders))

    def _neighbour(self, name: str) -> ModuleSpec | None:
        for folder in self.folders:
            spec = PathFinder.find_spec(name, [folder])
            if spec is not None and _holds_code(spec):
                sys.path.append(folder)
                return spec
        return None


class BrokenFinder(MetaPathFinder):
    """The first finder: answers for what is installed and fails to be imported."""

    def __init__(self, standins: StandInFinder) -> None:
        self.standins = standins

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The stand-in for a module that is known to fail; None for all others."""
        if fullname in self.standins.broken:
            return self.standins.find_spec(fullname, path)
        return None


class StandIn:
    """Something of a missing package: may be inherited from, decorate and be named; not used."""

    def __init__(self, finder: StandInFinder, name: str) -> None:
        self._gradlint_finder = finder
        self._gradlint_name = name

    def __repr__(self) -> str:
        return f"<{self._gradlint_name} of a package that is not installed>"

    def __getattr__(self, name: str) -> StandIn:
        return _attribute(self._gradlint_finder, self._gradlint_name, name)

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return (self._gradlint_finder.base(self._gradlint_name),)

    def __call__(self, *values: object, **words: object) -> object:
        """What is decorated, as it is; otherwise another stand-in, while the file is imported.

        Raises:
            MissingPackageError: the file is imported, and this is real use.
        """
        if not self._gradlint_finder.importing:
            self._gradlint_finder.fail(self._gradlint_name)
        decorates = len(values) == 1 and not words and isinstance(values[0], (FunctionType, type))
        return values[0] if decorates else self

    def __getitem__(self, key: object) -> StandIn:
        return self

    def __or__(self, other: object) -> StandIn:
        return self

    def __ror__(self, other: object) -> StandIn:
        return self

    def __instancecheck__(self, instance: object) -> bool:
        return False

    def __subclasscheck__(self, kind: type) -> bool:
        return False

    def _refuse(self, *values: object) -> NoReturn:
        self._gradlint_finder.fail(self._gradlint_name)

    __bool__ = __iter__ = __next__ = __len__ = __contains__ = _refuse
    __int__ = __float__ = __index__ = __enter__ = __exit__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __neg__ = __invert__ = _refuse
    __array__ = _refuse  # because numpy would make one element of it
    __lt__ = __le__ = __gt__ = __ge__ = __setitem__ = __delitem__ = _refuse


class _Module(ModuleType):
    """The module that stands for a missing package or a part of it."""

    gradlint_finder: StandInFinder

    def __getattr__(self, name: str) -> StandIn:
        return _attribute(self.gradlint_finder, self.__name__, name)


class _StandInLoader(Loader):
    def __init__(self, finder: StandInFinder) -> None:
        self.finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module whose attributes are stand-ins."""
        module = _Module(spec.name, "Stands for a package that is not installed.")
        module.gradlint_finder = self.finder
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: attributes come when they are asked for."""


def _attribute(finder: StandInFinder, owner: str, name: str) -> StandIn:
    if name == "__version__":
        finder.fail(owner)
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"{owner} is not installed and has no {name}")
    return StandIn(finder, f"{owner}.{name}")


def _importing_frame() -> FrameType | None:
    """The frame whose import statement is being served; None if it is a function's or a query."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename in _IMPORT_MACHINERY:
        frame = frame.f_back
    if frame is None or frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        return None
    return frame


def _holds_code(spec: ModuleSpec) -> bool:
    """Whether a module has code: a folder without any is a coincidence of names."""
    folders = spec.submodule_search_locations or ()
    return spec.origin is not None or any(any(Path(f).glob("*.py")) for f in folders)


def _is_inside(filename: str, folder: str) -> bool:
    if not folder:
        return False
    prefix = folder.rstrip(os.sep) + os.sep
    return filename.startswith(prefix) and "site-packages" not in filename[len(prefix) :]


def _is_protected(filename: str, line: int) -> bool:
    return any(first <= line <= last for first, last in _protected_lines(filename))


@cache
def _protected_lines(filename: str) -> tuple[tuple[int, int], ...]:
    """The line ranges of `filename` in which the code itself expects imports to fail."""
    try:
        with open(filename, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ()
    blocks = (guard.body for guard in guards(tree))
    return tuple((body[0].lineno, body[-1].end_lineno or body[-1].lineno) for body in blocks)
