"""One forward pass of a live model, recorded on the autograd graph call by call."""

from __future__ import annotations

import contextlib
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import TypeGuard

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gradlint.protocol.span import Span
from gradlint.worker.stops import (
    Stopped,
    Switches,
    carries_gradient,
    hands_values_on,
    leaves_torch,
    with_gradient,
)

Setting = bool | int | float | str
Intervention = Callable[["Call", tuple[object, ...], torch.Tensor], torch.Tensor]
Observer = Callable[[str, torch.Tensor], None]
GradFn = torch.autograd.graph.Node

_CONTAINERS = (
    nn.Sequential,
    nn.ModuleList,
    nn.ModuleDict,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)


@dataclass(slots=True)
class Call:
    """One recorded call: what ran, where it stands, and the autograd nodes of its outputs.

    `taken` are the tensors among its arguments, in order: the autograd node, the `id` of a leaf, or
    the inputs that a tensor without gradient comes from.
    """

    id: str
    op: str
    path: str
    index: int
    module: nn.Module | None
    span: Span | None
    shape: tuple[int, ...]
    dtype: str
    settings: tuple[tuple[str, Setting], ...] = ()
    exits: list[GradFn] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    taken: list[GradFn | str | int] = field(default_factory=list)
    arguments: tuple[object, ...] = ()
    output: torch.Tensor | None = None


class Source:
    """The linted file, and how a stack of frames is mapped to a line in it."""

    def __init__(self, path: str, shown: str) -> None:
        self.path = path
        self._shown = shown
        self._spans: dict[tuple[CodeType, int], Span] = {}

    def locate(self, frame: FrameType | None, *, building: object = None) -> Span | None:
        """The innermost line of the linted file below `frame`, constructors of `building` aside."""
        while frame is not None:
            if frame.f_code.co_filename == self.path and not _constructs(frame, building):
                return self._span(frame)
            frame = frame.f_back
        return None

    def _span(self, frame: FrameType) -> Span:
        key = (frame.f_code, frame.f_lasti)
        if key not in self._spans:
            self._spans[key] = self._position(frame)
        return self._spans[key]

    def _position(self, frame: FrameType) -> Span:
        if sys.version_info >= (3, 11):
            positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
            line, end_line, column, end_column = next(positions)
            if line and column is not None and end_column is not None:
                return Span(self._shown, line, column + 1, end_line or line, end_column + 1)
        return Span(self._shown, frame.f_lineno)


def _constructs(frame: FrameType, building: object) -> bool:
    """Whether `frame` is a constructor that is at work on `building` itself."""
    if building is None or not frame.f_code.co_varnames:
        return False
    return frame.f_locals.get(frame.f_code.co_varnames[0]) is building


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is one layer of `torch.nn`, not a container and not the user's own."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    forward = getattr(type(module), "forward", None)
    defined_in = getattr(forward, "__module__", "") or ""
    return defined_in.startswith("torch.nn.modules") and not isinstance(module, _CONTAINERS)


