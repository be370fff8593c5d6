"""Architectures of timm, pytorchcv and transformers, randomly initialised.

Chosen by hand and small, or drawn from all that a package has a name for.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from gradlint.worker.building.widths import narrower
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.search import Search
from gradlint.worker.tracing.forward import Built
from tests.theory.measured import Network, network

TIMM = (
    "resnet18 resnet50 resnetv2_50 resnext50_32x4d seresnet18 wide_resnet50_2 densenet121 vgg11 "
    "vgg11_bn "
    "mobilenetv2_100 mobilenetv3_small_100 efficientnet_b0 efficientnetv2_rw_t regnetx_002 "
    "regnety_002 "
    "mnasnet_100 ghostnet_100 convnext_atto convnextv2_atto vit_tiny_patch16_224 "
    "deit_tiny_patch16_224 "
    "swin_tiny_patch4_window7_224 mixer_s16_224 resmlp_12_224 gmlp_ti16_224 poolformer_s12 "
    "xcit_nano_12_p16_224 "
    "cait_xxs24_224 dm_nfnet_f0 nf_resnet26 inception_v3 xception41 hardcorenas_a repvgg_a0 "
    "dla34 dpn48b "
    "hrnet_w18_small res2net50_26w_4s skresnet18 tresnet_m rexnet_100 cspresnet50 darknet53 "
    "levit_128s "
    "mobilevit_xxs edgenext_xx_small pvt_v2_b0 twins_svt_small eva02_tiny_patch14_224 "
    "beit_base_patch16_224 "
    "selecsls42 fbnetc_100 lcnet_050 tinynet_e semnasnet_075 visformer_tiny crossvit_tiny_240 "
    "coat_tiny "
    "maxvit_rmlp_pico_rw_256 focalnet_tiny_srf volo_d1_224 convmixer_768_32 sequencer2d_s"
).split()
PYTORCHCV = (
    "resnet10 preresnet10 densenet121 mobilenet_w1 squeezenet_v1_1 shufflenetv2_wd2 alexnet vgg11 "
    "resnext14_16x4d seresnet10 bamresnet18 cbamresnet18 igcv3_w1 mnasnet_b1 darknet_tiny peleenet "
    "diracnet18v2 sqnxt23_w1 airnet50_1x64d_r2 condensenet74_c4_g4 fishnet99 nin_cifar10 "
    "wrn16_10_cifar10 "
    "ror3_56_cifar10 rir_cifar10 pyramidnet110_a48_cifar10 xdensenet40_2_k24_bc_cifar10 "
    "shakeshakeresnet20_2x16d_cifar10"
).split()


def _timm(name: str) -> Network:
    import timm

    size = int(name.rpartition("_")[2]) if name.endswith(("224", "240", "256")) else 128
    return network(lambda: timm.create_model(name, num_classes=10), 8, 3, size, size)


def _pytorchcv(name: str) -> Network:
    from pytorchcv.model_provider import get_model

    size = 32 if "cifar" in name else 224 if name in ("alexnet", "vgg11", "nin") else 128
    if "cifar" in name:
        return network(lambda: get_model(name), 8, 3, size, size)
    return network(lambda: get_model(name, num_classes=10, in_size=(size, size)), 8, 3, size, size)


_SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 200,
    "max_position_embeddings": 64,
}
_OTHER: dict[str, dict[str, object]] = {
    "gpt2": {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200, "n_positions": 64},
    "gptj": {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200, "rotary_dim": 8},
    "codegen": {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200, "rotary_dim": 8},
    "openai-gpt": {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200},
    "ctrl": {"n_embd": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200, "dff": 128},
    "bloom": {"hidden_size": 64, "n_layer": 4, "n_head": 4, "vocab_size": 200},
    "falcon": {**_SMALL, "num_kv_heads": 4},
    "distilbert": {"dim": 64, "n_layers": 4, "n_heads": 4, "hidden_dim": 128, "vocab_size": 200},
    "xlm": {"emb_dim": 64, "n_layers": 4, "n_heads": 4, "n_words": 200},
    "albert": {**_SMALL, "embedding_size": 32},
    "electra": {**_SMALL, "embedding_size": 32},
    "llama": {**_SMALL, "num_key_value_heads": 4},
    "mistral": {**_SMALL, "num_key_value_heads": 2},
    "qwen2": {**_SMALL, "num_key_value_heads": 2},
    "qwen3": {**_SMALL, "num_key_value_heads": 2, "head_dim": 16},
    "gemma": {**_SMALL, "num_key_value_heads": 2, "head_dim": 16},
    "gemma2": {**_SMALL, "num_key_value_heads": 2, "head_dim": 16},
    "phi3": {**_SMALL, "num_key_value_heads": 4, "pad_token_id": 0},
    "olmo2": {**_SMALL, "num_key_value_heads": 4, "pad_token_id": 0},
    "cohere": {
        **_SMALL,
        "num_key_value_heads": 4,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    },
    "mamba": {"hidden_size": 64, "num_hidden_layers": 4, "vocab_size": 200},
    "rwkv": {
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "vocab_size": 200,
        "attention_hidden_size": 64,
    },
    "mixtral": {**_SMALL, "num_key_value_heads": 2, "num_local_experts": 4},
    "opt": {**_SMALL, "ffn_dim": 128, "word_embed_proj_dim": 64},
    "granite": {**_SMALL, "num_key_value_heads": 4},
    "starcoder2": {**_SMALL, "num_key_value_heads": 2},
    "mpt": {"d_model": 64, "n_layers": 4, "n_heads": 4, "vocab_size": 200, "expansion_ratio": 2},
}
_PLAIN = (
    "bert roberta camembert deberta deberta-v2 ernie convbert mobilebert mpnet nezha squeezebert "
    "rembert roformer megatron-bert fnet nystromformer bert-generation xlm-roberta gpt_neox phi "
    "persimmon "
    "stablelm data2vec-text xmod ibert roc_bert splinter yoso biogpt"
).split()


def _transformer(name: str) -> Network:
    from transformers import AutoConfig, AutoModel

    settings = _OTHER.get(name, _SMALL)

    def build() -> nn.Module:
        config = AutoConfig.for_model(name, **settings)
        config.use_cache = False
        model: nn.Module = AutoModel.from_config(config)
        return model

    return Network(build, lambda: (torch.randint(3, 199, (8, 16)),))


def architectures(family: str) -> Iterator[tuple[str, Callable[[], Network]]]:
    """Names and makers of the networks of one family."""
    makers: dict[str, tuple[tuple[str, ...] | list[str], Callable[[str], Network]]] = {
        "timm": (TIMM, _timm),
        "pytorchcv": (PYTORCHCV, _pytorchcv),
        "transformers": ([*_OTHER, *_PLAIN], _transformer),
    }
    names, make = makers[family]
    for name in names:
        yield name, functools.partial(make, name)


_LARGEST = 40_000_000  # parameters of a drawn architecture, so that a pass takes seconds
_BATCH, _TOKENS = 8, 16


@dataclass(frozen=True, slots=True)
class Searched:
    """A model whose inputs were found by trying."""

    build: Callable[[], nn.Module]
    guess: Guess

    def make(self) -> nn.Module:
        """A fresh model in training mode."""
        return self.build().train()

    def inputs(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """Fresh inputs."""
        return self.guess.drawn()


def drawn(family: str, seed: int) -> Iterator[tuple[str, Callable[[], Built]]]:
    """All architectures that a package has a name for, in an order drawn from a seed.

    At their true depth. Their maker raises ValueError for one with more parameters than a pass in
    seconds allows, and UserError where no inputs were found.
    """
    names = sorted(_REGISTERED[family]())
    for name in random.Random(seed).sample(names, len(names)):
        yield name, functools.partial(_drawn, family, name)


def _drawn(family: str, name: str) -> Built:
    build = functools.partial(_BUILDS[family], name)
    with torch.device("meta"):
        model = build()
    size = sum(parameter.numel() for parameter in model.parameters())
    if size > _LARGEST:
        raise ValueError(f"{size:,} parameters are too many")
    if family == "transformers":
        return Searched(build, Search(build().train(), _TOKENS).found())
    return network(build, _BATCH, *_image(model))


def _image(model: nn.Module) -> tuple[int, int, int]:
    """Channels and sides of the images of a model of timm or pytorchcv."""
    settings = getattr(model, "default_cfg", None)
    if settings is None:
        height, width = getattr(model, "in_size", (224, 224))
        return getattr(model, "in_channels", 3), height, width
    channels, height, width = settings["input_size"]
    if settings.get("fixed_input_size") or settings.get("pool_size") is None:
        return channels, height, width
    return channels, min(height, 128), min(width, 128)


def _timm_names() -> Sequence[str]:
    import timm

    names: list[str] = timm.list_models()
    return names


def _pytorchcv_names() -> Sequence[str]:
    from pytorchcv import model_provider

    return list(vars(model_provider)["_models"])


def _transformers_names() -> Sequence[str]:
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return list(MODEL_MAPPING_NAMES)


def _build_timm(name: str) -> nn.Module:
    import timm

    model: nn.Module = timm.create_model(name)
    return model


def _build_pytorchcv(name: str) -> nn.Module:
    from pytorchcv.model_provider import get_model

    model: nn.Module = get_model(name)
    return model


def _build_transformer(name: str) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    sizes = narrower(vars(AutoConfig.for_model(name)))
    config = AutoConfig.for_model(name, **sizes)
    config.use_cache = False
    model: nn.Module = AutoModel.from_config(config)
    return model


_REGISTERED: dict[str, Callable[[], Sequence[str]]] = {
    "timm": _timm_names,
    "pytorchcv": _pytorchcv_names,
    "transformers": _transformers_names,
}
_BUILDS: dict[str, Callable[[str], nn.Module]] = {
    "timm": _build_timm,
    "pytorchcv": _build_pytorchcv,
    "transformers": _build_transformer,
}
