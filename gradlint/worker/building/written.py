"""How values that were passed to a model's parts are written as expressions."""

from __future__ import annotations

import enum
import functools
import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType

import torch
from torch import nn

from gradlint.worker.running.attempt import tried


class NotWrittenError(Exception):
    """A value that no expression gives."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes expressions for the namespace of `module`."""

    module: ModuleType

    def call(
        self,
        name: str,
        signature: inspect.Signature,
        args: tuple[object, ...],
        words: Mapping[str, object],
    ) -> str:
        """A call with these arguments, those left out that are as the default.

        Raises:
            NotWrittenError: no expression gives one of them.
        """
        return f"{name}({', '.join(self._arguments(signature, args, words))})"

    def inputs(
        self,
        signature: inspect.Signature,
        args: tuple[object, ...],
        words: Mapping[str, object],
    ) -> tuple[str, ...]:
        """The arguments of a call, where tensors are drawn anew.

        Raises:
            NotWrittenError: no expression gives one of them.
        """
        return tuple(self._arguments(signature, args, words))

    def _arguments(
        self, signature: inspect.Signature, args: tuple[object, ...], words: Mapping[str, object]
    ) -> list[str]:
        bound = tried(lambda: signature.bind(*args, **words)).value
        if not isinstance(bound, inspect.BoundArguments):
            raise NotWrittenError
        texts = []
        for name, value in bound.arguments.items():
            parameter = signature.parameters[name]
            if parameter.kind is parameter.VAR_POSITIONAL:
                texts += [self._value(item) for item in value]
            elif parameter.kind is parameter.VAR_KEYWORD:
                texts += [f"{key}={self._value(item)}" for key, item in value.items()]
            elif not (value is parameter.default or _is_equal(value, parameter.default)):
                named = parameter.kind is not parameter.POSITIONAL_ONLY and (
                    parameter.kind is parameter.KEYWORD_ONLY or not _spreads(signature)
                )
                texts.append(f"{name}={self._value(value)}" if named else self._value(value))
        return texts

    def _value(self, value: object) -> str:
        match value:
            case float() if not math.isfinite(value):
                return f"float('{value}')"
            case enum.Enum():
                return f"{self._name(type(value))}.{value.name}"
            case None | bool() | int() | float() | str():
                return repr(value)
            case torch.Tensor():
                return self._tensor(value)
            case torch.dtype() | torch.device():
                return f"{self._torch}.{str(value).removeprefix('torch.')}"
            case type() | FunctionType() | BuiltinFunctionType():
                return self._name(value)
            case functools.partial():
                given = [self._name(value.func), *map(self._value, value.args)]
                given += [f"{key}={self._value(item)}" for key, item in value.keywords.items()]
                return f"__import__('functools').partial({', '.join(given)})"
            case nn.Module():
                return self._layer(value)
            case dict():
                pairs = (f"{self._value(k)}: {self._value(v)}" for k, v in value.items())
                return f"{{{', '.join(pairs)}}}"
            case list() | tuple():
                items = [self._value(item) for item in value]
                if isinstance(value, list):
                    return f"[{', '.join(items)}]"
                return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        raise NotWrittenError

    @property
    def _torch(self) -> str:
        return "torch" if vars(self.module).get("torch") is torch else "__import__('torch')"

    def _name(self, value: object) -> str:
        """How the module reaches a class or a function: by its own name for it, or by an import.

        Raises:
            NotWrittenError: it cannot be reached.
        """
        name = getattr(value, "__qualname__", "")
        if vars(self.module).get(name) is value:
            return str(name)
        if vars(nn).get(name) is value:
            return f"nn.{name}" if vars(self.module).get("nn") is nn else f"{self._torch}.nn.{name}"
        home = getattr(value, "__module__", None) or ""
        if "." in name or getattr(sys.modules.get(home), name, None) is not value:
            raise NotWrittenError
        return f"__import__('importlib').import_module('{home}').{name}"

    def _layer(self, layer: nn.Module) -> str:
        """A layer of torch without parameters, such as an activation, as it prints itself.

        Raises:
            NotWrittenError: it is any other module.
        """
        if next(layer.parameters(), None) is not None or next(layer.children(), None) is not None:
            raise NotWrittenError
        text = f"{self._name(type(layer))}({layer.extra_repr()})"
        if type(layer) not in vars(nn).values() or "..." in text:
            raise NotWrittenError
        return text

    def _tensor(self, tensor: torch.Tensor) -> str:
        """A tensor of the same shape and type: of one value, of whole numbers, or N(0, 1)."""
        shape, dtype = tuple(tensor.shape), tensor.dtype
        low, high = (_known(tensor.min), _known(tensor.max)) if tensor.numel() else (None, None)
        kind = "" if dtype is torch.float32 else f", dtype={self._value(dtype)}"
        if low is not None and low == high:
            same = f"{self._torch}.full({shape}, {self._value(low)}"
            return f"{same}{kind or f', dtype={self._torch}.float32'})"
        if tensor.is_floating_point() or tensor.is_complex():
            return f"{self._torch}.randn({shape}{kind})"
        first, last = (low, high) if type(low) is int and type(high) is int else (0, 1)
        return f"{self._torch}.randint({first}, {last + 1}, {shape}{kind})"


def _known(reduced: object) -> bool | int | float | None:
    """The value of a reduction, None for a complex tensor or one without values."""
    value = tried(lambda: reduced().item()).value  # type: ignore[operator]
    return value if isinstance(value, (bool, int, float)) else None


def _is_equal(value: object, default: object) -> bool:
    plain = (bool, int, float, str, tuple)
    return type(value) is type(default) and isinstance(value, plain) and value == default


def _spreads(signature: inspect.Signature) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
