"""Every activation of torch responds to Gaussian input as the theory says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gradlint.protocol.nodes import Layer, Parameter
from gradlint.theory.activations import activation_of, respond
from gradlint.theory.quadrature import Response

ACTIVATIONS: dict[str, nn.Module] = {
    "sigmoid": nn.Sigmoid(),
    "logsigmoid": nn.LogSigmoid(),
    "tanh": nn.Tanh(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(-0.5, 2.0),
    "softsign": nn.Softsign(),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "prelu": nn.PReLU(init=0.3),
    "elu": nn.ELU(0.7),
    "selu": nn.SELU(),
    "celu": nn.CELU(2.0),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "softplus": nn.Softplus(beta=2.0),
    "hardswish": nn.Hardswish(),
    "hardshrink": nn.Hardshrink(0.4),
    "softshrink": nn.Softshrink(0.3),
    "tanhshrink": nn.Tanhshrink(),
    "threshold": nn.Threshold(0.1, 0.5),
}


def layer_of(module: nn.Module) -> Layer:
    kinds = (bool, int, float, str)
    settings = tuple(
        (name, value) for name, value in vars(module).items() if isinstance(value, kinds)
    )
    return Layer("a", "torch.nn.A", "a", 0, (8, 8), "float32", None, None, settings)


def parameters_of(module: nn.Module) -> tuple[Parameter, ...]:
    return tuple(_parameter(name, p.detach()) for name, p in module.named_parameters())


def _parameter(name: str, p: torch.Tensor) -> Parameter:
    mean, square, largest = float(p.mean()), float(p.square().mean()), float(p.abs().max())
    return Parameter(name, tuple(p.shape), "float32", mean, square, largest, 0, 0, 1, True, None)


def predicted(name: str, mean: float, sigma: float) -> Response:
    module = ACTIVATIONS[name]
    function = activation_of(name, layer_of(module), parameters_of(module))
    assert function is not None
    return respond(function, mean, sigma)


def sampled(name: str, mean: float, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and slopes at 200,001 quantiles of N(mean, sigma^2), where no chance is left."""
    share = (torch.arange(200_001, dtype=torch.float64) + 0.5) / 200_001
    z = (mean + sigma * torch.special.ndtri(share)).requires_grad_()
    y = ACTIVATIONS[name].double()(z)
    (slope,) = torch.autograd.grad(y.sum(), z)
    return y.detach(), slope


@pytest.mark.parametrize("sigma", [0.05, 1.0, 30.0], ids=["narrow", "unit", "wide"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_second_moments_of_value_and_slope_are_those_of_torch(name: str, sigma: float) -> None:
    for mean in (0.0, 0.6 * sigma):
        response = predicted(name, mean, sigma)
        y, slope = sampled(name, mean, sigma)
        assert response.square == pytest.approx(float(y.square().mean()), rel=0.02, abs=1e-5)
        assert response.slope_square == pytest.approx(
            float(slope.square().mean()), rel=0.02, abs=1e-5
        )
        assert response.mean == pytest.approx(float(y.mean()), rel=0.02, abs=0.01 * sigma)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_two_correlated_inputs_share_what_torch_says_they_do(name: str) -> None:
    torch.manual_seed(0)
    u, noise = torch.randn(2, 400_000, dtype=torch.float64)
    response, function = predicted(name, 0.0, 1.0), ACTIVATIONS[name].double()
    for correlation in (0.2, 0.6, 0.95):
        v = correlation * u + math.sqrt(1 - correlation**2) * noise
        with torch.no_grad():
            measured = float((function(u) * function(v)).mean())
        assert response.shared(correlation, 1.0) == pytest.approx(
            measured, abs=0.035 * response.square
        )


def test_saturating_slopes_survive_a_variance_that_defeats_gauss_hermite_nodes() -> None:
    for sigma in (10.0, 100.0, 1000.0):
        exact = 4.0 / 3.0 / (math.sqrt(2.0 * math.pi) * sigma)  # the integral of tanh'^2 is 4/3
        assert predicted("tanh", 0.0, sigma).slope_square == pytest.approx(exact, rel=0.01)


def test_settings_of_the_module_are_used() -> None:
    narrow = activation_of("leaky_relu", layer_of(nn.LeakyReLU(0.0)), ())
    linear = activation_of("leaky_relu", layer_of(nn.LeakyReLU(1.0)), ())
    assert narrow is not None
    assert linear is not None
    assert respond(narrow, 0.0, 1.0).slope_square == pytest.approx(0.5)
    assert respond(linear, 0.0, 1.0).slope_square == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "silu"])
def test_a_rectified_signal_that_noise_was_added_to_responds_as_its_skewness_says(
    name: str,
) -> None:
    torch.manual_seed(0)
    z = torch.randn(2, 1_000_000, dtype=torch.float64)
    z = torch.relu(z[0]) + 0.6 * z[1]
    mean, sigma = float(z.mean()), float(z.std())
    skewness = float(((z - mean) / sigma).pow(3).mean())
    z.requires_grad_()
    y = ACTIVATIONS[name].double()(z)
    (slope,) = torch.autograd.grad(y.sum(), z)
    y = y.detach()
    function = activation_of(name, layer_of(ACTIVATIONS[name]), parameters_of(ACTIVATIONS[name]))
    assert function is not None
    response = respond(function, mean, sigma, skewness)
    assert response.mean == pytest.approx(float(y.mean()), rel=0.03)
    assert response.square == pytest.approx(float(y.square().mean()), rel=0.02)
    assert response.slope_square == pytest.approx(float(slope.square().mean()), rel=0.03)
    third = float((y - y.mean()).pow(3).mean())
    assert response.skew == pytest.approx(third, rel=0.15)
