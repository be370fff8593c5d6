"""The parameters of a constructor, and which of them must be given."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from gradlint.discovery.knowledge.names import REQUIRED
from gradlint.discovery.project.reading import Reading


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a constructor; one that is not `optional` must be given a value.

    `default` is what an optional one has without.
    """

    name: str
    annotation: ast.expr | None
    keyword_only: bool = False
    optional: bool = False
    default: ast.expr | None = None


def required_parameters(reading: Reading, name: str) -> list[Parameter] | None:
    """The parameters without defaults of the constructor, None where no constructor is in sight."""
    lineage = reading.lineages[name]
    outlined = lineage.constructor
    if outlined is not None and outlined.init is not None:
        return without_defaults(outlined.init)
    for opaque in lineage.opaque:
        if opaque.startswith("torch.nn.") and (roles := REQUIRED.get(opaque.rpartition(".")[2])):
            return [Parameter(role, None) for role in roles]
    return None


def all_parameters(reading: Reading, name: str) -> list[Parameter]:
    """The parameters of the constructor, () where none is in sight."""
    outlined = reading.lineages[name].constructor
    return parameters_of(outlined.init) if outlined is not None and outlined.init else []


def without_defaults(arguments: ast.arguments) -> list[Parameter]:
    """The parameters of a method that must be given, but for the first (`self`)."""
    return [parameter for parameter in parameters_of(arguments) if not parameter.optional]


def hands_on(arguments: ast.arguments) -> bool:
    """Whether a constructor needs nothing of its own and takes whatever its base does."""
    return not without_defaults(arguments) and arguments.kwarg is not None


def given_arguments(call: ast.Call, parameters: list[Parameter]) -> dict[str, ast.expr]:
    """The arguments of a call by parameter; none where some are spread or go nowhere."""
    if any(isinstance(item, ast.Starred) for item in call.args) or any(
        word.arg is None for word in call.keywords
    ):
        return {}
    positional = [item.name for item in parameters if not item.keyword_only]
    if len(call.args) > len(positional):
        return {}
    given = dict(zip(positional, call.args, strict=False))
    given.update({word.arg: word.value for word in call.keywords if word.arg})
    return given


def parameters_of(arguments: ast.arguments, *, bound: bool = True) -> list[Parameter]:
    """The parameters of a function; of a `bound` method without the first (`self`)."""
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    defaults = [*[None] * required, *arguments.defaults]
    found = [
        Parameter(item.arg, item.annotation, False, index >= required, default)
        for index, (item, default) in enumerate(zip(positional, defaults, strict=True))
    ][1 if bound else 0 :]
    for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(Parameter(item.arg, item.annotation, True, default is not None, default))
    return found
