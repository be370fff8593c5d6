"""The closed vocabulary of nodes that a layer graph is made of, as the worker sends them."""

from __future__ import annotations

from dataclasses import dataclass

from gradlint.protocol.span import Span


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
    """A tensor that was fed to the model, and the moments of its elements.

    `shared` is the mean product of the same element of two entries of the batch.
    """

    id: str
    shape: tuple[int, ...]
    dtype: str
    mean: float = 0.0
    mean_square: float = 1.0
    shared: float = 0.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and the statistics of its elements, never the elements themselves.

    `fan_in` and `fan_out` are counts of connections (0 for vectors). `distinct_rows` is the number
    of different rows of the weight seen as a matrix of `fan_out` rows, capped at 2. Where it is
    `unfetched`, its values stand in for published weights that were not loaded. `handed` says that
    it is inside of a module that the model's constructor is handed and keeps.
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
    constructed: Span | None = None
    holder: str = ""
    named: bool = True
    copy_of: str = ""
    rewritten: bool = False
    borrowed: bool = False
    handed: bool = False
    unfetched: bool = False

    @property
    def alike(self) -> bool:
        """Whether it has several units, and every one has the same weights as every other."""
        return self.distinct_rows == 1 and self.shape[0] > 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a leaf `torch.nn` module, or of a function outside leaf modules.

    `op` is `torch.nn.Linear` for a module and `aten.add` for a function. `module` is the dotted
    path of the module that made the call ("" for the root); `call` counts the calls of the same
    operation at the same place. `span` is the line that made the call, `constructed` the line that
    built the module. `kept` says that the model returns the output or holds it in an attribute.
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
    kept: bool = False

    def setting(self, name: str, default: float = 0.0) -> float:
        """The numeric setting `name` of the module or call, or `default`."""
        for key, value in self.settings:
            if key == name:
                return default if isinstance(value, str) else float(value)
        return default


@dataclass(frozen=True, slots=True)
class Stop:
    """A call whose output has no gradient although a tensor that it takes has one.

    `cause` is the operation ("detach", "data", "argmax", "item", …) or what switched gradients off
    ("no_grad", "inference_mode", "set_grad_enabled", "sample"); `span` is its line, that of the
    switch where there is one. `takes` are the ids of the layers and parameters whose gradient ends
    here, `feeds` those of the layers that take the value further, directly or through operations
    without gradient. `leaves` says that the value left torch as a number or an array.
    """

    id: str
    cause: str
    module: str
    span: Span | None
    takes: tuple[str, ...]
    feeds: tuple[str, ...]
    leaves: bool = False


@dataclass(frozen=True, slots=True)
class Stray:
    """A trainable tensor that the model holds where its `parameters()` do not look.

    `id` is the way to it, such as `layers[0].weight`. `held` says by what: "list", "dict", "tuple",
    "set" where a container of modules hides it, "tensor" where the attribute is a plain tensor.
    `part` is the way to what should be registered: `layers` or the tensor itself. `named_outside`
    is true where code outside of the class names the part, as a script does that hands it to the
    optimizer.
    """

    id: str
    part: str
    held: str
    shape: tuple[int, ...]
    dtype: str
    requires_grad: bool
    named_outside: bool
    span: Span | None


@dataclass(frozen=True, slots=True)
class Loss:
    """The scalar that is differentiated: a projection of every output, or the model's own loss.

    `heads` are the layers to whose gradient all others are compared: those of the outputs, and of
    an output that is one number those which it is reduced from. It is () where they are not known.
    """

    id: str
    heads: tuple[str, ...] = ()


Node = Input | Parameter | Layer | Stop | Stray | Loss


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor of `shape` and `dtype` that flows from node `source` to node `target`."""

    source: str
    target: str
    shape: tuple[int, ...]
    dtype: str
