"""With which optimizer other files of a project train the models of one file."""

from __future__ import annotations

import re
from pathlib import Path

from gradlint.discovery.knowledge.optimizers import family_of, is_optimizer
from gradlint.discovery.project.evidence import OtherFile, Project
from gradlint.discovery.text.lookups import Lookups
from gradlint.protocol.training import OptimizerFamily

_FURTHEST = 3
"""Files in a chain from the model to its optimizer: network, the choice of a network, training."""


def family_elsewhere(path: Path, root: Path, model: str, lookups: Lookups) -> OptimizerFamily:
    """The family of the optimizers in the other files of the project that name the model.

    Where these have none, as where networks are chosen by name, in the files that import them.
    Unknown where there are none, or of both families. What was read is added to `lookups`.
    """
    project = Project(root.absolute(), path.absolute(), lookups)
    named = re.escape(model.rpartition(".")[2])
    pattern = rf"\b{named}\(|\bimport\b.*\b{named}\b"
    families: set[OptimizerFamily] = set()
    for _ in range(_FURTHEST):
        users = list(project.naming(pattern))
        families = {family for user in users for family in _families(user)}
        if families or not users:
            break
        pattern = rf"^\s*(?:from|import)\b.*\b(?:{'|'.join(map(_module, users))})\b"
    return families.pop() if len(families) == 1 else OptimizerFamily.UNKNOWN


def _module(file: OtherFile) -> str:
    """The last part of the name by which others import a file."""
    return re.escape(file.path.parent.name if file.path.stem == "__init__" else file.path.stem)


def _families(file: OtherFile) -> set[OptimizerFamily]:
    names = (file.imports.qualified(called.node.func) for called in file.outline.calls)
    families = {family_of(name.rpartition(".")[2]) for name in names if is_optimizer(name)}
    return families - {OptimizerFamily.UNKNOWN}
