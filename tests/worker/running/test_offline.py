"""Published weights: models are built without them, and remember that they wait for them."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from gradlint.worker.running.offline import unfetched, without_weights


def _waiting(model: nn.Module) -> set[str]:
    ids = unfetched(model)
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def test_a_part_that_loads_a_missing_file_waits_for_its_weights(tmp_path: Path) -> None:
    with without_weights():
        backbone, head = nn.Linear(3, 4), nn.Linear(4, 2)
        backbone.load_state_dict(torch.load(tmp_path / "published.pth"))
    assert _waiting(nn.Sequential(backbone, head)) == {"0.weight", "0.bias"}


def test_what_is_picked_from_missing_weights_is_missing_too(tmp_path: Path) -> None:
    with without_weights():
        model = nn.Linear(3, 4)
        state = torch.load(tmp_path / "published.pth")["model"]["state"]
        model.load_state_dict({name.removeprefix("module."): state[name] for name in state})
    assert _waiting(model) == {"weight", "bias"}


def test_what_is_asked_of_missing_weights_is_missing_too(tmp_path: Path) -> None:
    with without_weights():
        model = nn.Linear(3, 4)
        state = torch.load(tmp_path / "published.pth").get("state_dict")
        model.load_state_dict({name.removeprefix("module."): v for name, v in state.items()})
    assert _waiting(model) == {"weight", "bias"}


def test_weights_that_are_there_are_loaded(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 4).state_dict(), tmp_path / "own.pth")
    with without_weights():
        model = nn.Linear(3, 4)
        model.load_state_dict(torch.load(tmp_path / "own.pth"))
    assert not _waiting(model)


def test_layers_taken_from_a_model_wait_as_it_did_and_copies_do() -> None:
    with without_weights():
        body = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        body.load_state_dict({})
    taken = nn.Sequential(body[0], nn.Linear(4, 7))
    assert _waiting(copy.deepcopy(taken)) == {"0.weight", "0.bias"}


def test_torch_is_left_as_it_was() -> None:
    before = torch.load, nn.Module.load_state_dict
    with without_weights():
        assert torch.load is not before[0]
    assert (torch.load, nn.Module.load_state_dict) == before


class _Configuration:
    model_type = "tiny"

    def __init__(self, num_labels: int = 2) -> None:
        self.num_labels = num_labels

    @classmethod
    def from_pretrained(cls, name: str, **options: object) -> object:
        raise OSError(f"{name} is not here")


class _PreTrained(nn.Module):
    config_class = _Configuration

    def __init__(self, config: _Configuration) -> None:
        super().__init__()
        self.layer = nn.Linear(3, config.num_labels)

    @classmethod
    def from_pretrained(cls, name: str, **options: object) -> _PreTrained:
        return cls(cls.config_class.from_pretrained(name))  # type: ignore[arg-type]


class _Auto:
    @classmethod
    def from_pretrained(cls, name: str, **options: object) -> object:
        raise OSError(f"{name} is not here")

    @staticmethod
    def from_config(config: _Configuration) -> _PreTrained:
        return _PreTrained(config)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something with the shape of transformers, on a machine that has nothing cached."""
    contents: dict[str, dict[str, object]] = {
        "transformers.modeling_utils": {"PreTrainedModel": _PreTrained},
        "transformers.configuration_utils": {"PretrainedConfig": _Configuration},
        "transformers.models.auto.auto_factory": {"_BaseAutoModelClass": _Auto},
        "transformers.models.auto.configuration_auto": {
            "AutoConfig": SimpleNamespace,
            "CONFIG_MAPPING": dict[str, type](tiny=_Configuration, tin=SimpleNamespace),
        },
    }
    for name, members in contents.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("hub")
class TestFromPretrained:
    def test_builds_the_class_from_its_default_configuration_and_the_options(self) -> None:
        with without_weights():
            model = _PreTrained.from_pretrained("some/where", num_labels=5)
        assert model.layer.out_features == 5
        assert _waiting(model) == {"layer.weight", "layer.bias"}

    def test_builds_the_architecture_that_the_name_says(self) -> None:
        with without_weights():
            model = _Auto.from_pretrained("people/Tiny-base-uncased")
        assert isinstance(model, _PreTrained)

    def test_builds_it_where_the_configuration_is_empty_that_was_not_fetched(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(cls: type, /, name: str, **options: object) -> object:
            raise ValueError(f"Unrecognized model in {name}. Should have a `model_type` key.")

        monkeypatch.setattr(_Auto, "from_pretrained", classmethod(refuse))
        with without_weights():
            model = _Auto.from_pretrained("people/Tiny-base-uncased")
        assert isinstance(model, _PreTrained)

    def test_fails_where_the_name_says_none(self) -> None:
        with without_weights(), pytest.raises(OSError, match="tells no architecture"):
            _Auto.from_pretrained("people/secret")

    def test_fails_as_ever_once_the_model_is_built(self) -> None:
        with without_weights():
            pass
        with pytest.raises(OSError, match="not here"):
            _PreTrained.from_pretrained("some/where")


_HUB = """
def hf_hub_download(name, *, revision="main"):
    if name != "shelf/own":
        raise OSError(f"{name} at {revision} is not here")
    return "own.safetensors"
"""
_FILES = """
def load_file(path):
    if path != "own.safetensors":
        raise FileNotFoundError(path)
    return {"weight": __import__("torch").ones(4, 3), "bias": __import__("torch").ones(4)}
"""


def _module(monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(source, vars(module))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_files_of_the_hub_that_are_not_here_are_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = _module(monkeypatch, "huggingface_hub.file_download", _HUB).hf_hub_download
    load_file = _module(monkeypatch, "safetensors.torch", _FILES).load_file
    own, published = nn.Linear(3, 4), nn.Linear(3, 4)
    with without_weights():
        own.load_state_dict(load_file(fetch("shelf/own")))
        published.load_state_dict(load_file(fetch("shelf/other", revision="v2")))
    assert not _waiting(own)
    assert _waiting(published) == {"weight", "bias"}
    with pytest.raises(OSError, match="shelf/other at main is not here"):
        fetch("shelf/other")
