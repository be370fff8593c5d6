"""What the gradient does not reach, and what the source says about it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import nn

from gradlint.protocol.nodes import Parameter, Stop
from gradlint.protocol.span import Span
from gradlint.worker.running.attempt import tried
from gradlint.worker.running.texts import text_of
from gradlint.worker.tracing.call import Call, GradFn, is_installed, is_leaf, parameter_of
from gradlint.worker.tracing.construction import Construction
from gradlint.worker.tracing.mentions import Mentions
from gradlint.worker.tracing.moments import pieces
from gradlint.worker.tracing.recording import Forward
from gradlint.worker.tracing.stops import Stopped

_NEST = 3
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)

Fingerprint = tuple[int, int, float]
Fingerprints = dict[str, Fingerprint]


def fingerprints(model: nn.Module) -> Fingerprints:
    """Storage, version and sum of each parameter: others later say that it was rewritten."""
    return {name: _fingerprint(parameter) for name, parameter in model.named_parameters()}


def _fingerprint(parameter: torch.Tensor) -> Fingerprint:
    with torch.no_grad():
        total = sum(float(part.abs().sum()) for part in pieces(parameter))
    return parameter.data_ptr(), parameter._version, total


def kept_calls(forward: Forward) -> frozenset[str]:
    """The calls whose output the model returns or holds in an attribute of one of its modules."""
    held = [tensor for module in forward.model.modules() for tensor in _held(vars(module))]
    nodes = [tensor.grad_fn for tensor in (*forward.outputs, *held)]
    return frozenset(id_ for node in nodes for id_ in _owners(forward, node))


def replaced_calls(forward: Forward) -> frozenset[str]:
    """The calls of modules whose result a new constant that requires a gradient has replaced.

    So does attention whose kernel is missing: it gives zeros, whatever it was given.
    """
    held = (tensor for module in forward.model.modules() for tensor in _held(vars(module)))
    own = (*forward.model.parameters(), *forward.inputs.values(), *held)
    known = {id(tensor) for tensor in own}
    paths: set[str] = set()
    for node, target in forward.recorder.owner.items():
        for ahead, _ in node.next_functions:
            leaf = parameter_of(ahead) if ahead is not None else None
            if leaf is not None and id(leaf) not in known and _is_constant(leaf):
                paths.add(_around(forward.calls[target]))
    return frozenset(
        call.id for call in forward.calls.values() if any(_within(call.path, p) for p in paths)
    )


def _is_constant(tensor: torch.Tensor) -> bool:
    return tensor.numel() > 1 and bool((tensor == tensor.flatten()[0]).all())


def _around(call: Call) -> str:
    """The path of the module whose forward made a call."""
    leaf = call.module is not None and is_leaf(call.module)
    return call.path.rpartition(".")[0] if leaf else call.path


def _within(path: str, module: str) -> bool:
    return not module or path == module or path.startswith(f"{module}.")


def _held(value: object, depth: int = _NEST) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _held(item, depth - 1)


def stop_nodes(forward: Forward, reached: frozenset[str]) -> tuple[Stop, ...]:
    """The stops that end the gradient of something which does not reach the loss otherwise."""
    names = {id(p): name for name, p in forward.model.named_parameters()}
    stops = (_stop(forward, stop, names) for stop in forward.recorder.stops.values())
    return tuple(stop for stop in stops if not reached.issuperset(stop.takes))


def _stop(forward: Forward, stop: Stopped, names: dict[int, str]) -> Stop:
    takes: dict[str, None] = {}
    for key in stop.taken:
        ids = [names.get(key)] if isinstance(key, int) else _owners(forward, key)
        takes.update((id_, None) for id_ in ids if id_)
    return Stop(
        id=stop.id,
        cause=stop.cause,
        module=stop.path,
        span=stop.span,
        takes=tuple(takes),
        feeds=tuple(stop.feeds),
        leaves=stop.leaves,
    )


def _owners(forward: Forward, node: GradFn | None) -> list[str]:
    """The call that made an autograd node, or the calls behind one that nobody owns."""
    pending, seen, found = [node], set[GradFn](), list[str]()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        owner = forward.recorder.owner.get(node)
        if owner is None:
            pending.extend(ahead for ahead, _ in node.next_functions)
        else:
            found.append(owner)
    return found


def described(
    parameters: Iterable[Parameter],
    forward: Forward,
    reached: Collection[str],
    consumed: Collection[str],
    before: Fingerprints,
    construction: Construction,
    mentions: Mentions,
) -> Iterator[Parameter]:
    """The parameters; of those that the loss does not depend on also why that may be right."""
    kept = _kept(type(forward.model))
    known = dict(forward.model.named_parameters())
    called = _holders(name for name in consumed if name in known and known[name].requires_grad)
    alike: dict[torch.Size, list[str]] = {}
    for name in (name for name in known if name in reached):
        alike.setdefault(known[name].shape, []).append(name)
    for parameter in parameters:
        name = parameter.id
        if name in reached or not parameter.requires_grad:
            yield parameter
            continue
        holder = name if name in consumed else _uncalled(name, called)
        value = forward.model.get_parameter(name)
        after = _fingerprint(value)
        yield replace(
            parameter,
            constructed=_line(forward.model, holder, construction),
            holder=holder,
            named=_named(forward.model, holder, mentions),
            copy_of=_original(value, {other: known[other] for other in alike.get(value.shape, ())}),
            rewritten=before.get(name, after) != after,
            borrowed=_borrowed(forward.model, name),
            handed=name.partition(".")[0] in kept,
        )


def _kept(kind: type) -> frozenset[str]:
    """The attributes in which a constructor keeps what it is handed, as `self.net = net` does."""
    own = vars(kind).get("__init__")
    tree = tried(ast.parse, text_of(own)).value if own else None
    nodes = list(ast.walk(tree)) if isinstance(tree, ast.AST) else []
    handed = {node.arg for node in nodes if isinstance(node, ast.arg)}
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)],
                value=ast.Name(id=name),
            ) if name in handed:
                found.add(attribute)
    return frozenset(found)


def _holders(names: Iterable[str]) -> frozenset[str]:
    """The parts of a model, by their paths, that hold any of these parameters."""
    steps = [name.split(".") for name in names]
    return frozenset(".".join(path[:count]) for path in steps for count in range(1, len(path)))


def _uncalled(name: str, called: Collection[str]) -> str:
    """The largest part of the model around a parameter of which nothing trainable is consumed."""
    part = name
    while "." in part and part.rpartition(".")[0] not in called:
        part = part.rpartition(".")[0]
    return part


def _line(model: nn.Module, part: str, construction: Construction) -> Span | None:
    above, _, attribute = part.rpartition(".")
    owner = model.get_submodule(above)
    held = getattr(owner, attribute)
    if isinstance(held, nn.Module):
        return construction.line_of(held)
    if type(owner).__module__.startswith("torch.nn."):
        return construction.line_of(owner)
    filled = construction.initialisation_of(held)
    return filled.span if filled else construction.line_of(owner)


def _named(model: nn.Module, part: str, mentions: Mentions) -> bool:
    """Whether code reads the attribute; parts of a container can be read without their name."""
    above, _, attribute = part.rpartition(".")
    owner = model.get_submodule(above)
    if isinstance(owner, _CONTAINERS):
        return True
    return mentions.named(owner, attribute)


def _original(value: torch.Tensor, alike: Mapping[str, nn.Parameter]) -> str:
    """Which of these has the same values as a tensor, where they are random; "" for none."""
    copy = value.detach()
    if copy.numel() < 2 or bool((copy == copy.flatten()[0]).all()):
        return ""
    return next((name for name, other in alike.items() if torch.equal(other, copy)), "")


def _borrowed(model: nn.Module, name: str) -> bool:
    """Whether a part around the parameter is of an installed package, and the model is not."""
    if is_installed(type(model)):
        return False
    steps = name.split(".")
    parts = (model.get_submodule(".".join(steps[:count])) for count in range(1, len(steps)))
    return any(is_installed(type(part)) for part in parts)
