"""How the user says that a model is built: in the settings, or on the command line."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gradlint.settings.toml import ConfigError, TomlValue, nearest

_NOTATION = re.compile(r"(?:torch\.)?(bool|u?int\d+|b?float\d+|complex\d+)\s*\[([\d,\s]*)\]")


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


def models_in(value: TomlValue) -> tuple[ModelSettings, ...]:
    """The entries of `[[tool.gradlint.model]]`.

    Raises:
        ConfigError: one of them is malformed.
    """
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