class Recorder(TorchFunctionMode):
    """Records every differentiable call while it is active, and lets interventions change outputs.

    Each autograd node belongs to exactly one call: the innermost leaf module, or the function,
    whose run created it. `locate` turns source lines on; reruns do without. `keep` names the calls
    whose arguments and output stay alive. `observe` is called with the id of each call and its
    output, before anything can write into it.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source | None,
        interventions: Mapping[str, Intervention] | None = None,
        keep: Iterable[str] = (),
        observe: Observer | None = None,
    ) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}
        self.owner: dict[GradFn, str] = {}
        self._source = source
        self._interventions = interventions or {}
        self._keep = frozenset(keep)
        self._observe = observe
        self._paths: dict[int, str] = {id(module): name for name, module in model.named_modules()}
        self._strangers: list[nn.Module] = []
        self._stack: list[str] = []
        self._inside_leaf = 0
        self._counts: dict[str, int] = {}
        self._origins: dict[int, tuple[torch.Tensor, frozenset[str]]] = {}
        self.stops: dict[str, Stopped] = {}
        self._switches = Switches(source.locate if source else lambda _: None)

    def feed(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Declare the input tensors, by node id."""
        for id_, tensor in inputs.items():
            self._origins[id(tensor)] = (tensor, frozenset({id_}))

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorder]:
        """Record until the block ends; `torch.nn.Module.__call__` is wrapped meanwhile."""
        original = nn.Module.__call__

        def call(module: nn.Module, *args: object, **kwargs: object) -> object:
            return self._call_module(original, module, args, kwargs)

        nn.Module.__call__ = call  # type: ignore[method-assign]
        try:
            with self._switches.watched() if self._source else contextlib.nullcontext(), self:
                yield self
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if self._inside_leaf:
            return output
        return self._record_function(func, args, kwargs, output)

    def _call_module(
        self,
        original: Callable[..., object],
        module: nn.Module,
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> object:
        if self._inside_leaf:
            return original(module, *args, **kwargs)
        path = self._path_of(module)
        if not is_leaf(module):
            self._stack.append(path)
            try:
                return original(module, *args, **kwargs)
            finally:
                self._stack.pop()
        with self._leaf():
            output = original(module, *args, **kwargs)
            with torch._C.DisableTorchFunction():
                name = path or type(module).__name__
                frame = sys._getframe(2) if self._source else None
                return self._record(
                    name, _class_name(module), path, module, frame, (args, kwargs), output
                )

    @contextlib.contextmanager
    def _leaf(self) -> Iterator[None]:
        self._inside_leaf += 1
        try:
            yield
        finally:
            self._inside_leaf -= 1

    def _record_function(
        self,
        func: Callable[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        output: object,
    ) -> object:
        if torch.is_grad_enabled():
            self._switches.forget()
        made = list(tensors_in(output))
        new = [t for t in made if t.grad_fn is not None and t.grad_fn not in self.owner]
        name = _function_name(func)
        if not new:
            self._stop(name, made, list(tensors_in((args, kwargs))), sys._getframe(2))
            return output
        path = self._stack[-1] if self._stack else ""
        frame = sys._getframe(2) if self._source else None
        with self._leaf():
            return self._record(
                f"{path}.{name}" if path else name,
                f"aten.{name}",
                path,
                None,
                frame,
                (args, kwargs),
                output,
            )

    def _record(
        self,
        name: str,
        op: str,
        path: str,
        module: nn.Module | None,
        frame: FrameType | None,
        arguments: tuple[tuple[object, ...], dict[str, object]],
        output: object,
    ) -> object:
        id_, index = self._next_id(name)
        span = self._source.locate(frame) if self._source else None
        call = Call(id_, op, path, index, module, span, (), "")
        call.sources = self._adopt_arguments(arguments, {id(t) for t in tensors_in(output)})
        call.taken = [key for tensor in tensors_in(arguments) for key in self._keys(tensor)]
        if id_ in self._interventions and isinstance(output, torch.Tensor):
            output = self._interventions[id_](call, arguments[0], output)
        made = [t for t in tensors_in(output) if t.grad_fn and t.grad_fn not in self.owner]
        if not made:
            weights = module.parameters() if module else ()
            taken = [*tensors_in(arguments), *weights]
            self._stop(name, list(tensors_in(output)), taken, frame)
            return output
        for stop in call.sources & self.stops.keys():
            self.stops[stop].feeds[id_] = None
        call.sources -= self.stops.keys()
        call.shape, call.dtype = shape_of(made[0]), _dtype(made[0])
        if self._source:
            call.settings = _module_settings(module) if module else self._call_settings(*arguments)
        if self._observe:
            self._observe(id_, made[0].detach())
        if name in self._keep or id_ in self._keep:
            call.arguments, call.output = arguments[0], made[0]
        self._counts[name] = index + 1
        self._claim(call, made)
        places = [t for t in tensors_in(output) if not t.requires_grad]
        if places:  # because of the maximum and its place only the maximum has a gradient
            self._stop(op.rpartition(".")[2], places, list(tensors_in(arguments)), frame)
        return output

    def _next_id(self, name: str) -> tuple[str, int]:
        index = self._counts.get(name, 0)
        return (f"{name}#{index}" if index else name), index

    def _claim(self, call: Call, made: list[torch.Tensor]) -> None:
        """Give `call` every autograd node behind its outputs that nobody owns yet."""
        self.calls[call.id] = call
        call.exits = list(dict.fromkeys(t.grad_fn for t in made if t.grad_fn is not None))
        pending = [node for node in call.exits if node not in self.owner]
        while pending:
            node = pending.pop()
            if node in self.owner or parameter_of(node) is not None:
                continue
            self.owner[node] = call.id
            pending.extend(ahead for ahead, _ in node.next_functions if ahead is not None)

    def _adopt_arguments(self, arguments: object, changed: set[int]) -> set[str]:
        """Give calls of their own to arguments that no recorded call made; return the inputs met.

        `changed` are the tensors that the call wrote in place: what made them is the call itself.
        """
        met: set[str] = set()
        for tensor in tensors_in(arguments):
            node = tensor.grad_fn
            if node is not None and node not in self.owner and id(tensor) not in changed:
                self._adopt(node, tensor)
            met |= self._origin(tensor)
        return met

    def _adopt(self, node: GradFn, tensor: torch.Tensor) -> None:
        op = node.name().rpartition("::")[2].removesuffix("Backward0").removesuffix("Backward")
        path = self._stack[-1] if self._stack else ""
        name = f"{path}.{op}" if path else op
        id_, index = self._next_id(name)
        self._counts[name] = index + 1
        shape = shape_of(tensor)
        call = Call(id_, f"autograd.{op}", path, index, None, None, shape, _dtype(tensor))
        self._claim(call, [tensor])

    def _stop(
        self,
        name: str,
        made: list[torch.Tensor],
        taken: list[torch.Tensor],
        frame: FrameType | None,
    ) -> None:
        """Remember the inputs and stops that tensors without gradient come from, or a new stop."""
        met = frozenset[str]().union(*map(self._origin, taken))
        leaves = not made and leaves_torch(name)
        if leaves:
            for id_ in met & self.stops.keys():
                self.stops[id_].leaves = True
        hands_on = leaves or (made and hands_values_on(name))
        ended = with_gradient(taken) if self._source and hands_on else []
        if ended and not any(map(carries_gradient, made)):
            met |= {self._new_stop(name, ended, frame, leaves=leaves)}
        if met:
            for tensor in made:
                self._origins[id(tensor)] = (tensor, met)

    def _new_stop(
        self, name: str, ended: list[GradFn | int], frame: FrameType | None, *, leaves: bool
    ) -> str:
        cause, span = name, self._source.locate(frame) if self._source else None
        if not torch.is_grad_enabled():
            cause, span = self._switches.blamed(frame)
        path = self._stack[-1] if self._stack else ""
        id_ = f"stop {len(self.stops)}"
        self.stops[id_] = Stopped(id_, cause, path, span, ended, leaves=leaves)
        return id_

    def _origin(self, tensor: torch.Tensor) -> frozenset[str]:
        known = self._origins.get(id(tensor))
        return known[1] if known and known[0] is tensor else frozenset()

    def _keys(self, tensor: torch.Tensor) -> Iterator[GradFn | str | int]:
        if tensor.grad_fn is not None:
            yield tensor.grad_fn
        elif tensor.requires_grad:
            yield id(tensor)
        else:
            yield from sorted(self._origin(tensor))

    def _call_settings(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[str, Setting], ...]:
        """Plain arguments as they are; of constant tensors their shape, mean and mean square."""
        named = [(f"argument{index}", value) for index, value in enumerate(args)]
        named += list(kwargs.items())
        plain = ((name, _first(value)) for name, value in named)
        settings = [(name, value) for name, value in plain if isinstance(value, Setting)]
        for name, value in named:
            if _is_constant(value) and not self._origin(value):
                settings += _statistics(name, value)
        return tuple(settings)

    def _path_of(self, module: nn.Module) -> str:
        """The dotted path; a module that is not registered is named by the place that calls it."""
        if id(module) not in self._paths:
            self._strangers.append(module)
            parent = self._stack[-1] if self._stack else ""
            name = f"{type(module).__name__.lower()}-{len(self._strangers)}"
            self._paths[id(module)] = f"{parent}.{name}" if parent else name
        return self._paths[id(module)]


def _class_name(module: nn.Module) -> str:
    for kind in type(module).__mro__:
        parametrised = kind.__module__.startswith("torch.nn.utils.")
        if kind.__module__.startswith("torch.nn.") and not parametrised:
            return f"torch.nn.{kind.__name__}"
    return f"torch.jit.{type(module).__name__}"


def _function_name(func: Callable[..., object]) -> str:
    name = getattr(func, "__name__", type(func).__name__)
    if name in ("__get__", "__set__"):
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    return name.strip("_") or name


def shape_of(tensor: torch.Tensor) -> tuple[int, ...]:
    """The sizes of a tensor; the mean, at least 1, for one that differs in a nested tensor."""
    if all(isinstance(size, int) for size in tensor.shape):
        return tuple(tensor.shape)
    known = math.prod(size for size in tensor.shape if isinstance(size, int))
    mean = max(tensor.values().numel() // max(known, 1), 1) if tensor.is_nested else 1
    return tuple(size if isinstance(size, int) else mean for size in tensor.shape)


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _module_settings(module: nn.Module) -> tuple[tuple[str, Setting], ...]:
    own = ((name, _first(value)) for name, value in vars(module).items() if name[0] != "_")
    return tuple(
        (name, value) for name, value in own if name != "training" and isinstance(value, Setting)
    )


def _is_constant(value: object) -> TypeGuard[torch.Tensor]:
    """Whether the value is a tensor of numbers that no gradient flows to, such as a buffer."""
    return (
        type(value) is torch.Tensor
        and not value.requires_grad
        and value.is_floating_point()
        and value.numel() > 0
    )


def _statistics(name: str, tensor: torch.Tensor) -> list[tuple[str, Setting]]:
    with torch._C.DisableTorchFunction(), torch.no_grad():
        finite = tensor[torch.isfinite(tensor)].double()
        if not finite.numel():
            return []
        return [
            (f"{name}.shape", ",".join(map(str, tensor.shape))),
            (f"{name}.mean", float(finite.mean())),
            (f"{name}.square", float(finite.square().mean())),
        ]


def _first(value: object) -> object:
    return value[0] if isinstance(value, tuple | list) and value else value


def parameter_of(node: GradFn) -> torch.Tensor | None:
    """The leaf tensor behind an AccumulateGrad node, None for every other node."""
    variable = getattr(node, "variable", None)
    return variable if isinstance(variable, torch.Tensor) and not node.next_functions else None


@dataclass(slots=True)
class Forward:
    """A finished forward pass: the model, its recorded calls, its output tensors and the loss."""

    model: nn.Module
    recorder: Recorder
    inputs: dict[str, torch.Tensor]
    outputs: tuple[torch.Tensor, ...]
    loss: torch.Tensor

    @property
    def calls(self) -> dict[str, Call]:
        """The recorded calls by node id, in the order in which they ran."""
        return self.recorder.calls

    def edges(self) -> Iterator[tuple[str, str]]:
        """Pairs (source, target) of node ids: what flows into each call and into the loss."""
        seen: dict[tuple[str, str], None] = {}
        names = {id(p): name for name, p in self.model.named_parameters(remove_duplicate=True)}
        for node, target in self.recorder.owner.items():
            for ahead, _ in node.next_functions:
                source = self._source(ahead, names)
                if source is not None and source != target:
                    seen[source, target] = None
        for call in self.calls.values():
            for source in sorted(call.sources):
                seen[source, call.id] = None
        for source in self._sources_of_loss(names):
            seen[source, LOSS] = None
        yield from self._in_order(seen, names)

    def _in_order(
        self, edges: Iterable[tuple[str, str]], names: Mapping[int, str]
    ) -> list[tuple[str, str]]:
        """Edges into a node in the order of the call's arguments, those not among them last."""
        places: dict[tuple[str, str], int] = {}
        for call in self.calls.values():
            for place, key in enumerate(call.taken):
                known = key if isinstance(key, str) else None
                known = known or (names.get(key) if isinstance(key, int) else None)
                if known is None and not isinstance(key, str | int):
                    known = self.recorder.owner.get(key)
                if known is not None:
                    places.setdefault((known, call.id), place)
        last = len(places)
        return sorted(edges, key=lambda edge: places.get(edge, last))

    def _sources_of_loss(self, names: Mapping[int, str]) -> Iterator[str]:
        pending, seen = [self.loss.grad_fn], set()
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            source = self._source(node, names)
            if source is None:
                pending.extend(ahead for ahead, _ in node.next_functions)
            else:
                yield source

    def _source(self, node: GradFn | None, names: Mapping[int, str]) -> str | None:
        if node is None:
            return None
        variable = parameter_of(node)
        return names.get(id(variable)) if variable is not None else self.recorder.owner.get(node)


LOSS = "loss()"
