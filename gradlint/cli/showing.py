"""What a run would do, told instead of done: its files and its settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.discovery.text.files import FoundFile
    from gradlint.program import Unreadable
    from gradlint.settings.config import Config, ModelSettings

_TABLES = ("per_file_ignores", "per_module_ignores", "severity")


def files_text(found: tuple[FoundFile | Unreadable, ...]) -> str:
    """The paths of files, one a line, as they are found from the working directory."""
    from gradlint.discovery.text.files import FoundFile

    paths = (os.path.relpath(file.path) for file in found if isinstance(file, FoundFile))
    return "".join(f"{path}\n" for path in paths)


def settings_text(config: Config, root: Path) -> str:
    """All settings in the form in which pyproject.toml has them, and the rules that they select."""
    return "".join(f"{line}\n" for line in _settings(config, root))


def _settings(config: Config, root: Path) -> Iterator[str]:
    from gradlint.loader import rules

    yield f"# project root: {root}"
    yield f"# read from: {config.source or 'nothing'}"
    selected = (rule for rule in rules() if config.selects(rule.name(), rule.family.value))
    yield f"# rules: {', '.join(rule.name() for rule in selected) or 'none'}"
    yield "[tool.gradlint]"
    for field in fields(config):
        if field.name not in (*_TABLES, "models", "source", "pictures"):
            yield f"{field.name.replace('_', '-')} = {_toml(getattr(config, field.name))}"
    for name in _TABLES:
        yield from _table(name.replace("_", "-"), dict(getattr(config, name)))
    for model in config.models:
        yield from _model(model)


def _table(name: str, values: Mapping[str, object]) -> Iterator[str]:
    if values:
        yield f"\n[tool.gradlint.{name}]"
        yield from (f"{json.dumps(key)} = {_toml(value)}" for key, value in values.items())


def _model(model: ModelSettings) -> Iterator[str]:
    yield "\n[[tool.gradlint.model]]"
    yield f"target = {_toml(model.target)}"
    if model.arguments is not None:
        yield f"# arguments: {model.arguments}"
    if model.inputs is not None:
        yield f"# inputs: {', '.join(model.inputs)}"
    if model.optimizer:
        yield f"optimizer = {_toml(model.optimizer)}"
    if model.sequence_length:
        yield f"sequence_length = {model.sequence_length}"
    if model.skip:
        yield "skip = true"


def _toml(value: object) -> str:
    if isinstance(value, Enum):
        return json.dumps(value.value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
