"""Where gradients stop in live models, and what the rules make of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from gradlint.layers.graph import LayerGraph
from gradlint.loader import rule_named
from gradlint.protocol.nodes import Parameter
from gradlint.rule import GraphRule, Hypothesis
from tests.worker.live import traced
from tests.worker.probing import legitimate

RULES = ("unreached-parameter", "unregistered-parameters", "gradient-shortcut-cut")


def suspicions(graph: LayerGraph) -> list[Hypothesis]:
    rules = [rule_named(name)() for name in RULES]
    return [found for rule in rules if isinstance(rule, GraphRule) for found in rule.check(graph)]


@pytest.mark.parametrize("model", legitimate.LEGITIMATE, ids=lambda model: model.__name__)
def test_what_keeps_gradients_away_on_purpose_is_not_suspected(model: type[nn.Module]) -> None:
    graph, _ = traced(model, (16, 8), legitimate.__file__)
    assert [found.message for found in suspicions(graph)] == []


class Between(nn.Module):
    """Two layers with something in between."""

    def __init__(self, cut: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.last = nn.Linear(8, 2)
        self.cut = cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.cut(self.first(x)))
        return out


def switched_off(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.relu(x)


def set_off(x: torch.Tensor) -> torch.Tensor:
    with torch.set_grad_enabled(False):
        return torch.relu(x)


def through_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(x.detach().numpy() * 2)


def by_number(x: torch.Tensor) -> torch.Tensor:
    return torch.full_like(x.new_zeros(x.shape), x.mean().item())


@pytest.mark.parametrize(
    ("cut", "cause"),
    [
        pytest.param(lambda x: x.detach(), "detach", id="detach"),
        pytest.param(lambda x: x.data, "data", id="data"),
        pytest.param(lambda x: one_hot(x.argmax(-1), 8).float(), "argmax", id="argmax"),
        pytest.param(lambda x: one_hot(x.max(-1)[1], 8).float(), "max", id="place of maximum"),
        pytest.param(lambda x: (x > 0).float(), "gt", id="comparison"),
        pytest.param(lambda x: torch.distributions.Normal(x, 1.0).sample(), "sample", id="sample"),
        pytest.param(through_numpy, "detach", id="numpy"),
        pytest.param(by_number, "item", id="item"),
        pytest.param(switched_off, "no_grad", id="no_grad"),
        pytest.param(set_off, "set_grad_enabled", id="set_grad_enabled"),
    ],
)
def test_a_cut_is_named_and_what_lies_in_front_of_it_is_unreached(
    cut: Callable[[torch.Tensor], torch.Tensor], cause: str
) -> None:
    graph, _ = traced(lambda: Between(cut), (16, 8))
    assert [stop.cause for stop in graph.stops][-1:] == [cause]
    (found,) = suspicions(graph)
    assert [claim.of for claim in found.claims] == ["first"]
    assert found.layer == "first"


@pytest.mark.parametrize("step", [torch.round, torch.sign, torch.floor], ids=lambda f: f.__name__)
def test_steps_have_a_gradient_of_zero(step: Callable[[torch.Tensor], torch.Tensor]) -> None:
    graph, _ = traced(lambda: Between(step), (16, 8))
    assert graph.stops == ()
    (found,) = suspicions(graph)
    assert "is zero everywhere" in found.message


def test_a_view_made_without_gradients_still_says_where_it_comes_from() -> None:
    def seen(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return torch.relu(x.view(-1, 8))

    graph, _ = traced(lambda: Between(seen), (16, 8))
    assert {id_ for stop in graph.stops for id_ in stop.takes} == {"first"}


def test_what_a_healthy_model_stops_is_left_out_of_the_graph() -> None:
    graph, _ = traced(lambda: Between(lambda x: x + x.detach().abs().max()), (16, 8))
    assert graph.stops == ()


def unreached(graph: LayerGraph) -> dict[str, Parameter]:
    return {parameter.id: parameter for parameter in graph.parameters if parameter.holder}


class Forgetful(nn.Module):
    """A part that nobody calls, with two layers in it; no test may name it."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(8, 2)
        self.forgotten = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.used(x)
        return out


def test_a_part_that_nothing_calls_or_names_is_one_suspicion() -> None:
    graph, _ = traced(Forgetful, (16, 8), __file__)
    found = unreached(graph)
    _, (part, _) = Forgetful().named_children()
    assert {parameter.holder for parameter in found.values()} == {part}
    assert not any(parameter.named for parameter in found.values())
    (suspicion,) = suspicions(graph)
    assert suspicion.layer == part


def test_of_a_file_that_cannot_be_read_every_attribute_may_be_named() -> None:
    graph, _ = traced(Forgetful, (16, 8), "there/is/no/such/file.py")
    assert all(parameter.named for parameter in unreached(graph).values())
    assert suspicions(graph) == []


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("net = Forgetful()\nloss(net.forgotten[0].weight)", True),
        ("net = Forgetful()\nloss(net.used.weight)", False),
        ("net = Other()\nloss(net.forgotten[0].weight)", False),
    ],
    ids=["reads it", "reads another", "of another class"],
)
def test_a_script_beside_the_file_may_name_a_part_of_its_model(
    tmp_path: Path, script: str, named: bool
) -> None:
    (tmp_path / "model.py").write_text("pass")
    (tmp_path / "train.py").write_text(script)
    graph, _ = traced(Forgetful, (16, 8), str(tmp_path / "model.py"))
    assert {parameter.named for parameter in unreached(graph).values()} == {named}


class Untidy(nn.Module):
    """Weights wherever Python lets one put them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 2)
        self.in_list = [nn.Linear(8, 8), nn.Linear(8, 8)]
        self.in_dict = {"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}
        self.plain = torch.ones(8, requires_grad=True)
        self.product = nn.Parameter(torch.ones(8)) * 0.5
        self.known = [self.head, self.head.weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (*self.in_list, *self.in_dict.values()):
            x = layer(x)
        out: torch.Tensor = self.head(x * self.plain * self.product)
        return out


def test_hidden_weights_are_found_by_the_way_to_them() -> None:
    graph, _ = traced(Untidy, (16, 8))
    assert [(stray.id, stray.part, stray.held) for stray in graph.strays] == [
        ("in_list[0].weight", "in_list", "list"),
        ("in_list[0].bias", "in_list", "list"),
        ("in_list[1].weight", "in_list", "list"),
        ("in_list[1].bias", "in_list", "list"),
        ("in_dict['a'].weight", "in_dict", "dict"),
        ("in_dict['a'].bias", "in_dict", "dict"),
        ("in_dict['b'].weight", "in_dict", "dict"),
        ("in_dict['b'].bias", "in_dict", "dict"),
        ("plain", "plain", "tensor"),
        ("product", "product", "tensor"),
    ]
