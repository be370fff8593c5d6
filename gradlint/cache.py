"""What an earlier run said of a file, for as long as nothing has changed on which that rests."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from gradlint import __version__
from gradlint.discovery.text.files import FoundFile
from gradlint.protocol.plain import plain, typed
from gradlint.report import Linted
from gradlint.settings.config import Config
from gradlint.settings.toml import ConfigError

FOLDER = ".gradlint_cache"
"""The directory in the project's root that holds the cache, unless another is named."""

_OF_THE_RUN = (
    *("exclude", "force_exclude", "fail_on", "require_trace", "python", "source"),
    *("baseline", "cache", "cache_dir", "jobs"),
)
_MARK = "CACHEDIR.TAG"
_SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by gradlint.\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the cache: `contents` has what was read with the digests that it had then.

    `key` stands for the file itself, the settings and gradlint, `environment` for the interpreter.
    """

    key: str
    environment: str
    contents: tuple[tuple[str, str], ...]
    linted: Linted


class Cache:
    """Reports of files in a directory, one JSON file each.

    `environment` is asked for what the worker would run on, once, if anything rests on it.
    """

    def __init__(
        self, directory: Path, config: Config, root: Path, environment: Callable[[], str]
    ) -> None:
        self._directory = directory
        self._settings = digest(f"{_asked(config)}\0{root.absolute()}".encode())
        self._environment = functools.cache(environment)
        self._digests: dict[str, str] = {}
        self._began = time.time_ns()

    def find(self, file: FoundFile) -> Linted | None:
        """What is known of a file, None where that is nothing, or no longer true."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            entry = cast(Entry, typed(Entry, json.loads(self._place(file).read_bytes())))
            if file.data is None and entry.key == self._key(file) and self._holds(entry):
                return entry.linted
        return None

    def store(self, file: FoundFile, linted: Linted) -> None:
        """Keep a report that another run would give again; a full or closed disk is no error."""
        if not linted.settled or file.data is not None:
            return
        contents = tuple((path, self._digest(path)) for path in linted.read)
        if not all(map(self._is_old, (str(file.path), *linted.read))):
            return  # because nobody knows which of its contents were read
        environment = self._environment() if linted.torch else ""
        entry = Entry(self._key(file), environment, contents, linted)
        with contextlib.suppress(OSError):
            _prepare(self._directory)
            _write(self._place(file), json.dumps(plain(entry), separators=(",", ":")))

    def _holds(self, entry: Entry) -> bool:
        """Whether all that an entry rests on is as it was."""
        return (
            all(self._digest(path) == before for path, before in entry.contents)
            and not any(self._digest(path) for path in entry.linted.absent)
            and (not entry.environment or entry.environment == self._environment())
        )

    def _key(self, file: FoundFile) -> str:
        parts = (_program(), self._settings, file.shown, self._digest(str(file.path)))
        return digest("\0".join(parts).encode())

    def _place(self, file: FoundFile) -> Path:
        name = digest(f"{file.shown}\0{self._settings}".encode())
        return self._directory / name[:2] / f"{name[2:32]}.json"

    def _digest(self, path: str) -> str:
        """The digest of a file as this run first saw it, "" where there is none."""
        if path not in self._digests:
            try:
                self._digests[path] = digest(Path(path).read_bytes())
            except OSError:
                self._digests[path] = ""
        return self._digests[path]

    def _is_old(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            return os.stat(path).st_mtime_ns < self._began
        return False


def clean(directory: Path) -> int:
    """Remove a cache and all in it; how many files it kept reports of.

    Raises:
        ConfigError: the directory is something else, or cannot be removed.
    """
    if not directory.is_dir():
        return 0
    if not (directory / _MARK).is_file():
        raise ConfigError(f"{directory} is no cache of gradlint: it has no {_MARK}")
    count = sum(1 for _ in directory.glob("*/*.json"))
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise ConfigError(f"{directory}: cannot be removed: {error.strerror or error}") from error
    return count


def digest(data: bytes) -> str:
    """A name for these bytes that no others have."""
    return hashlib.sha256(data).hexdigest()


def _asked(config: Config) -> Config:
    """The settings without those that change no report of a file."""
    plain_ones = Config()
    return replace(config, **{name: getattr(plain_ones, name) for name in _OF_THE_RUN})


@functools.cache
def _program() -> str:
    """What stands for gradlint itself, its Python, and rules of other packages."""
    found = hashlib.sha256(f"{__version__}\0{platform.python_version()}".encode())
    for path in _sources():
        found.update(path.read_bytes())
    for point in importlib.metadata.entry_points(group="gradlint.rules"):
        found.update(f"{point.value}\0{point.dist and point.dist.version}".encode())
        with contextlib.suppress(ImportError, OSError, ValueError):  # as whoever loads it will say
            spec = find_spec(point.module)
            found.update(Path(spec.origin).read_bytes() if spec and spec.origin else b"")
    return found.hexdigest()


def _sources() -> Iterator[Path]:
    here = Path(__file__).parent
    yield from sorted(here.rglob("*.py"))
    yield from sorted((here / "rules").glob("*.py"))  # as rglob follows no links


def _prepare(directory: Path) -> None:
    if (directory / _MARK).is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    (directory / _MARK).write_text(_SIGNATURE, encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}")
    half.write_text(text, encoding="utf-8")
    half.replace(path)  # because another run may be reading it
