"""What the class libraries around PyTorch are known for: which of their classes are models."""

from __future__ import annotations

import builtins
import re
import sys
from enum import Enum


class Base(Enum):
    """What inheriting from a class that is not in sight makes of a class."""

    MODULE = "a module without a forward of its own"
    LAYER = "a module with a forward"
    LIGHTNING = "a Lightning module"
    PRETRAINED = "a Hugging Face model without a forward of its own"
    LOSS = "a loss"
    OTHER = "no module"
    UNKNOWN = "not known"

    @property
    def is_module(self) -> bool:
        """Whether its instances are torch modules."""
        return self not in (Base.OTHER, Base.UNKNOWN)

    @property
    def has_forward(self) -> bool:
        """Whether it has a forward that a subclass inherits."""
        return self in (Base.LAYER, Base.LOSS)


FOLLOWED_NEVER = frozenset(
    "torch torchvision torchaudio torchtext numpy scipy pandas matplotlib PIL cv2 sklearn skimage"
    " transformers timm diffusers lightning pytorch_lightning lightning_fabric accelerate deepspeed"
    " fairseq fairseq2 tqdm yaml einops wandb tensorboard tensorboardX hydra omegaconf datasets"
    " tensorflow keras jax flax pytest requests monai torch_geometric dgl detectron2 mmcv mmengine"
    " mmdet".split()
)
"""Packages whose classes are known here by name, so that their files need not be read."""


def is_known(package: str) -> bool:
    """Whether the classes of a package are known by name, so that it is not looked for."""
    return package in FOLLOWED_NEVER or package in sys.stdlib_module_names


_NAMED = {
    "LightningModule": Base.LIGHTNING,
    "PreTrainedModel": Base.PRETRAINED,
    "ScriptModule": Base.MODULE,
    "GraphModule": Base.LAYER,
    "ModelMixin": Base.MODULE,
    "BaseModule": Base.MODULE,
    "FairseqIncrementalDecoder": Base.MODULE,
    "Module": Base.MODULE,
}

_CONTAINERS = frozenset(
    "Module ModuleList ModuleDict ParameterList ParameterDict Container".split()
)

_MODELS = (
    "torchvision.models.",
    "torchvision.ops.",
    "timm.models.",
    "timm.layers.",
    "torch_geometric.nn.",
    "dgl.nn.",
    "fairseq.models.",
    "fairseq.modules.",
    "diffusers.models.",
    "mmcv.cnn.",
    "mmengine.model.",
    "monai.networks.",
    "segmentation_models_pytorch.",
    "efficientnet_pytorch.",
    "pytorchcv.",
    "speechbrain.nnet.",
    "allennlp.modules.",
    "allennlp.models.",
    "gpytorch.models.",
    "pyro.nn.",
    "e3nn.nn.",
    "vit_pytorch.",
    "x_transformers.",
    "einops.layers.torch.",
    "pretrainedmodels.",
)

_TRANSFORMERS = re.compile(
    r"(Model|For[A-Z]\w*|Layer|Block|Attention|MLP|Embeddings|Encoder|Decoder)$"
)


def base_kind(name: str) -> Base:
    """What a class becomes that inherits from the class of this dotted name."""
    head, _, last = name.rpartition(".")
    if name.startswith("torch."):
        return _of_torch(name, last)
    if last in _NAMED and head:
        return _NAMED[last]
    if name.startswith("transformers."):
        return Base.LAYER if _TRANSFORMERS.search(last) else Base.OTHER
    if name.startswith(_MODELS) and last[:1].isupper():
        return Base.LAYER
    first = name.split(".", 1)[0]
    if hasattr(builtins, name) or first in sys.stdlib_module_names:
        return Base.OTHER
    return Base.UNKNOWN


def _of_torch(name: str, last: str) -> Base:
    if name.startswith(("torch.nn.functional.", "torch.nn.utils.", "torch.nn.init.")):
        return Base.OTHER
    if last in ("Parameter", "Buffer", "UninitializedParameter"):
        return Base.OTHER
    if name.startswith(("torch.nn.", "torch.ao.nn.", "torch.jit.", "torch.fx.")):
        if last in _CONTAINERS:
            return Base.MODULE
        if last in _NAMED:
            return _NAMED[last]
        if not name.startswith("torch.nn.") and ".nn." not in name:
            return Base.OTHER
        return Base.LOSS if last.endswith("Loss") else Base.LAYER
    return Base.OTHER
