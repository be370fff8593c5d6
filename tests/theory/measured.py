"""Live models traced in this process.

With the gradients and moments that the theory is held against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gradlint.layers.graph import LayerGraph
from gradlint.worker.running.imagined import Imagination
from gradlint.worker.tracing.construction import watch_construction
from gradlint.worker.tracing.describe import Newborn, edges_of, nodes_of
from gradlint.worker.tracing.forward import Built, forward, gradients, run, seed_everything
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.recording import Forward

Inputs = Callable[[], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Network:
    """A model and its inputs, both drawn anew from torch's random state for each seed."""

    build: Callable[[], nn.Module]
    draw: Inputs

    def make(self) -> nn.Module:
        """A fresh model in training mode."""
        return self.build().train()

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """Fresh inputs."""
        return self.draw(), {}


def network(build: Callable[[], nn.Module], *shape: int) -> Network:
    """A model fed with one tensor of N(0, 1) noise."""
    return Network(build, lambda: (torch.randn(*shape),))


def traced(net: Built, seed: int = 0) -> tuple[LayerGraph, Forward]:
    """The layer graph of one seed, and the forward pass that it was read from."""
    torch.backends.mha.set_fastpath_enabled(False)
    source = Source("nowhere.py", "nowhere.py")
    seed_everything(seed)
    with watch_construction(source) as construction:
        model = net.make()
    newborn = Newborn.of(model)
    seed_everything(seed + 1)
    recorded = run(net, model, source=source)
    nodes = nodes_of(recorded, construction, newborn, source)
    return LayerGraph(nodes, edges_of(recorded)), recorded


def imagined(net: Built) -> LayerGraph:
    """The layer graph of a network whose tensors have no values."""
    source, imagination = Source("nowhere.py", "nowhere.py"), Imagination()
    with watch_construction(source) as construction, imagination.building():
        model = net.make()
    newborn = Newborn.of(model, imagined=True)
    with imagination.running():
        recorded = run(net, model, source=source)
    nodes = nodes_of(recorded, construction, newborn, source, imagination)
    return LayerGraph(nodes, edges_of(recorded))


def decades(net: Built, nodes: tuple[str, ...], seeds: range) -> dict[str, list[float]]:
    """log10 of the gradient norm at each node over that at the outputs, one value for each seed."""
    found: dict[str, list[float]] = {node: [] for node in nodes}
    for seed in seeds:
        measured = gradients(forward(net, seed), nodes)
        for node in nodes:
            found[node].append(measured.decades(node))
    return found
