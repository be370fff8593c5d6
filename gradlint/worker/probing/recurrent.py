"""What remedies do to recurrent layers: gates, their biases, orthogonal weights, skips."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import nn

from gradlint.worker.running.failure import UnmeasurableError

REPLACEMENT = "_gradlint_replacement"
"""Where a recurrent layer carries the gated layer that a remedy would put in its place."""


def replace_recurrent(old: nn.Module, cell: str, forget_bias: float) -> None:
    """Hang a gated layer of the same sizes on the recurrent one; quantities measure it instead.

    Raises:
        UnmeasurableError: `old` is no recurrent layer.
    """
    new = _gated(old, cell)
    set_gate_bias(new, forget_bias)
    object.__setattr__(old, REPLACEMENT, new)


def _gated(old: nn.Module, cell: str) -> nn.RNNBase:
    kind = nn.LSTM if cell == "LSTM" else nn.GRU
    if isinstance(old, nn.RNNBase):
        return kind(
            old.input_size,
            old.hidden_size,
            num_layers=old.num_layers,
            batch_first=old.batch_first,
            bidirectional=old.bidirectional,
        )
    if isinstance(old, nn.RNNCellBase):
        return kind(old.input_size, old.hidden_size, batch_first=True)
    if isinstance(old, nn.Linear):
        return kind(old.out_features, old.out_features, batch_first=True)
    raise UnmeasurableError(f"a {type(old).__name__} is no recurrent layer that a {cell} replaces")


def set_gate_bias(module: nn.Module, value: float) -> None:
    """Set the bias of the gate that keeps the state: an LSTM's forget gate, a GRU's update gate.

    Both stand second in PyTorch's order. The two biases of a gate add up, so one of them is 0.

    Raises:
        UnmeasurableError: the layer has no such gate or no biases.
    """
    biases = [(name, p) for name, p in module.named_parameters() if name.startswith("bias_")]
    if not isinstance(module, nn.LSTM | nn.LSTMCell | nn.GRU | nn.GRUCell) or not biases:
        raise UnmeasurableError(f"a {type(module).__name__} has no bias of a gate to set")
    size = module.hidden_size
    with torch.no_grad():
        for name, bias in biases:
            bias[size : 2 * size] = value if name.startswith("bias_ih") else 0.0


def orthogonalise(module: nn.Module, names: tuple[str, ...]) -> None:
    """Draw the weights from step to step as orthogonal matrices, one for each gate.

    `names` are the parameters of a loop written by hand, whose last square weight is taken.

    Raises:
        UnmeasurableError: there is no square weight.
    """
    own = dict(module.named_parameters())
    hidden = [weight for name, weight in own.items() if name.startswith("weight_hh")]
    hidden = hidden or [own[name.rpartition(".")[2]] for name in names if "weight" in name][-1:]
    blocks = [block for weight in hidden for block in _squares(weight)]
    if not blocks:
        raise UnmeasurableError(f"a {type(module).__name__} has no square weight between steps")
    with torch.no_grad():
        for block in blocks:
            nn.init.orthogonal_(block)


def _squares(weight: torch.Tensor) -> Iterator[torch.Tensor]:
    rows, columns = weight.shape if weight.ndim == 2 else (0, 1)
    if columns and rows % columns == 0:
        yield from weight.split(columns)


def add_skips(module: nn.Module) -> None:
    """Make a recurrent layer add its input to its output, and so each layer that is stacked in it.

    Raises:
        UnmeasurableError: `module` is no recurrent layer.
    """
    if not isinstance(module, nn.RNNBase):
        raise UnmeasurableError(f"a {type(module).__name__} is no recurrent layer to put a skip in")
    layers = [_single(module, index) for index in range(module.num_layers)]

    def forward(self: nn.Module, x: torch.Tensor, state: object = None) -> tuple[object, object]:
        final = state
        for layer in layers:
            y, final = layer(x)
            x = x + y if x.shape == y.shape else y
        return x, final

    object.__setattr__(module, "forward", types.MethodType(forward, module))


def _single(stack: nn.RNNBase, index: int) -> nn.RNNBase:
    """Layer `index` of `stack` as a layer of its own, which shares its weights."""
    width = (stack.proj_size or stack.hidden_size) * (2 if stack.bidirectional else 1)
    kind = cast("Callable[..., nn.RNNBase]", type(stack))
    layer = kind(
        stack.input_size if index == 0 else width,
        stack.hidden_size,
        bias=stack.bias,
        batch_first=stack.batch_first,
        bidirectional=stack.bidirectional,
    )
    own = dict(stack.named_parameters())
    for name, parameter in layer.named_parameters():
        parameter.data = own[name.replace("_l0", f"_l{index}")].data
    return layer
