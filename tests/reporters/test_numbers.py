"""How numbers are written and drawn."""

from __future__ import annotations

import math

import pytest

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.reporters.numbers import bar, factor, healthy, number, subject


@pytest.mark.parametrize(
    "quantity", [pytest.param(quantity, id=quantity.value) for quantity in Quantity]
)
def test_every_quantity_has_words(quantity: Quantity) -> None:
    words = subject(Claim(quantity, "body.0", Bound(at_least=0), steps=50, after_step=True))
    assert words.endswith(", after one optimizer step")
    assert "{" not in words


def test_a_claim_over_time_names_its_steps() -> None:
    claim = Claim(Quantity.RECURRENT_DECAY, "rnn", Bound(at_least=-2), steps=50)
    assert subject(claim) == "gradient at the first of 50 steps of rnn, relative to the last"


@pytest.mark.parametrize(
    ("value", "quantity", "text"),
    [
        pytest.param(-9.413, Quantity.GRADIENT_DECADES, "-9.41", id="decades"),
        pytest.param(-0.0003, Quantity.GRADIENT_DECADES, "0.00", id="no negative zero"),
        pytest.param(0.01234, Quantity.DEAD_SHARE, "0.0123", id="share"),
        pytest.param(123456.0, Quantity.GRADIENT_NORM, "1.23e+05", id="large"),
        pytest.param(math.nan, Quantity.GRADIENT_NORM, "not measured", id="nan"),
        pytest.param(-math.inf, Quantity.GRADIENT_DECADES, "-inf", id="infinite"),
    ],
)
def test_numbers_are_short(value: float, quantity: Quantity, text: str) -> None:
    assert number(value, quantity) == text


@pytest.mark.parametrize(
    ("decades", "text"),
    [
        pytest.param(-9.41, "2,600,000,000 times weaker", id="weak"),
        pytest.param(0.5, "3.2 times stronger", id="strong"),
        pytest.param(-40.2, "10^40 times weaker", id="beyond counting"),
        pytest.param(-math.inf, "no gradient arrives", id="nothing"),
        pytest.param(math.inf, "not finite", id="overflow"),
        pytest.param(math.nan, "", id="not measured"),
    ],
)
def test_decades_are_told_as_a_factor(decades: float, text: str) -> None:
    assert factor(Quantity.GRADIENT_DECADES, decades) == text


def test_a_share_is_no_factor() -> None:
    assert factor(Quantity.DEAD_SHARE, 0.5) == ""


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        pytest.param(Bound(-2.5, 2.5), "between -2.5 and 2.5", id="both"),
        pytest.param(Bound(at_least=-2.5), "at least -2.5", id="below"),
        pytest.param(Bound(at_most=0.5), "at most 0.5", id="above"),
        pytest.param(Bound(), "any value", id="open"),
    ],
)
def test_a_bound_is_told_in_words(bound: Bound, text: str) -> None:
    assert healthy(bound) == text


def test_a_bar_rises_with_the_values() -> None:
    assert bar([-8.0, -6.0, -4.0, -2.0, 0.0]) == "▁▃▅▇█"
    assert bar([-8.0, -6.0, -4.0, -2.0, 0.0], unicode=False) == "_-+#@"


def test_a_bar_of_many_layers_keeps_its_width_and_both_ends() -> None:
    drawn = bar([float(value) for value in range(-400, 1)], width=40)
    assert len(drawn) == 40
    assert (drawn[0], drawn[-1]) == ("▁", "█")
    assert list(drawn) == sorted(drawn)


def test_noise_does_not_look_like_a_slope() -> None:
    assert len(set(bar([-0.1, 0.0, -0.05, -0.12]))) == 1


def test_layers_without_a_finite_gradient_are_crossed_out() -> None:
    assert bar([-math.inf, -3.0, 0.0]) == "x▁█"
    assert bar([math.nan, math.inf]) == "xx"


def test_a_bar_of_one_layer_is_one_character() -> None:
    assert len(bar([-4.0])) == 1
