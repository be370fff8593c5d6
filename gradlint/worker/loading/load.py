"""How the linted file becomes a module in the worker, as its own project would import it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import linecache
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from gradlint.protocol.span import Span
from gradlint.protocol.wire import OpenFile
from gradlint.worker.loading.commandline import nothing_required
from gradlint.worker.loading.standin import BrokenFinder, StandInFinder
from gradlint.worker.loading.toplevel import (
    GUARD,
    Journal,
    NotRun,
    UnaffordableError,
    affordable,
    compile_file,
)
from gradlint.worker.running.compiler import uncompiled
from gradlint.worker.running.failure import locate

_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The user's module; `skipped` are statements that did not run.

    `missing` are packages that are not installed.
    """

    module: ModuleType
    skipped: tuple[Span, ...]
    missing: tuple[str, ...]
    journal: Journal

    def not_run(self, name: str) -> NotRun | None:
        """The top-level statement that would have bound `name`, if it did not run."""
        return self.journal.unbound(name)


def load(opened: OpenFile) -> Loaded:
    """Import the file.

    A file in a package is imported under its package name, so that relative imports work; a plain
    file under its own name where that is free, and registered, so that pickle, dataclasses and
    `inspect.getsource` work. `__name__` is never `__main__`. `sys.path` is left extended, because
    the user's code may import more when it runs.

    Raises:
        BaseException: whatever the file raises when it is imported.
    """
    if opened.text is not None:
        lines = opened.text.splitlines(keepends=True)
        # No time of change, so that tracebacks and inspect never look at the disk.
        linecache.cache[opened.path] = (len(opened.text), None, lines, opened.path)
    journal = Journal(opened.shown)
    folders = _search_path(opened)
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    sys.argv = [opened.path]
    finder = _ProjectFinder(opened, folders, journal)
    standins = StandInFinder(opened.root, [*folders, *_ancestors(opened)])
    with nothing_required(), uncompiled(), _installed(finder, standins):
        module = _imported(opened, finder, standins)
    missing = tuple(sorted(standins.packages))
    return Loaded(module, journal.skipped(), missing, journal)


def _imported(opened: OpenFile, finder: _ProjectFinder, standins: StandInFinder) -> ModuleType:
    # Everything is caught, because what another file of the project does when it is imported (it
    # reads data, compiles an extension) may be nothing that the models of this one need. Nor need
    # these a class of the file whose base, say, was never imported, or what the file makes with a
    # missing package.
    try:
        return _import(opened, finder, standins)
    except BaseException as error:
        lacking = isinstance(error, Exception) and bool(standins.packages)
        if not (lacking or _fails_elsewhere(error, opened) or _fails_defining(error, opened)):
            raise
        finder.lenient = True
        try:
            return _import(opened, finder, standins)
        except BaseException:  # noqa: BLE001
            raise error from None


def _import(opened: OpenFile, finder: _ProjectFinder, standins: StandInFinder) -> ModuleType:
    try:
        return (_import_in_package if opened.module else _import_file)(opened, finder)
    except Exception as error:
        # because an installed package may be broken in any way, and be nothing that models need
        if not standins.replace(error):
            raise
    return _import(opened, finder, standins)


