"""Which files beside the linted one decided what its process did."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import source_from_cache

from gradlint.protocol.wire import Closed, OpenFile

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_NO_FILES = tuple(f"{os.sep}{name}{os.sep}" for name in ("dev", "proc", "sys"))


class Dependencies(MetaPathFinder):
    """Listens, until the process ends, to the files that are opened and the modules not found.

    Files of the project are those below its root, and source files elsewhere that do not belong to
    the interpreter, such as those of a package that is installed in place.
    """

    def __init__(self, opened: OpenFile) -> None:
        self._opened = opened
        self._paths: dict[str, None] = {}
        own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, own}
        self._prefixes = tuple(_folder(prefix) for prefix in prefixes)

    def listen(self) -> None:
        """Begin; there is no end, because audit hooks cannot be removed."""
        sys.addaudithook(self._hear)
        sys.meta_path.append(self)

    def found(self, *, settled: bool = True) -> Closed:
        """The files of the project that are there, and those that would have been read."""
        sources = (os.path.normpath(_source(path)) for path in list(self._paths))
        paths = {path for path in sources if self._counts(path)} - {self._opened.path}
        read = {path for path in paths if os.path.isfile(path)}
        absent = {path for path in paths if not os.path.exists(path)}
        return Closed(tuple(sorted(read)), tuple(sorted(absent)), settled)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        """None: asked last, this notes where the module would have been found."""
        name = fullname.rpartition(".")[2]
        for folder in self._folders() if path is None else path:
            for file in (f"{name}.py", os.path.join(name, "__init__.py")):
                self._paths[os.path.join(folder, file)] = None
        return None

    def _folders(self) -> list[str]:
        """Where the project's own modules may lie: on the path, and between root and file."""
        root, folder = _folder(self._opened.root), os.path.dirname(self._opened.path)
        folders = [entry for entry in sys.path if isinstance(entry, str)]
        while _folder(folder).startswith(root):
            folders.append(folder)
            folder = os.path.dirname(folder)
        return folders

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(path := arguments[0], (str, bytes)):
            with contextlib.suppress(OSError):  # because the working directory may be gone
                self._paths[os.path.abspath(os.fsdecode(path))] = None

    def _counts(self, path: str) -> bool:
        if any(mark in path for mark in _INSTALLED) or path.startswith(_NO_FILES):
            return False
        root = _folder(self._opened.root)
        inside = path.startswith(root)
        around = [prefix for prefix in self._prefixes if not inside or prefix.startswith(root)]
        return not path.startswith(tuple(around)) and (inside or path.endswith(".py"))


def _folder(path: str) -> str:
    return path.rstrip(os.sep) + os.sep


def _source(path: str) -> str:
    """The source file that a path stands for; compiled files stand for what they were made of."""
    if not path.endswith(".pyc"):
        return path
    try:
        return source_from_cache(path)
    except ValueError:
        return ""
