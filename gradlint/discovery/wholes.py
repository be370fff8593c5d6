"""Which models of the project may hold a model class as a part of theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gradlint.discovery.project.evidence import Project, whole_word
from gradlint.discovery.text.imports import package_of
from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.text.outline import Scope
from gradlint.program import ModelDefinition, Program
from gradlint.protocol.wire import BuiltFrom, Whole

_MOST = 6
_FARTHEST = 4
"""Steps from a part to its whole: a block, a stage, a backbone, a model."""
_MOST_NAMES = 12
"""Classes and functions of each step whose own mentions are looked for."""
_MOST_FILES = 8
"""Files whose models are read in full."""


@dataclass(slots=True)
class Surroundings:
    """The models around those of one file; what was read of the project is remembered.

    `program` is the file that is linted, at `path` below `root`. What is read is added to
    `lookups`.
    """

    path: Path
    root: Path
    program: Program
    lookups: Lookups
    _project: Project | None = None
    _programs: dict[Path, Program | None] = field(default_factory=dict)

    def wholes(self, name: str) -> tuple[Whole, ...]:
        """Models that construct the class `name` of the file, directly or through others.

        Those whose arguments need no guess come first, among these the ones that no other model of
        their file constructs, and then the nearest.
        """
        found = sorted(self._outward(name), key=lambda item: _rank(item[1]))[:_MOST]
        return tuple(Whole(self._module(file), m.name, m.candidates) for file, m in found)

    @property
    def project(self) -> Project:
        """The files around."""
        if self._project is None:
            self._project = Project(self.root, self.path, self.lookups)
            self._programs[self.path] = self.program
        return self._project

    def _outward(self, name: str) -> Iterator[tuple[Path, ModelDefinition]]:
        """The models around a class with their files, step by step."""
        wanted, seen = [name], {name}
        for _ in range(_FARTHEST):
            around = dict.fromkeys(place for each in wanted for place in self._mentions(each))
            new = [(file, scope) for file, scope in around if scope.name not in seen]
            for file, scope in new:
                model = self._model(file, scope.name) if scope.is_class else None
                if model is not None:
                    yield file, model
            wanted = list(dict.fromkeys(scope.name for _, scope in new))[:_MOST_NAMES]
            seen.update(wanted)

    def _mentions(self, name: str) -> Iterator[tuple[Path, Scope]]:
        """The classes and functions at the top level of a file that mention a name, or inherit."""
        for file in (
            self.project.parsed(self.path),
            *self.project.naming(whole_word(name)),
        ):
            for scope in file.outline.scopes if file is not None else ():
                outer = _outermost(scope)
                if file is not None and outer and name in scope.references | _bases(scope):
                    yield file.path, outer

    def _model(self, file: Path, name: str) -> ModelDefinition | None:
        from gradlint.discovery import discover  # because most runs need no wholes

        if file not in self._programs:
            if len(self._programs) >= _MOST_FILES:
                return None
            program = discover(file, file.name, self.root)
            self._programs[file] = program if isinstance(program, Program) else None
        known = self._programs[file]
        models = known.models if known is not None else ()
        return next((model for model in models if model.name == name and model.candidates), None)

    def _module(self, file: Path) -> str:
        """The dotted name of a file, "" for the one that is linted."""
        own = [file.stem] if file.stem != "__init__" else []
        return ".".join([*filter(None, [package_of(file)[0]]), *own]) if file != self.path else ""


def _outermost(scope: Scope) -> Scope | None:
    """The class or function at the top level of the file that a scope stands in."""
    inside = [around for around in scope.outward if not around.is_module]
    return inside[-1] if inside else None


def _bases(scope: Scope) -> set[str]:
    bases = scope.node.bases if isinstance(scope.node, ast.ClassDef) else []
    return {base.id for base in bases if isinstance(base, ast.Name)}


def _rank(model: ModelDefinition) -> tuple[bool, bool]:
    """Lower for a model that needs no guess, and for one that its own file does not construct."""
    return model.candidates[0].built_from is BuiltFrom.NAMES, not model.root
