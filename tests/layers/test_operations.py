"""The table of operations: spellings, roles, and what counts as saturating or weighted."""

from __future__ import annotations

import pytest

from gradlint.layers.operations import (
    ACTIVATIONS,
    SATURATING,
    Role,
    is_saturating,
    is_weighted,
    name_of,
    role_of,
)
from gradlint.protocol.nodes import Layer


def layer(op: str) -> Layer:
    return Layer("id", op, "", 0, (1,), "float32", None, None)


@pytest.mark.parametrize(
    ("module", "function"),
    [
        pytest.param("torch.nn.ReLU", "aten.relu", id="relu"),
        pytest.param("torch.nn.LeakyReLU", "aten.leaky_relu", id="leaky relu"),
        pytest.param("torch.nn.Sigmoid", "aten.sigmoid", id="sigmoid"),
        pytest.param("torch.nn.SiLU", "aten.silu", id="silu"),
        pytest.param("torch.nn.Hardtanh", "aten.hardtanh", id="hardtanh"),
    ],
)
def test_a_module_and_its_function_have_one_name(module: str, function: str) -> None:
    assert name_of(layer(module)) == name_of(layer(function))
    assert role_of(layer(module)) is Role.ACTIVATION


@pytest.mark.parametrize(
    ("op", "role"),
    [
        pytest.param("torch.nn.Linear", Role.DENSE, id="linear"),
        pytest.param("aten.matmul", Role.DENSE, id="matmul"),
        pytest.param("torch.nn.ConvTranspose2d", Role.CONVOLUTION, id="transposed"),
        pytest.param("torch.nn.Embedding", Role.EMBEDDING, id="embedding"),
        pytest.param("torch.nn.RNN", Role.RECURRENT, id="rnn"),
        pytest.param("torch.nn.GRUCell", Role.CELL, id="cell"),
        pytest.param("torch.nn.MultiheadAttention", Role.ATTENTION, id="attention"),
        pytest.param("torch.nn.BatchNorm2d", Role.NORM, id="batch norm"),
        pytest.param("aten.rms_norm", Role.NORM, id="rms norm"),
        pytest.param("torch.nn.Dropout", Role.DROPOUT, id="dropout"),
        pytest.param("aten.add", Role.SUM, id="sum"),
        pytest.param("aten.mul", Role.PRODUCT, id="product"),
        pytest.param("aten.cat", Role.CONCAT, id="concatenation"),
        pytest.param("aten.softmax", Role.SOFTMAX, id="softmax"),
        pytest.param("aten.view", Role.SHAPE, id="view"),
        pytest.param("aten.fft_fft", Role.OTHER, id="unknown"),
    ],
)
def test_an_operation_has_a_role(op: str, role: Role) -> None:
    assert role_of(layer(op)) is role


def test_layers_with_a_weight_are_dense_ones_and_convolutions() -> None:
    assert is_weighted(layer("torch.nn.Conv1d"))
    assert not is_weighted(layer("torch.nn.Embedding"))
    assert not is_weighted(layer("torch.nn.LSTM"))


def test_saturating_activations_are_flat_on_both_sides() -> None:
    assert SATURATING <= ACTIVATIONS
    assert is_saturating(layer("aten.tanh"))
    assert not is_saturating(layer("torch.nn.ReLU"))
    assert not is_saturating(layer("aten.softmax"))


def test_a_setting_is_a_number_or_its_default() -> None:
    known = Layer(
        "id", "op", "", 0, (1,), "float32", None, None, (("slope", 0.2), ("mode", "fan_in"))
    )
    assert known.setting("slope") == 0.2
    assert known.setting("missing", 3.0) == 3.0
    assert known.setting("mode", 1.0) == 1.0
