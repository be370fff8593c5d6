"""Inputs that the source itself gives, drawn anew with a batch large enough to measure on."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from gradlint.worker.running.attempt import tried
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.outputs import tensors_of

BATCH = 8
_SLOWEST = 4.0
_FEW = 2

Arguments = tuple[tuple[object, ...], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Expression:
    """Arguments of a call as text: `expression`, `name=expression`, `*sequence` or `**mapping`."""

    text: str

    def add_to(
        self, namespace: dict[str, object], args: list[object], kwargs: dict[str, object]
    ) -> None:
        """Evaluate it and add what it gives to the arguments of a call."""
        if self.text.startswith("**"):
            kwargs.update(cast(Mapping[str, object], evaluated(self.text[2:], namespace)))
        elif self.text.startswith("*"):
            args.extend(cast(Iterable[object], evaluated(self.text[1:], namespace)))
        else:
            call = ast.parse(f"f({self.text})", mode="eval").body
            assert isinstance(call, ast.Call)
            args.extend(evaluated(ast.unparse(value), namespace) for value in call.args)
            for word in call.keywords:
                kwargs[word.arg or ""] = evaluated(ast.unparse(word.value), namespace)


def evaluated(text: str, namespace: dict[str, object]) -> object:
    """The value of an expression over a module's names; whatever it raises comes through."""
    return eval(compile(text.strip(), "<gradlint>", "eval"), namespace)


def arguments(texts: tuple[str, ...], namespace: dict[str, object]) -> Arguments:
    """Evaluate the inputs of a candidate; whatever their expressions raise comes through."""
    args: list[object] = []
    kwargs: dict[str, object] = {}
    for text in texts:
        Expression(text).add_to(namespace, args, kwargs)
    return tuple(args), kwargs


def larger(given: Arguments, batch: int) -> Arguments | None:
    """The same arguments with a leading dimension of `batch`, or None where they share no batch.

    Floating-point values are drawn from N(0, 1), whole numbers of two or more dimensions from the
    range they had; vectors of whole numbers, such as lengths, are repeated in order, and so are
    constants.
    """
    tensors = list(_tensors(given))
    leading = {tensor.shape[0] for tensor in tensors if tensor.dim()}
    if len(leading) != 1 or any(not tensor.dim() for tensor in tensors):
        return None
    have = leading.pop()
    if not 0 < have < batch:
        return None
    args, kwargs = _mapped(given, lambda tensor: _enlarged(tensor, batch))
    return args, kwargs


def redrawn(given: Arguments, words: int) -> Arguments | None:
    """The same arguments, the first tensor drawn anew; None where that would be amiss.

    Where no tensor holds two different values, as with `model(torch.zeros(1, 3, 32, 32))`, they
    tell the shape only: nothing in a model can tell such samples apart. Numbers are drawn from
    N(0, 1), whole ones of two dimensions below `words`. The other tensors may be masks or states,
    which have a meaning as they are.
    """
    tensors = list(_tensors(given))
    first = tensors[0] if tensors else None
    if first is None or any(map(_varies, tensors)):
        return None
    if first.is_floating_point():
        drawn = torch.randn_like(first)
    elif first.dtype in (torch.int64, torch.int32) and first.dim() == 2:
        drawn = torch.randint_like(first, words)
    else:
        return None
    args, kwargs = _mapped(given, lambda tensor: drawn if tensor is first else tensor)
    return args, kwargs


def words_of(model: nn.Module) -> int:
    """How many values a whole number may have, so that each embedding of a model has a row."""
    tables = (part for part in model.modules() if isinstance(part, nn.Embedding))
    return min((table.num_embeddings for table in tables), default=2)


def _varies(tensor: torch.Tensor) -> bool:
    return tensor.numel() > 1 and bool((tensor != tensor.flatten()[0]).any())


def _enlarged(tensor: torch.Tensor, batch: int) -> torch.Tensor:
    shape = (batch, *tensor.shape[1:])
    low, high = (
        (tensor.min(), tensor.max()) if tensor.numel() and not tensor.is_complex() else (0, 1)
    )
    varied = tensor.dim() > 1 and bool(low != high)
    if tensor.is_floating_point() and (varied or (tensor.dim() == 1 and bool(low != high))):
        if tensor.unique().numel() > _FEW:
            return torch.randn(shape, dtype=tensor.dtype)
    elif tensor.is_complex():
        return torch.randn(shape, dtype=tensor.dtype)
    elif varied and tensor.dtype in (torch.int64, torch.int32) and tensor.unique().numel() > _FEW:
        return torch.randint(int(low), int(high) + 1, shape, dtype=tensor.dtype)
    times = -(-batch // tensor.shape[0])
    return tensor.repeat_interleave(times, 0)[:batch]


def batch_that_runs(model: nn.Module, given: Arguments) -> int:
    """The largest useful batch with which the model still runs, 0 for the batch that was given.

    A slow model is given a smaller one, because the probe repeats the pass many times.
    """
    # Processor time, because a busy machine must not change the batch.
    started = time.process_time()
    with on_cpu(), torch.no_grad():
        tried(model, *given[0], **given[1])
    once = time.process_time() - started
    sizes = {tensor.shape[0] for tensor in _tensors(given) if tensor.dim()}
    have = max(sizes, default=1)
    for batch in (BATCH, BATCH // 2, 2):
        enlarged = larger(given, batch)
        fast = once * batch / max(have, 1) < _SLOWEST
        if enlarged is not None and fast and runs_with(model, enlarged):
            return batch
    return 0


def runs_with(model: nn.Module, given: Arguments) -> bool:
    """Whether a model takes the arguments and gives something that depends on its weights."""
    args, kwargs = given
    with on_cpu():
        outcome = tried(model, *args, **kwargs)
    return outcome.error is None and bool(tensors_of(outcome.value))


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))


def _mapped(given: Arguments, change: Callable[[torch.Tensor], torch.Tensor]) -> Arguments:
    args, kwargs = given
    return tuple(_changed(item, change) for item in args), {
        name: _changed(item, change) for name, item in kwargs.items()
    }


def _changed(value: object, change: Callable[[torch.Tensor], torch.Tensor]) -> object:
    if isinstance(value, torch.Tensor):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(_changed(item, change) for item in value)  # type: ignore[call-arg, attr-defined]
    if type(value) is dict:
        return {name: _changed(item, change) for name, item in value.items()}
    return value
