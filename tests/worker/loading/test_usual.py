from __future__ import annotations

import pytest

from gradlint.worker.loading.usual import usual

NAMES = {
    "a momentum": ("batch_norm_momentum", "0.1"),
    "a rate of what is left out": ("drop_connect_rate", "0.1"),
    "a share of what is squeezed": ("se_ratio", "0.25"),
    "the lower end of a range": ("min_value", "0"),
    "the upper end of a range": ("max_value", "1"),
    "a length is no end of a range": ("max_length", "32"),
    "a flag": ("id_skip", "False"),
    "as many nodes as the edges of a graph lead to": ("num_nodes", "32"),
    "the kinds of edges": ("num_relations", "8"),
    "a size of actions": ("act_dim", "10"),
    "how an action is no activation": ("action_dim", "10"),
    "a size": ("whatever", "64"),
}


@pytest.mark.parametrize(("name", "value"), NAMES.values(), ids=NAMES.keys())
def test_a_name_says_what_is_usual(name: str, value: str) -> None:
    assert usual(name) == value
