"""Which trainable parameters the gradient does not reach, where it ends, and what forgives that."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from gradlint.layers.graph import LayerGraph
from gradlint.layers.operations import Role, role_of
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.nodes import Layer, Parameter, Stop
from gradlint.protocol.quantity import Quantity

SWITCHES = frozenset({"no_grad", "inference_mode", "set_grad_enabled"})
"""What turns gradients off for all that runs meanwhile."""

_SOME = Bound(at_least=0.001)
_CLAIMS = 3
_HELD_STILL = re.compile(
    r"(^|_)(teacher|target|momentum|ema|slow|old|frozen|fixed|pre_?trained|ref|reference|backbone|"
    r"\w*extractor|vgg\d*|resnet\d*|clip|\w*bert|dino|inception|perceptual|lpips|codebooks?|codes|"
    r"quanti[sz]er?|vq|encoder_k|key_encoder)(_|\d|$)",
    re.IGNORECASE,
)


def unreached(graph: LayerGraph) -> tuple[Parameter, ...]:
    """The trainable parameters on which the loss does not depend, though it should.

    Left out are copies of a parameter that learns (momentum encoders, target networks), parameters
    that the forward pass itself rewrites (running codebooks), those whose effect the model returns
    or keeps for a loss elsewhere, and parts that a package lends or whose name says that they are
    held still (`teacher`, `backbone`, `codebook`).
    """
    felt = graph.felt()
    return tuple(
        parameter
        for parameter in graph.parameters
        if parameter.requires_grad
        and parameter.id not in felt
        and not (parameter.copy_of or parameter.rewritten or parameter.borrowed)
        and not any(_HELD_STILL.search(name) for name in parameter.id.split("."))
        and not any(layer.kept for layer in effects(graph, parameter))
    )


def effects(graph: LayerGraph, parameter: Parameter) -> tuple[Layer, ...]:
    """The layers whose output depends on `parameter`, in the order in which they ran."""
    behind = graph.behind_all([parameter.id])
    return tuple(layer for layer in graph.layers if layer.id in behind)


def stops_of(graph: LayerGraph, parameter: Parameter) -> tuple[Stop, ...]:
    """The stops at which the gradient of `parameter` ends, though the value goes on to the loss.

    A straight-through estimator, z + (q - z).detach(), is none: it is meant to pass q by.
    """
    behind = graph.behind_all([parameter.id])
    return tuple(
        stop
        for stop in graph.stops
        if behind.intersection(stop.takes) and goes_on(graph, stop) and not _passes_by(graph, stop)
    )


def goes_on(graph: LayerGraph, stop: Stop) -> bool:
    """Whether the value that stops takes part in the loss, or leaves torch for parts unknown."""
    return stop.leaves or any(graph.reaches_loss(graph.layer(id)) for id in stop.feeds)


def _passes_by(graph: LayerGraph, stop: Stop) -> bool:
    """Whether what stops is a difference of which one side is added again behind the stop."""
    sums = [layer for layer in graph.layers if role_of(layer) is Role.SUM]
    sides = {p.id for layer in sums if layer.id in stop.takes for p in graph.producers(layer)}
    again = {p.id for layer in sums if layer.id in stop.feeds for p in graph.producers(layer)}
    return bool(sides & again)


def takers_of(graph: LayerGraph, parameters: Collection[Parameter]) -> tuple[str, ...]:
    """The ids of the layers that consume any of `parameters`."""
    takers = (layer.id for parameter in parameters for layer in graph.takers(parameter))
    return tuple(dict.fromkeys(takers))


def parts(graph: LayerGraph, parameters: Collection[Parameter]) -> tuple[str, ...]:
    """The fewest dotted paths that hold `parameters` and no other trainable ones."""
    wanted = {parameter.id for parameter in parameters}
    others = [p.id for p in graph.parameters if p.requires_grad and p.id not in wanted]
    found: dict[str, None] = {}
    for parameter in parameters:
        part = parameter.id
        while "." in part:
            above = part.rpartition(".")[0]
            if any(other.startswith(f"{above}.") for other in others):
                break
            part = above
        found[part] = None
    return tuple(found)


def arrival_claims(paths: Sequence[str]) -> Iterator[Claim]:
    """The claims that no gradient arrives at the first few of `paths`."""
    for path in paths[:_CLAIMS]:
        yield Claim(Quantity.REACHED_SHARE, path, _SOME, error=_SOME)


def listing(paths: Sequence[str]) -> str:
    """`a`, `a and b`, or `a … z` for more."""
    return " and ".join(paths) if len(paths) < 3 else f"{paths[0]} … {paths[-1]}"
