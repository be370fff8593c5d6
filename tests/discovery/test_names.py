"""The usual values of usual parameter names."""

from __future__ import annotations

import ast

import pytest
from torch import nn

from gradlint.discovery.knowledge.names import _CLASSES, _USUAL, REQUIRED, conventional


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_channels", "3"),
        ("num_classes", "10"),
        ("vocab_size", "1000"),
        ("src_vocab_size", "1000"),
        ("hidden_size", "64"),
        ("hiddenSize", "64"),
        ("num_heads", "4"),
        ("n_layer", "2"),
        ("dim", "64"),
        ("dropout", "0.1"),
        ("kernel_size", "3"),
        ("image_size", "32"),
        ("patch_size", "4"),
        ("layers", "[2, 2, 2, 2]"),
        ("use_residual", "False"),
        ("sparsity", "False"),
        ("encoder_hidden_dim", "64"),
        ("num_decoder_blocks", "2"),
        ("n_audio_state", "64"),
        ("n_mels", "80"),
        ("n_ctx", "32"),
        ("stage1_modules", "2"),
        ("out_h", "7"),
        ("num_nodes", "32"),
        ("n_relations", "8"),
        ("num_entities", "1000"),
        ("num_anchors", "3"),
        ("cutoff", "5.0"),
        ("pad_id", "0"),
        ("tgt_bos_idx", "1"),
        ("eos_token_id", "2"),
    ],
)
def test_a_usual_name_has_a_usual_value(name: str, value: str) -> None:
    assert conventional(name) == value


@pytest.mark.parametrize("name", ["quux", "x", "fn", "data", "model", "tokens_to_ids"])
def test_other_names_have_none(name: str) -> None:
    assert conventional(name) is None


def test_no_name_is_listed_twice() -> None:
    names = [name for names in _USUAL.values() for name in names.split()]
    assert len(names) == len(set(names))


def test_every_value_is_a_literal_or_stands_for_an_object() -> None:
    objects = {"__import__('torch').randn(1000, 64)", "LargestTrial()"}
    for value in _USUAL.keys() - objects:
        ast.literal_eval(value)


def test_sizes_divide_each_other_so_that_attention_and_patches_fit() -> None:
    size = {name: int(conventional(name) or 0) for name in ("d_model", "nhead", "head_dim")}
    assert size["d_model"] == size["nhead"] * size["head_dim"]
    assert int(conventional("image_size") or 0) % int(conventional("patch_size") or 1) == 0


@pytest.mark.parametrize("name", REQUIRED)
def test_the_first_parameters_of_torch_layers_are_known_by_their_number(name: str) -> None:
    arguments = [conventional(role) for role in REQUIRED[name]]
    if "encoder_layer" not in REQUIRED[name] and "decoder_layer" not in REQUIRED[name]:
        getattr(nn, name)(*(ast.literal_eval(value or "None") for value in arguments))


def test_every_usual_class_exists_in_torch() -> None:
    assert all(hasattr(nn, name) for name in _CLASSES.values())
