"""Which Python files the paths on a command line mean."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.discovery.text.notebooks import SUFFIX
from gradlint.program import Unreadable
from gradlint.protocol.span import Span

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

EXCLUDED = frozenset(
    ".bzr .direnv .eggs .git .git-rewrite .gradlint_cache .hg .ipynb_checkpoints .mypy_cache .nox"
    " .pants.d .pyenv .pytest_cache .pytype .ruff_cache .svn .tox .venv .vscode __pycache__"
    " __pypackages__ _build buck-out build dist node_modules site-packages venv".split()
)
"""Directories that are not walked unless they are named: what tools build, install and cache."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to lint; `shown` is its path as reports print it, relative to the root if below it.

    `data` is what it holds, None for what is on the disk.
    """

    path: Path
    shown: str
    data: bytes | None = None


def find_files(
    paths: Sequence[Path],
    root: Path,
    *,
    exclude: Sequence[str] = (),
    force_exclude: bool = False,
    contents: Mapping[Path, bytes] | None = None,
) -> tuple[FoundFile | Unreadable, ...]:
    """The files that `paths` mean, in the order of `paths`, directories walked in name order.

    A directory is walked for `*.py` and `*.ipynb`, leaving out what `exclude` (patterns as in a
    .gitignore at `root`), .gitignore files, .git/info/exclude and `EXCLUDED` name below it. A path
    that is named is taken whatever they say, unless `force_exclude`. No file comes twice, however
    it is reached.
    A path that does not exist is `Unreadable`; a directory without Python files yields nothing.
    `contents` are what absolute paths hold instead of what is on the disk, if anything is.
    """
    root = root.absolute()
    excluded = _Layer(root, _spec(tuple(exclude))) if exclude else None
    found: dict[str, FoundFile | Unreadable] = {}
    for path in paths:
        data = contents.get(path.absolute()) if contents else None
        for item in _expand(path.absolute(), root, excluded, force_exclude, data):
            key = item.span.path if isinstance(item, Unreadable) else os.path.realpath(item.path)
            found.setdefault(key, item)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Layer:
    """The ignore patterns of one directory, which hold below it."""

    directory: Path
    spec: GitIgnoreSpec

    def verdict(self, path: Path, *, is_directory: bool) -> bool | None:
        """Whether `path` is ignored, or None where no pattern speaks of it."""
        try:
            relative = path.relative_to(self.directory).as_posix()
        except ValueError:
            return None
        return self.spec.check_file(relative + "/" * is_directory).include


@dataclass(frozen=True, slots=True)
class _Ignores:
    """Everything that leaves a path out: the user's patterns and .gitignore files."""

    exclude: _Layer | None
    layers: tuple[_Layer, ...] = ()

    def leave_out(self, path: Path, *, is_directory: bool) -> bool:
        if is_directory and (path.name in EXCLUDED or (path / "pyvenv.cfg").exists()):
            return True
        if self.exclude and self.exclude.verdict(path, is_directory=is_directory):
            return True
        return self.matches(path, is_directory=is_directory)

    def matches(self, path: Path, *, is_directory: bool) -> bool:
        """Whether the ignore files leave the path out; the innermost that speaks of it decides."""
        verdicts = (layer.verdict(path, is_directory=is_directory) for layer in self.layers[::-1])
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def within(self, directory: Path) -> _Ignores:
        """The same with what the directory's own .gitignore adds."""
        layer = _layer(directory, directory / ".gitignore")
        return replace(self, layers=(*self.layers, layer)) if layer else self


def _expand(
    path: Path, root: Path, exclude: _Layer | None, force_exclude: bool, data: bytes | None
) -> Iterator[FoundFile | Unreadable]:
    shown = shown_path(path, root)
    if data is None and not path.exists():
        reason = "broken link" if path.is_symlink() else "no such file or directory"
        yield Unreadable(Span(shown, 1), reason)
        return
    if force_exclude and _excluded(path, root, exclude):
        return
    if data is not None:
        yield FoundFile(path, shown, data)
    elif path.is_dir():
        yield from _walk(path, root, _Ignores(exclude, _outer(path, root)))
    else:
        yield FoundFile(path, shown)


