"""One forward pass of a live model, recorded on the autograd graph call by call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType

import torch
from torch import nn

from gradlint.worker.running.modes import FunctionMode
from gradlint.worker.tracing.call import (
    Call,
    GradFn,
    call_settings,
    class_name,
    dtype_of,
    function_name,
    input_settings,
    is_leaf,
    module_settings,
    parameter_of,
    shape_of,
    tensors_in,
)
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.stops import (
    Stopped,
    Switches,
    carries_gradient,
    hands_values_on,
    leaves_torch,
    with_gradient,
)

Intervention = Callable[[Call, tuple[object, ...], torch.Tensor], torch.Tensor]
Observer = Callable[[str, torch.Tensor], None]


class Recorder(FunctionMode):
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
        self._whole: set[str] = set()
        self._fed: set[int] = set()
        self.stops: dict[str, Stopped] = {}
        self._switches = Switches(source.locate if source else lambda _: None)

    def feed(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Declare the input tensors, by node id."""
        for id_, tensor in inputs.items():
            self._origins[id(tensor)] = (tensor, frozenset({id_}))
            self._fed.add(id(tensor))
            if not tensor.is_floating_point() and not tensor.is_complex():
                self._whole.add(id_)

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

    def _called(
        self, func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> object:
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
                    name, class_name(module), path, module, frame, (args, kwargs), output
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
        kwargs: Mapping[str, object],
        output: object,
    ) -> object:
        if torch.is_grad_enabled():
            self._switches.forget()
        made = list(tensors_in(output))
        new = [t for t in made if t.grad_fn is not None and t.grad_fn not in self.owner]
        name = function_name(func)
        if not new:
            self._stop(name, made, list(tensors_in((args, kwargs))), sys._getframe(3))
            return output
        path = self._stack[-1] if self._stack else ""
        frame = sys._getframe(3) if self._source else None
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
        arguments: tuple[tuple[object, ...], Mapping[str, object]],
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
        call.shape, call.dtype = shape_of(made[0]), dtype_of(made[0])
        if self._source:
            call.settings = (
                module_settings(module) if module else call_settings(*arguments, self._signal)
            ) + input_settings(tensors_in(arguments), self._is_derived)
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
        call = Call(id_, f"autograd.{op}", path, index, None, None, shape, dtype_of(tensor))
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

    def _signal(self, tensor: torch.Tensor) -> frozenset[str]:
        """The origins whose values vary continuously."""
        return self._origin(tensor) - self._whole

    def _keys(self, tensor: torch.Tensor) -> Iterator[GradFn | str | int]:
        if tensor.grad_fn is not None:
            yield tensor.grad_fn
        elif tensor.requires_grad:
            yield id(tensor)
        else:
            yield from sorted(self._origin(tensor))

    def _path_of(self, module: nn.Module) -> str:
        """The dotted path; a module that is not registered is named by the place that calls it."""
        if id(module) not in self._paths:
            self._strangers.append(module)
            parent = self._stack[-1] if self._stack else ""
            name = f"{type(module).__name__.lower()}-{len(self._strangers)}"
            self._paths[id(module)] = f"{parent}.{name}" if parent else name
        return self._paths[id(module)]

    def _is_derived(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor varies continuously with an input, but is none itself."""
        return id(tensor) not in self._fed and bool(self._signal(tensor))
