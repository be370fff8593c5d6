"""A model without a forward of its own runs by the method that uses most of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel
from gradlint.worker.building.build import build
from gradlint.worker.building.entries import entries, learns_by_forward
from gradlint.worker.running.failure import UserError
from tests.worker.models import module_of, request

AGENT = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.critic = nn.Linear(4, 1)
            self.actor = nn.Linear(4, 2)

        def value(self, x):
            return self.critic(x)

        def act_and_judge(self, x, action=None):
            return self.actor(x), self.value(x)
"""


def _entries(source: str) -> tuple[str, ...]:
    model = module_of(source).Net()
    assert isinstance(model, nn.Module)
    return entries(model)


@pytest.mark.parametrize(
    "body",
    ["raise NotImplementedError('use act_and_judge')", "pass", "'''Of subclasses.'''", "..."],
)
def test_a_model_whose_forward_refuses_runs_by_another_method(body: str) -> None:
    refusing = f"{AGENT}\n        def forward(self):\n            {body}\n"
    built = build(module_of(refusing), request("Net()"))
    assert (built.candidate.method, built.described) == ("act_and_judge", ("float32[8,4]",))


def test_the_method_that_uses_most_parameters_comes_first() -> None:
    assert _entries(AGENT) == ("act_and_judge", "value")


@pytest.mark.parametrize(
    "method",
    [
        "def _both(self, x): return self.critic(x), self.actor(x)",
        "def train_on(self, x): return self.critic(x), self.actor(x)",
        "def both(self): return self.critic.weight, self.actor.weight",
        "def both(self, place): self.critic.to(place); self.actor.to(place)",
        "@torch.no_grad()\n        def both(self, x): return self.critic(x), self.actor(x)",
        "@staticmethod\n        def both(self, x): return self.critic(x), self.actor(x)",
    ],
    ids=["private", "training", "no argument", "no value", "without gradient", "static"],
)
def test_what_is_no_pass_is_passed_over(method: str) -> None:
    source = AGENT.replace(
        "def act_and_judge(self, x, action=None):", f"{method}\n\n        def x(self):"
    )
    assert _entries(source) == ("value",)


def test_drawing_from_a_model_comes_after_a_pass_that_uses_as_much() -> None:
    source = AGENT.replace(
        "def value", "def sample(self, x): return self.value(x)\n\n        def value"
    )
    assert _entries(source) == ("act_and_judge", "value", "sample")


def test_a_method_runs_every_fresh_model() -> None:
    built = build(module_of(AGENT), request("Net()"))
    assert built.candidate.method == "act_and_judge"
    one, two = built.make(), built.make()
    args, kwargs = built.inputs()
    for parameter in one.parameters():
        nn.init.zeros_(parameter)
    assert not one(*args, **kwargs)[0].any()
    assert two(*args, **kwargs)[0].any()


def test_a_method_that_cannot_run_leaves_its_place_to_the_next() -> None:
    source = AGENT.replace("return self.actor(x)", "raise RuntimeError('no'); return self.actor(x)")
    built = build(module_of(source), TraceModel("Net", (), 0))
    assert built.candidate.method == "value"


def test_a_method_of_which_another_sees_more_is_not_run_in_its_place() -> None:
    called = Candidate(BuiltFrom.USE_IN_FILE, "Net()", ("torch.rand(2, 4)",), method="value")
    module = module_of(AGENT)
    built = build(module, TraceModel("Net", (called, replace(called, method="act_and_judge")), 0))
    assert built.candidate.method == "act_and_judge"


def test_the_reason_names_the_method_that_did_not_run() -> None:
    source = AGENT.replace("self.critic(x)", "self.critic(x[7, 7, 7, 7, 7, 7])")
    with pytest.raises(UserError, match=r"and act_and_judge does not run with guessed inputs: "):
        build(module_of(source), request("Net()"))


DECODER = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scores = nn.Linear(4, 3)

    def forward(self, x):
        return self.scores(x).argmax(-1)

    def decode(self, x, best):
        return self.scores(x).topk(best)

    def tagging_loss(self, x, labels):
        return F.cross_entropy(self.scores(x), labels)
"""


def test_a_forward_that_nothing_learns_from_leaves_its_place_to_the_loss() -> None:
    built = build(module_of(DECODER), request("Net()"))
    assert (built.candidate.method, built.described) == (
        "tagging_loss",
        ("float32[8,4]", "int64[8]"),
    )


def test_a_forward_that_does_not_run_leaves_its_place_to_the_loss() -> None:
    source = DECODER.replace("argmax(-1)", "best(self, x)")
    assert build(module_of(source), request("Net()")).candidate.method == "tagging_loss"


def test_a_forward_that_learns_is_run_though_there_is_a_loss() -> None:
    source = DECODER.replace(".argmax(-1)", "")
    assert build(module_of(source), request("Net()")).candidate.method == "forward"


def test_nothing_is_learned_through_a_forward_without_gradients() -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 4)

            @torch.no_grad()
            def forward(self, x):
                return self.layer(x)
    """
    learning = source.replace("@torch.no_grad()", "")
    assert learns_by_forward(module_of(learning).Net())
    with pytest.raises(UserError) as caught:
        build(module_of(source), request("Net()"))
    assert type(caught.value.error).__name__ == "NoGradientError"
