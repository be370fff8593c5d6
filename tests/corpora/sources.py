"""The Python files of an installed package or of a folder, found without importing any."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package or a folder. `files` are relative to `root`, from where it is linted."""

    name: str
    root: Path
    files: tuple[Path, ...]

    def sample(self, count: int, seed: int) -> Package:
        """`count` of the files that define a forward, because the others hold no model."""
        defining = [file for file in self.files if b"def forward(" in _read(self.root / file)]
        chosen = random.Random(seed).sample(defining, min(count, len(defining)))
        return Package(self.name, self.root, tuple(sorted(chosen)))


def find_package(name: str) -> Package:
    """The package called `name`.

    Raises:
        LookupError: no package of this name is installed.
    """
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders:
        raise LookupError(f"{name}: no package of this name is installed")
    folder = Path(folders[0])
    files = sorted(
        file.relative_to(folder.parent)
        for file in folder.rglob("*.py")
        if not file.name.startswith("modular_")  # from which transformers writes its modeling files
    )
    return Package(name, folder.parent, tuple(files))


def find_folder(path: Path) -> Package:
    """The Python files and notebooks of a repository, linted from its top.

    Raises:
        LookupError: there is no such folder.
    """
    if not path.is_dir():
        raise LookupError(f"{path}: there is no such folder")
    folder = path.resolve()
    files = (file for file in folder.rglob("*") if file.suffix in (".py", ".ipynb"))
    return Package(folder.name, folder, tuple(sorted(f.relative_to(folder) for f in files)))


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""