def _fails_elsewhere(error: BaseException, opened: OpenFile) -> bool:
    """Whether the innermost file of the project that took part is another than the linted one."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    files += [error.filename] if isinstance(error, SyntaxError) and error.filename else []
    own = [file for file in files if _is_project(file, opened.root)]
    return bool(own) and not os.path.samefile(own[-1], opened.path)


def _fails_defining(error: BaseException, opened: OpenFile) -> bool:
    """Whether one definition of the linted file fails, of which others may know nothing."""
    steps = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in steps if frame.f_code.co_filename == opened.path]
    if not lines or not isinstance(error, Exception):
        return False
    text = (
        opened.text if opened.text is not None else Path(opened.path).read_text("utf-8", "replace")
    )
    definitions = (node for node in ast.parse(text).body if isinstance(node, _DEFINITIONS))
    return any(node.lineno <= lines[0] <= (node.end_lineno or 0) for node in definitions)


def _is_project(file: str, root: str) -> bool:
    inside = file.startswith(root.rstrip(os.sep) + os.sep) and os.path.isfile(file)
    return inside and "site-packages" not in file[len(root) :]


class _FileLoader(SourceFileLoader):
    """Loads a source file, or a text in its place, without the work that its top level may do."""

    def __init__(
        self, name: str, path: str, journal: Journal, tolerant: bool, text: str | None
    ) -> None:
        super().__init__(name, path)
        self.journal = journal
        self.tolerant = tolerant
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        source = self.get_data(path) if self.text is None else self.text
        return compile_file(source, path, self.journal, self.tolerant)

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, GUARD, self.journal.guard)
        self.journal.scope = vars(module)
        try:
            with affordable():
                super().exec_module(module)
        except UnaffordableError:
            self.tolerant = True  # so that only the statement that builds the model is given up
            super().exec_module(module)
        delattr(module, GUARD)


class _ProjectFinder(MetaPathFinder):
    """Finds the linted file by its module name, and the scripts beside it that it imports.

    `tolerated` are packages whose `__init__` may fail in part; if `lenient`, any file may.
    """

    def __init__(self, opened: OpenFile, folders: Sequence[str], journal: Journal) -> None:
        self.opened = opened
        self.folders = [folder for folder in folders if "site-packages" not in folder]
        self.journal = journal
        self.tolerated: frozenset[str] = frozenset()
        self.lenient = False

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """The linted file, a tolerated package or a script of the project; None for all others."""
        if fullname == self.opened.module:
            return self.spec(fullname, self.opened.path, self.journal, tolerant=self.lenient)
        if path is None and (package := self._behind_namesake(fullname)) is not None:
            return package
        tolerant = fullname in self.tolerated or self.lenient
        if not tolerant and (path is not None or not self.folders):
            return None
        found = PathFinder.find_spec(fullname, self._searched() if path is None else path)
        if found is None or type(found.loader) is not SourceFileLoader or found.origin is None:
            return None
        elsewhere = Journal(os.path.basename(found.origin))
        if fullname in self.tolerated or (tolerant and _is_project(found.origin, self.opened.root)):
            return self.spec(fullname, found.origin, elsewhere, tolerant=True)
        return (
            None
            if found.submodule_search_locations
            else self.spec(fullname, found.origin, elsewhere)
        )

    def _behind_namesake(self, name: str) -> ModuleSpec | None:
        """A package whose modules the linted file imports, behind a script of its name beside it.

        As `utils/`, with `utils.py` beside the file: seen from the root, where the project is run,
        there is no such script.
        """
        namesakes = [folder for folder in self.folders if os.path.isfile(f"{folder}/{name}.py")]
        if not namesakes or not re.search(
            rf"^\s*(from|import) +{name}\.", self._text, re.MULTILINE
        ):
            return None
        others = [folder for folder in self.folders if folder not in namesakes]
        found = PathFinder.find_spec(name, others)
        return found if found is not None and found.submodule_search_locations else None

    @cached_property
    def _text(self) -> str:
        if self.opened.text is not None:
            return self.opened.text
        with suppress(OSError):
            return Path(self.opened.path).read_text(encoding="utf-8", errors="replace")
        return ""

    def _searched(self) -> list[str]:
        """The folders of the project, then those that its code has named as seen from there."""
        named = [entry for entry in sys.path if entry and not os.path.isabs(entry)]
        return [*self.folders, *(os.path.join(f, entry) for f in self.folders for entry in named)]

    def spec(self, name: str, path: str, journal: Journal, tolerant: bool = False) -> ModuleSpec:
        """How to load the file at `path` under the name `name`."""
        locations = [os.path.dirname(path)] if _is_package(path) else None
        text = self.opened.text if path == self.opened.path else None
        spec = importlib.util.spec_from_file_location(
            name,
            path,
            loader=_FileLoader(name, path, journal, tolerant, text),
            submodule_search_locations=locations,
        )
        assert spec is not None
        return spec


def _import_file(opened: OpenFile, finder: _ProjectFinder) -> ModuleType:
    name = _plain_name(opened.path)
    return _execute(finder.spec(name, opened.path, finder.journal, tolerant=finder.lenient))


def _import_in_package(opened: OpenFile, finder: _ProjectFinder) -> ModuleType:
    parents = frozenset(_parents(opened.module))
    # Everything is caught, because a package's __init__ may fail in any way (it asks for its own
    # version, say, and is not installed) and the linted file may well do without it.
    try:
        module = importlib.import_module(opened.module)
    except BaseException as error:
        if not parents or locate(error, opened) is not None:
            raise
        finder.tolerated = parents
        module = importlib.import_module(opened.module)
    if _is_file(module, opened.path):
        return module
    parent, _, last = opened.module.rpartition(".")
    private = f"{parent}._gradlint_{last}" if parent else f"_gradlint_{last}"
    return _execute(finder.spec(private, opened.path, finder.journal, tolerant=finder.lenient))


def _execute(spec: ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Left registered, a module that is half there would satisfy a later import of its name.
        sys.modules.pop(spec.name, None)
        raise
    return sys.modules.get(spec.name, module)


def _plain_name(path: str) -> str:
    """The name to import a plain file under: its own where nothing else bears it."""
    stem = Path(path).stem
    taken = stem in sys.modules or stem in sys.stdlib_module_names
    if stem.isidentifier() and not taken and stem != "__main__":
        return stem
    return "_gradlint_" + "".join(letter if letter.isalnum() else "_" for letter in stem)


def _search_path(opened: OpenFile) -> list[str]:
    """The folders that a run of the project would have on its path, nearest first."""
    own = _package_base(opened) if opened.module else os.path.dirname(opened.path)
    source = os.path.join(opened.root, "src")
    folders = [
        own,
        *opened.import_paths,
        opened.root,
        *([source] if os.path.isdir(source) else []),
    ]
    return list(dict.fromkeys(folder for folder in folders if folder))


def _package_base(opened: OpenFile) -> str:
    parts = opened.module.count(".") + (2 if _is_package(opened.path) else 1)
    return str(Path(*Path(opened.path).parts[:-parts]))


def _ancestors(opened: OpenFile) -> list[str]:
    """The folders between the file and the root: scripts are often run from one of them."""
    root, path = Path(opened.root), Path(opened.path)
    return [str(folder) for folder in path.parents if root in (folder, *folder.parents)]


def _parents(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module


def _is_package(path: str) -> bool:
    return os.path.basename(path) == "__init__.py"


def _is_file(module: ModuleType, path: str) -> bool:
    own = getattr(module, "__file__", None)
    return isinstance(own, str) and os.path.realpath(own) == os.path.realpath(path)


@contextmanager
def _installed(finder: _ProjectFinder, standins: StandInFinder) -> Iterator[None]:
    broken = BrokenFinder(standins)
    sys.meta_path[:] = [broken, finder, *sys.meta_path, standins]
    try:
        yield
    finally:
        standins.close()
        ours = (broken, finder, standins)
        sys.meta_path[:] = [item for item in sys.meta_path if item not in ours]
