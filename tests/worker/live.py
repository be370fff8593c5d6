"""Models given by hand to the worker's own functions, without a process between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from gradlint.layers.graph import LayerGraph
from gradlint.worker.probing.quantities import Example
from gradlint.worker.tracing.construction import watch_construction
from gradlint.worker.tracing.describe import Newborn, edges_of, nodes_of
from gradlint.worker.tracing.forward import run, seed_everything
from gradlint.worker.tracing.lines import Source
from gradlint.worker.tracing.recording import Forward


def traced(
    make: Callable[[], nn.Module], shape: tuple[int, ...], file: str | Path = "-"
) -> tuple[LayerGraph, Forward]:
    """The layer graph of a model and its forward pass; lines are those of `file`."""
    example = Example(make, shape)
    source = Source(str(file), "model.py")
    seed_everything(0)
    with watch_construction(source) as construction:
        model = example.make()
    newborn = Newborn.of(model)
    forward = run(example, model, source=source)
    return LayerGraph(nodes_of(forward, construction, newborn, source), edges_of(forward)), forward


def of_chain(*layers: nn.Module) -> Callable[[], nn.Module]:
    """A maker of `layers` in a row."""
    return lambda: nn.Sequential(*layers)
