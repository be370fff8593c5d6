"""Whether a text can define a model or a training loop at all, told without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gradlint.discovery.knowledge.frameworks import is_known
from gradlint.discovery.text.imports import absolute, package_of
from gradlint.discovery.text.lookups import Lookups

_WORDS = ("torch", "lightning", "transformers", ".backward(", "timm", "fairseq", "diffusers")
_CLASS = re.compile(r"^[ \t]*class[ \t]+\w+[ \t]*\(\s*[\w.]", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import\b", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w.]+)", re.MULTILINE)


def may_train(text: str, path: Path, root: Path, lookups: Lookups) -> bool:
    """Whether a file may hold a model or a loop.

    One of the words of the field is enough; without any, a class may still inherit from a model in
    a file of the project that this one imports.
    """
    if any(word in text for word in _WORDS):
        return True
    return _CLASS.search(text) is not None and any(
        lookups.is_file(file) for file in _imported(text, path, root)
    )


def _imported(text: str, path: Path, root: Path) -> Iterator[Path]:
    """The files that the project would hold for each import."""
    package, folder = package_of(path)
    for level, module in _modules(text):
        name = absolute(module, level, package)
        head = name.split(".")[0]
        if not level and head != package.split(".")[0] and is_known(head):
            continue
        if name.startswith("."):
            parents = (path.parent, *path.parent.parents)
            yield from _files(parents[min(level, len(parents)) - 1], module)
        else:
            for base in dict.fromkeys((folder, root, root / "src")):
                yield from _files(base, name)


def _modules(text: str) -> Iterator[tuple[int, str]]:
    for match in _FROM.finditer(text):
        yield len(match[1]), match[2]
    for match in _IMPORT.finditer(text):
        yield 0, match[1]


def _files(base: Path, module: str) -> Iterator[Path]:
    target = base.joinpath(*module.split(".")) if module else base
    yield target / "__init__.py"
    if module:
        yield target.with_name(target.name + ".py")
