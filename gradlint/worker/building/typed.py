"""Values for the arguments of a constructor by the types that they are annotated with."""

from __future__ import annotations

import collections
import collections.abc
import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import nn

from gradlint.worker.building.entries import is_open
from gradlint.worker.loading.usual import known, usual
from gradlint.worker.running.attempt import tried

_DEEPEST = 2
"""Constructions inside of constructions: a configuration may hold another."""
_COLOURS, _FEATURES = "3", "64"
_PLAIN = {int: "64", float: "0.5", bool: "False", type(None): "None"}
_LISTS = (list, set, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_TAKEN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def annotations_of(target: object) -> dict[str, object]:
    """The types of a constructor's arguments with their aliases resolved, {} where one cannot be.

    Because `Metadata` says nothing, but the pair of lists of texts that it stands for does.
    """
    init = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    found = tried(lambda: typing.get_type_hints(init)).value
    return found if isinstance(found, dict) else {}


def of_argument(target: object, name: str, hints: Mapping[str, object]) -> str | None:
    """A value for an argument: by its name where it may be a number, else by its type."""
    told = of_type(hints.get(name), options_of(target, name))
    if told is not None and not _is_number(hints[name]):
        return told
    usual = known(name)
    coloured = usual == _COLOURS and "chan" in name
    return _FEATURES if coloured and _takes_graph(target) else usual or told


def _takes_graph(target: object) -> bool:
    """Whether a class runs on the edges of a graph, whose nodes have features, no colours."""
    forward = getattr(target, "forward", None)
    signature = tried(lambda: inspect.signature(cast(Callable[..., object], forward))).value
    names = signature.parameters if isinstance(signature, inspect.Signature) else ()
    return "ptr" in names or any("edge" in name or "adj" in name for name in names)


_NUMBERS = frozenset({int, float, bool})


def _is_number(annotation: object) -> bool:
    """Whether a value of this type may be a number, whose size a name tells best."""
    return annotation in _NUMBERS or not _NUMBERS.isdisjoint(typing.get_args(annotation))


def of_type(annotation: object, options: tuple[str, ...] = (), index: int = 0) -> str | None:
    """An expression of this type, None where the type says too little.

    Several of one type, as in a list or in the keys of a mapping, are told apart by their `index`;
    texts are those among the `options` where there are any.
    """
    return _value(annotation, options, index, _DEEPEST)


def _value(annotation: object, options: tuple[str, ...], index: int, depth: int) -> str | None:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)

    def each(kind: object, at: int) -> str | None:
        return _value(kind, options, at, depth)

    if annotation is str:
        return repr(options[index % len(options)] if options else str(index))
    if isinstance(annotation, type) and origin is None:
        return _PLAIN.get(annotation) or _instance(annotation, depth)
    if origin is typing.Literal:
        return repr(inner[0])
    if origin in (typing.Union, types.UnionType):
        return next(filter(None, (each(kind, index) for kind in inner)), None)
    if origin is collections.abc.Callable:
        return "PassThrough()"
    if origin is tuple:
        items = [each(kind, index) for kind in inner if kind is not ...]
        return f"({', '.join(map(str, items))},)" if None not in items else None
    if origin in _LISTS:
        items = [each(inner[0], at) for at in range(max(2, _count(inner[0], options)))]
        return f"[{', '.join(map(str, items))}]" if None not in items else None
    if origin in _MAPPINGS:
        pairs = [(each(inner[0], at), each(inner[1], at)) for at in range(2)]
        known = all(None not in pair for pair in pairs)
        return f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}" if known else None
    return None


def _count(kind: object, options: tuple[str, ...]) -> int:
    """How many texts a list of them may hold."""
    return len(options) if kind is str or str in typing.get_args(kind) else 0


def _instance(kind: type, depth: int) -> str | None:
    """A construction of a class with the values that its own arguments usually have."""
    if issubclass(kind, torch.Tensor):
        return "__import__('torch').ones(64)"
    if issubclass(kind, enum.Enum):
        return f"list({reached(kind)})[0]"
    if kind is nn.Module or (issubclass(kind, nn.Module) and inspect.isabstract(kind)):
        return "PassThrough()"
    if issubclass(kind, nn.Module) and is_open(kind):
        kind = _heir(kind)
    names = _needed(kind)
    if names is None or not depth or kind.__module__ == "builtins":
        return None
    hints = annotations_of(kind)
    words = []
    for name in names:
        plain = hints.get(name) in (None, int)
        value = None if plain else _value(hints[name], (), 0, depth - 1)
        size = _FEATURES if _takes_graph(kind) and usual(name) == _COLOURS else usual(name)
        words.append(f"{name}={value or size}")
    return f"{reached(kind)}({', '.join(words)})"


def _needed(kind: type) -> tuple[str, ...] | None:
    """The arguments that a class must be given, None where that is not known."""
    signature = tried(lambda: inspect.signature(cast(Callable[..., object], kind))).value
    if not isinstance(signature, inspect.Signature):
        return None
    known = signature.parameters.items()
    return tuple(n for n, p in known if p.default is p.empty and p.kind in _TAKEN)


def _heir(kind: type) -> type:
    """The subclass that stands for a base which leaves its forward open; itself where none does.

    It is the first of those that must be given what most of them must.
    """
    below: list[type] = []
    waiting: list[type] = type.__subclasses__(kind)
    while waiting:
        below.append(waiting.pop(0))
        waiting += type.__subclasses__(below[-1])
    needs = {each: _needed(each) for each in below if not is_open(each)}
    counts = collections.Counter(needs.values())
    most = max(counts, key=lambda names: counts[names], default=None)
    return next((each for each, names in needs.items() if names == most), kind)


def reached(kind: type) -> str:
    """An expression for a class of any module that has been imported."""
    return f"__import__('importlib').import_module('{kind.__module__}').{kind.__qualname__}"


_QUOTED = re.compile(r"[\"']([\w.+-]+)[\"']")


def options_of(target: object, name: str) -> tuple[str, ...]:
    """The texts that the docstring of a class quotes in its entry for an argument, in order."""
    texts = (inspect.getdoc(target), inspect.getdoc(getattr(target, "__init__", None)))
    entry = rf"^([ \t]*){name}\b ?[(:].*(?:\n(?:\1[ \t]+.*)?)*"
    found = (re.search(entry, text, re.MULTILINE) for text in texts if text)
    entries = (match[0] for match in found if match)
    return tuple(dict.fromkeys(_QUOTED.findall(next(entries, ""))))
