"""What the user asks for: the table `[tool.gradlint]` and what the command line changes in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from gradlint.judging.evidence import Severity
from gradlint.process.interpreter import choose_interpreter
from gradlint.settings.model_settings import ModelSettings, model_settings, models_in, torch_input
from gradlint.settings.toml import ConfigError, TomlValue, nearest, read_toml

__all__ = [
    "Config",
    "ConfigError",
    "ModelSettings",
    "check_selectors",
    "interpreter",
    "load_config",
    "model_settings",
    "torch_input",
]

_ROOT_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


Ignores = tuple[tuple[str, tuple[str, ...]], ...]
"""Patterns, each with the selectors that are ignored where it fits."""


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of a run, checked.

    `timeout` is in seconds for each model, `memory` in MiB for each file's process. `trace` is
    false where no user code may run. `pictures` says whether whole layer graphs are measured, for
    reports that draw them. `jobs` is how many workers run side by side, 0 for as many as pay.
    `source` is the file that was read, None where there was none;
    paths and patterns are relative to its directory.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: Ignores = ()
    per_module_ignores: Ignores = ()
    severity: tuple[tuple[str, Severity], ...] = ()
    fail_on: Severity = Severity.WARNING
    exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    python: str = ""
    seed: int = 0
    seeds: int = 3
    timeout: float = 60.0
    memory: int = 4096
    models: tuple[ModelSettings, ...] = ()
    trace: bool = True
    require_trace: bool = False
    pictures: bool = False
    cache: bool = True
    baseline: str = ""
    cache_dir: str = ""
    jobs: int = 0
    source: Path | None = None

    def selects(self, rule: str, family: str, path: str = "") -> bool:
        """Whether findings of `rule` are wanted in the file that reports call `path`.

        The more particular word wins: a rule's name over its family, its family over silence; at
        the same level `ignore` wins.
        """
        ignored = [*self.ignore]
        for pattern, selectors in self.per_file_ignores:
            if _covers(pattern, path):
                ignored += selectors
        wanted = _particular(self.select, rule, family) if self.select else 0
        return wanted > _particular(ignored, rule, family)

    def ignores_in(self, rule: str, family: str, model: str, module: str) -> bool:
        """Whether findings of `rule` about the module or layer `module` of a model are unwanted.

        A pattern speaks of `module` or of `Model.module`; `backbone.*` also of `backbone` itself.
        """
        names = (module, f"{model}.{module}")
        ignored = [
            selector
            for pattern, selectors in self.per_module_ignores
            if any(_covers_module(pattern, name) for name in names)
            for selector in selectors
        ]
        return _particular(ignored, rule, family) >= 0

    def severity_of(self, rule: str, severity: Severity) -> Severity:
        """The severity that the user gives to `rule`, or `severity`."""
        return dict(self.severity).get(rule, severity)

    def model(self, path: str, name: str) -> ModelSettings:
        """What is said of model `name` of the file `path`, the command line first."""
        found = ModelSettings(f"{path}:{name}")
        for settings in self.models:
            if settings.matches(path, name):
                found = replace(
                    found.filled(settings),
                    command_line=found.command_line or settings.command_line,
                )
        return found


def _particular(selectors: Iterable[str], rule: str, family: str) -> int:
    levels = {rule: 2, family: 1, "all": 0}
    return max((levels.get(selector, -1) for selector in selectors), default=-1)


def _covers(pattern: str, path: str) -> bool:
    from pathspec import GitIgnoreSpec  # because few configurations have such patterns

    return GitIgnoreSpec.from_lines([pattern]).match_file(path)


def _covers_module(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or name == pattern.removesuffix(".*")


def load_config(
    paths: Sequence[Path], *, file: Path | None = None, isolated: bool = False
) -> tuple[Config, Path]:
    """The settings for `paths` and the project root that they belong to.

    Read is `file` if given, else the nearest pyproject.toml at or above what `paths` have in common
    that has the table; nothing where `isolated`. The root is the directory of the file that was
    read, else the nearest with a project's marks, else the working directory.

    Raises:
        ConfigError: the file cannot be read, or a key, value, rule or selector in it is unknown.
    """
    start = _common(paths)
    if file is not None:
        document = read_toml(file)
        table = document.get("tool", "gradlint") or _whole(document)
        return _config(table), file.absolute().parent
    if not isolated:
        for directory in (start, *start.parents):
            found = _table(directory / "pyproject.toml")
            if found is not None:
                return _config(found), directory
    return Config(), _marked(start)


def interpreter(config: Config, root: Path) -> Path:
    """The Python that imports the user's code.

    Raises:
        ConfigError: the one that was asked for does not exist.
    """
    return choose_interpreter(config.python, root).path


def _whole(document: TomlValue) -> TomlValue:
    if document.get("tool") is not None:
        raise ConfigError(f"{document.path}: there is no table [tool.gradlint] in it")
    return document


def _table(path: Path) -> TomlValue | None:
    return read_toml(path).get("tool", "gradlint") if path.is_file() else None


def _common(paths: Sequence[Path]) -> Path:
    directories = [path if path.is_dir() else path.parent for path in map(Path.absolute, paths)]
    return Path(os.path.normpath(os.path.commonpath(directories))) if paths else Path.cwd()


def _marked(start: Path) -> Path:
    for directory in (start, *start.parents):
        if any((directory / marker).exists() for marker in _ROOT_MARKERS):
            return directory
    here = Path.cwd()
    return here if start.is_relative_to(here) else start


def _config(table: TomlValue, extending: tuple[Path, ...] = ()) -> Config:
    """The settings of a table over those of the file that it extends.

    Raises:
        ConfigError: a key or value is wrong, or files extend each other.
    """
    values: dict[str, object] = {"source": table.path}
    for key, value in table.table():
        name = "models" if key == "model" else key.replace("-", "_")
        read = _READERS.get(name)
        if read is None:
            known = [other.replace("_", "-") for other in _READERS if other != "models"]
            raise value.error(f"unknown key{nearest(key, [*known, 'model'])}")
        values[name] = read(value)
    extend = table.get("extend")
    base = _extended(extend, (*extending, table.path.resolve())) if extend else Config()
    values.pop("extend", None)
    _add(values, "select", base.select)
    _add(values, "ignore", base.ignore)
    _add(values, "exclude", base.exclude)
    return replace(base, **values)  # type: ignore[arg-type]  # as the readers make them


def _extended(extend: TomlValue, extending: tuple[Path, ...]) -> Config:
    file = (extend.path.parent / extend.string()).resolve()
    if file in extending:
        raise extend.error(f"{file} extends this file in turn")
    document = read_toml(file)
    return _config(document.get("tool", "gradlint") or _whole(document), extending)


def _add(values: dict[str, object], name: str, before: tuple[str, ...]) -> None:
    """Let `extend-NAME` add to the key NAME, or to what it was before."""
    more = cast(tuple[str, ...], values.pop(f"extend_{name}", ()))
    begun = cast(tuple[str, ...], values.get(name, before))
    everything = name == "select" and not begun
    values[name] = () if everything else (*begun, *more)


def _selectors(value: TomlValue) -> tuple[str, ...]:
    for entry in value.array():
        _known(entry.string(), entry)
    return value.strings()


def _known(selector: str, value: TomlValue) -> str:
    try:
        check_selectors([selector])
    except ConfigError as error:
        raise value.error(str(error)) from error
    return selector


def check_selectors(selectors: Iterable[str], *, names_only: bool = False) -> None:
    """Do nothing if all selectors are rules, families or `all`.

    Raises:
        ConfigError: one is not; the message has the nearest that is.
    """
    selectors = tuple(selectors)
    if not selectors:
        return
    from gradlint.loader import rules  # because most runs name no rule, and loading them takes time
    from gradlint.rule import Family

    names = {rule.name() for rule in rules()}
    known = names if names_only else {*names, "all", *(family.value for family in Family)}
    for selector in selectors:
        if selector not in known:
            kind = "rule" if names_only else "rule or family"
            raise ConfigError(f"no {kind} is called {selector!r}{nearest(selector, known)}")


def _ignores(value: TomlValue) -> Ignores:
    return tuple((pattern, _selectors(selectors)) for pattern, selectors in value.table())


def _severities(value: TomlValue) -> tuple[tuple[str, Severity], ...]:
    found = []
    for rule, severity in value.table():
        try:
            check_selectors([rule], names_only=True)
        except ConfigError as error:
            raise severity.error(str(error)) from error
        found.append((rule, _severity(severity)))
    return tuple(found)


def _severity(value: TomlValue) -> Severity:
    known = [severity.value for severity in Severity]
    name = value.string()
    if name not in known:
        wanted = ", ".join(known)
        raise value.error(f"{name!r} is no severity ({wanted}){nearest(name, known)}")
    return Severity(name)


_READERS: dict[str, Callable[[TomlValue], object]] = {
    "select": _selectors,
    "ignore": _selectors,
    "extend": TomlValue.string,
    "extend_select": _selectors,
    "extend_ignore": _selectors,
    "extend_exclude": TomlValue.strings,
    "per_file_ignores": _ignores,
    "per_module_ignores": _ignores,
    "severity": _severities,
    "fail_on": _severity,
    "exclude": TomlValue.strings,
    "force_exclude": TomlValue.boolean,
    "python": TomlValue.string,
    "seed": lambda value: value.integer(at_least=0),
    "seeds": lambda value: value.integer(at_least=1),
    "timeout": TomlValue.seconds,
    "memory": lambda value: value.integer(at_least=1),
    "models": models_in,
    "trace": TomlValue.boolean,
    "require_trace": TomlValue.boolean,
    "cache": TomlValue.boolean,
    "baseline": TomlValue.string,
    "cache_dir": TomlValue.string,
    "jobs": lambda value: value.integer(at_least=0),
}
