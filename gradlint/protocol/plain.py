"""Frozen values as JSON and back: the form in which they travel and are kept."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import fields, is_dataclass
from enum import Enum


def plain(value: object) -> object:
    """What JSON knows in place of enums, tuples, dataclasses and numbers that are not finite."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if is_dataclass(value):
        return {"type": type(value).__name__} | {
            field.name: plain(getattr(value, field.name)) for field in fields(value)
        }
    return value


def typed(hint: typing.Any, data: typing.Any) -> object:  # noqa: ANN401
    """The value of the type `hint` that `plain` made `data` of.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: it was made of no such value.
    """
    if is_dataclass(hint):
        hints = _hints(typing.cast(type, hint))
        return typing.cast(type, hint)(
            **{name: typed(hints[name], item) for name, item in data.items() if name != "type"}
        )
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(typed(arguments[0], item) for item in data)
        return tuple(typed(kind, item) for kind, item in zip(arguments, data, strict=True))
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, data)
    if hint is float:
        return float(data)
    return hint(data) if isinstance(hint, type) and issubclass(hint, Enum) else data


def _one_of(alternatives: tuple[typing.Any, ...], data: typing.Any) -> object:  # noqa: ANN401
    if isinstance(data, dict):
        return typed(next(kind for kind in alternatives if kind.__name__ == data["type"]), data)
    if data is None:
        return None
    for kind in alternatives:
        if typing.get_origin(kind) is tuple and isinstance(data, list):
            return typed(kind, data)
    if float in alternatives and str not in alternatives:
        return data if isinstance(data, int) else float(data)
    return data


_HINTS: dict[type, dict[str, typing.Any]] = {}


def _hints(kind: type) -> dict[str, typing.Any]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]