def _excluded(path: Path, root: Path, exclude: _Layer | None) -> bool:
    """Whether a walk from the root would have passed by the path."""
    if not path.is_relative_to(root):
        return False
    ignores = _Ignores(exclude, _outer(root, root))
    for parent in reversed(path.parents):
        if parent == root or root in parent.parents:
            if parent != root and ignores.leave_out(parent, is_directory=True):
                return True
            ignores = ignores.within(parent)
    return ignores.leave_out(path, is_directory=path.is_dir())


def _walk(directory: Path, root: Path, ignores: _Ignores) -> Iterator[FoundFile | Unreadable]:
    ignores = ignores.within(directory)
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError as error:
        shown, why = shown_path(directory, root), (error.strerror or "unreadable").lower()
        yield Unreadable(Span(shown, 1), f"cannot be listed: {why}")
        return
    for entry in entries:
        # Because a linked directory is either walked where it really stands or is outside the
        # project.
        is_directory = entry.is_dir(follow_symlinks=False)
        if not is_directory and not _is_python(entry.name):
            continue
        path = directory / entry.name
        if ignores.leave_out(path, is_directory=is_directory):
            continue
        if is_directory:
            yield from _walk(path, root, ignores)
        elif not entry.is_dir():
            yield _file(path, root)


def _is_python(name: str) -> bool:
    # Because editors keep their locks as broken links named .#model.py.
    return name.endswith((".py", SUFFIX)) and not name.startswith(".#")


def _file(path: Path, root: Path) -> FoundFile | Unreadable:
    shown = shown_path(path, root)
    return FoundFile(path, shown) if path.exists() else Unreadable(Span(shown, 1), "broken link")


def shown_path(path: Path, root: Path) -> str:
    """The path as reports print it: relative to the root if it is below it."""
    normal = Path(os.path.normpath(path))
    return (normal.relative_to(root) if normal.is_relative_to(root) else normal).as_posix()


def _outer(directory: Path, root: Path) -> tuple[_Layer, ...]:
    """The ignore files above a directory, up to its repository or else the root.

    None where they ignore the directory itself: it is walked because it was named, and then the
    patterns that name it would leave out everything in it.
    """
    above = [directory, *directory.parents]
    fallback = root if root in above else directory
    top = next((parent for parent in above if (parent / ".git").exists()), fallback)
    info = _layer(top, top / ".git" / "info" / "exclude")
    ignores = _Ignores(None, (info,) if info else ())
    for parent in reversed(directory.parents):
        if parent == top or top in parent.parents:
            ignores = ignores.within(parent)
    return () if _ignored(directory, top, ignores) else ignores.layers


def _ignored(directory: Path, top: Path, ignores: _Ignores) -> bool:
    below = [path for path in (directory, *directory.parents) if top in path.parents]
    return any(ignores.matches(path, is_directory=True) for path in below)


def _layer(directory: Path, file: Path) -> _Layer | None:
    try:
        status = file.stat()
    except OSError:
        return None
    spec = _ignore_file(str(file), status.st_mtime_ns, status.st_size)
    return _Layer(directory, spec) if spec else None


@lru_cache(maxsize=1024)
def _ignore_file(file: str, modified: int, size: int) -> GitIgnoreSpec | None:
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return _spec(tuple(line for line in text.splitlines() if _is_pattern(line)))


def _is_pattern(line: str) -> bool:
    # Because git passes over a malformed line of a .gitignore, while one of the user's own is an
    # error.
    try:
        _spec((line,))
    except ValueError:
        return False
    return True


def _spec(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """Patterns in the syntax of .gitignore.

    Raises:
        ValueError: one of the patterns is malformed.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)
