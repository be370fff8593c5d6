"""The closed vocabulary of nodes that a layer graph is made of, as the worker sends them."""

from __future__ import annotations

from dataclasses import dataclass

from gradlint.span import Span


@dataclass(frozen=True, slots=True)
class Initialisation:
    """The last call that filled a parameter while the model was built: function, settings, line.

    `function` is the name in `torch.nn.init`, the tensor method, or "default" where the layer's own
    `reset_parameters` was the last to write.
    """

    function: str
    settings: tuple[tuple[str, float], ...]
    span: Span | None


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that was fed to the model."""

    id: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and the statistics of its elements, never the elements themselves.

    `fan_in` and `fan_out` are counts of connections (0 for vectors). `distinct_rows` is the number
    of different rows of the weight seen as a matrix of `fan_out` rows, capped at 2.
    """

    id: str
    shape: tuple[int, ...]
    dtype: str
    mean: float
    mean_square: float
    largest: float
    fan_in: int
    fan_out: int
    distinct_rows: int
    requires_grad: bool
    initialisation: Initialisation | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a leaf `torch.nn` module, or of a function outside leaf modules.

    `op` is `torch.nn.Linear` for a module and `aten.add` for a function. `module` is the dotted
    path of the module that made the call ("" for the root); `call` counts the calls of the same
    operation at the same place. `span` is the line that made the call, `constructed` the line that
    built the module.
    """

    id: str
    op: str
    module: str
    call: int
    shape: tuple[int, ...]
    dtype: str
    span: Span | None
    constructed: Span | None
    settings: tuple[tuple[str, bool | int | float | str], ...] = ()

    def setting(self, name: str, default: float = 0.0) -> float:
        """The numeric setting `name` of the module or call, or `default`."""
        value = dict(self.settings).get(name, default)
        return default if isinstance(value, str) else float(value)


@dataclass(frozen=True, slots=True)
class Loss:
    """The scalar that is differentiated: a projection of every output, or the model's own loss."""

    id: str


Node = Input | Parameter | Layer | Loss


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor of `shape` and `dtype` that flows from node `source` to node `target`."""

    source: str
    target: str
    shape: tuple[int, ...]
    dtype: str
