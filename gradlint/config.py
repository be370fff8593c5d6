"""What the user asks for: the table `[tool.gradlint]` and what the command line changes in it."""

from __future__ import annotations

import ast
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gradlint.evidence import Severity
from gradlint.interpreter import choose_interpreter
from gradlint.toml import ConfigError, TomlValue, nearest, read_toml

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

_NOTATION = re.compile(r"(?:torch\.)?(bool|u?int\d+|b?float\d+|complex\d+)\s*\[([\d,\s]*)\]")
_ROOT_MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How the user says that a model is built, fed and trained.

    `target` is `Class` or `path.py:Class`. `arguments` is the text between the parentheses of the
    constructor, None where the user is silent; `inputs` are texts as in `Candidate.inputs`.
    `optimizer` is the name of a class in `torch.optim`. `skip` leaves the model out.
    """

    target: str
    arguments: str | None = None
    inputs: tuple[str, ...] | None = None
    optimizer: str = ""
    sequence_length: int = 0
    skip: bool = False
    command_line: bool = False

    def matches(self, path: str, name: str) -> bool:
        """Whether this speaks of model `name` of the file that reports call `path`."""
        file, _, wanted = self.target.rpartition(":")
        return wanted in (name, "") and (not file or f"/{path}".endswith(f"/{file}"))

    def filled(self, other: ModelSettings) -> ModelSettings:
        """These settings, and those of `other` where these are silent."""
        return replace(
            self,
            arguments=other.arguments if self.arguments is None else self.arguments,
            inputs=other.inputs if self.inputs is None else self.inputs,
            optimizer=self.optimizer or other.optimizer,
            sequence_length=self.sequence_length or other.sequence_length,
            skip=self.skip or other.skip,
        )


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


def _config(table: TomlValue) -> Config:
    values: dict[str, object] = {"source": table.path}
    for key, value in table.table():
        name = "models" if key == "model" else key.replace("-", "_")
        read = _READERS.get(name)
        if read is None:
            known = [other.replace("_", "-") for other in _READERS if other != "models"]
            raise value.error(f"unknown key{nearest(key, [*known, 'model'])}")
        values[name] = read(value)
    return replace(Config(), **values)  # type: ignore[arg-type]  # as the readers make them


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


def _models(value: TomlValue) -> tuple[ModelSettings, ...]:
    return tuple(_model(entry) for entry in value.array())


def _model(entry: TomlValue) -> ModelSettings:
    known = ("target", "args", "kwargs", "inputs", "optimizer", "sequence_length", "skip")
    values = {}
    for key, value in entry.table():
        name = key.replace("-", "_")
        if name not in known:
            raise value.error(f"unknown key{nearest(key, known)}")
        values[name] = value
    if "target" not in values:
        raise entry.error('has no target; give one, such as target = "model.py:Net"')
    return ModelSettings(
        target=_target(values["target"]),
        arguments=_arguments(values.get("args"), values.get("kwargs")),
        inputs=_inputs(values["inputs"]) if "inputs" in values else None,
        optimizer=values["optimizer"].string() if "optimizer" in values else "",
        sequence_length=(
            values["sequence_length"].integer(at_least=1) if "sequence_length" in values else 0
        ),
        skip=values["skip"].boolean() if "skip" in values else False,
    )


def _target(value: TomlValue) -> str:
    file, _, name = value.string().rpartition(":")
    if not all(part.isidentifier() for part in name.split(".")):
        raise value.error(f'{name!r} is no class name; write "Net" or "path.py:Net"')
    return f"{Path(file).as_posix()}:{name}" if file else name


def _arguments(args: TomlValue | None, kwargs: TomlValue | None) -> str | None:
    if args is None and kwargs is None:
        return None
    positional = [_expression(entry) for entry in args.array()] if args else []
    named = [f"{key}={_expression(value)}" for key, value in kwargs.table()] if kwargs else []
    return ", ".join([*positional, *named])


def _expression(value: TomlValue) -> str:
    match value.data:
        case "..." | "=...":
            raise value.error("put the value to build the model with in place of the dots")
        case str() as text if text.startswith("="):
            return _python(text[1:].strip(), value)
        case list():
            return f"[{', '.join(_expression(entry) for entry in value.array())}]"
        case dict():
            items = (f"{key!r}: {_expression(entry)}" for key, entry in value.table())
            return f"{{{', '.join(items)}}}"
        case float() as number if not math.isfinite(number):
            return f"float({str(number)!r})"
        case bool() | int() | float() | str() as literal:
            return repr(literal)
    raise value.error(f'{value.data!r} has no equal in Python here; write "=expression"')


def _python(text: str, value: TomlValue) -> str:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise value.error(f"{text!r} is no Python expression ({error})") from error
    return text


def _inputs(value: TomlValue) -> tuple[str, ...]:
    return tuple(_input(entry) for entry in value.array())


def _input(value: TomlValue) -> str:
    try:
        return torch_input(value.string())
    except ConfigError as error:
        raise value.error(str(error)) from error


def torch_input(text: str) -> str:
    """The Python expression for one input of a model.

    `text` is an expression, or a tensor in the notation of reports, `float32[8,3,32,32]`, each with
    or without `name=` before it; an expression may begin with = as arguments do. Floating-point
    tensors are standard normal, integers 0 or 1.

    Raises:
        ConfigError: it is neither.
    """
    text = text.strip().removeprefix("=").lstrip()
    name, equals, rest = text.partition("=")
    prefix, body = (
        (f"{name.strip()}=", rest) if equals and name.strip().isidentifier() else ("", text)
    )
    match = _NOTATION.fullmatch(body.strip())
    if match is None:
        _check_input(f"f({text})", text)
        return text
    shape = tuple(int(size) for size in match[2].split(",") if size.strip())
    torch, dtype = "__import__('torch')", match[1]
    if dtype.startswith(("float", "bfloat", "complex")):
        return f"{prefix}{torch}.randn({shape}, dtype={torch}.{dtype})"
    return f"{prefix}{torch}.randint(2, {shape}, dtype={torch}.{dtype})"


def _check_input(call: str, text: str) -> None:
    try:
        node = ast.parse(call, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"{text!r} is neither Python nor float32[8,3,32,32] ({error})") from error
    if not isinstance(node, ast.Call) or len(node.args) + len(node.keywords) != 1:
        raise ConfigError(f"{text!r} is not one input; give each input by itself")


def model_settings(text: str | None, inputs: Sequence[str]) -> ModelSettings:
    """The settings that `--model` and `--input` mean; without a model they hold for every model.

    `text` is `[path.py:]Class` or `[path.py:]Class(arguments)`.

    Raises:
        ConfigError: `text` or one of `inputs` is malformed.
    """
    given = tuple(torch_input(value) for value in inputs) or None
    if text is None:
        return ModelSettings("", inputs=given, command_line=True)
    head, parenthesis, tail = text.strip().partition("(")
    file, _, name = head.strip().rpartition(":")
    target = f"{Path(file).as_posix()}:{name}" if file else name
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"--model {text!r}: {name!r} is no class name; write Net or net.py:Net(10)"
        )
    if not parenthesis:
        return ModelSettings(target, inputs=given, command_line=True)
    try:
        ast.parse(f"{name}({tail}", mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"--model {text!r}: {name}({tail} is no Python call ({error})") from error
    arguments = tail.rstrip().removesuffix(")")
    return ModelSettings(target, arguments=arguments, inputs=given, command_line=True)


_READERS: dict[str, Callable[[TomlValue], object]] = {
    "select": _selectors,
    "ignore": _selectors,
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
    "models": _models,
    "trace": TomlValue.boolean,
    "require_trace": TomlValue.boolean,
    "cache": TomlValue.boolean,
    "cache_dir": TomlValue.string,
    "jobs": lambda value: value.integer(at_least=0),
}
