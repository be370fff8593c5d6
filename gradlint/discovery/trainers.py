"""With which optimizer other files of a project train the models of one file."""

from __future__ import annotations

import re
from pathlib import Path

from gradlint.discovery.lookups import Lookups
from gradlint.discovery.optimizers import family_of, is_optimizer
from gradlint.discovery.project import OtherFile, Project
from gradlint.protocol.training import OptimizerFamily


def family_elsewhere(path: Path, root: Path, model: str, lookups: Lookups) -> OptimizerFamily:
    """The family of the optimizers in the other files of the project that name the model.

    Unknown where there are none, or of both families. What was read is added to `lookups`.
    """
    project = Project(root.absolute(), path.absolute(), lookups)
    named = re.escape(model.rpartition(".")[2])
    families = {
        family for file in project.naming(rf"\b{named}\(") for family in _families(file)
    } - {OptimizerFamily.UNKNOWN}
    return families.pop() if len(families) == 1 else OptimizerFamily.UNKNOWN


def _families(file: OtherFile) -> set[OptimizerFamily]:
    names = (file.imports.qualified(called.node.func) for called in file.outline.calls)
    return {family_of(name.rpartition(".")[2]) for name in names if name and is_optimizer(name)}
