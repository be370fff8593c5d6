"""The healthy architectures: how a program imports and builds each at a reduced width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_STAGES = "[[8, 8], [16, 16], [32, 32]]"
_WIDE = "[[16, 16], [32, 32], [32, 32]]"
_DEEP = "[[8] * 4, [16] * 4, [32] * 4]"


@dataclass(frozen=True, slots=True)
class Original:
    """One architecture: `build` is an expression, `takes` what it is fed, "images" or "tokens".

    `trunk` is the expression of the list of blocks inside `self.net`, `head` that of its last
    linear layer, "" where there is none. `rate` is the learning rate of AdamW, 0 for
    SGD with momentum.
    """

    name: str
    imports: str
    build: str
    takes: str = "images"
    trunk: str = ""
    head: str = ""
    rate: float = 3e-3


def originals() -> Iterator[Original]:
    """All architectures, those that are quickest to import first."""
    yield from _recurrent()
    yield from _pytorchcv()
    yield from _vit_pytorch()
    yield from _timm()
    yield from _transformers()


_REMEMBERING = """
def remembering(rnn):
    for name, bias in rnn.named_parameters():
        if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
            nn.init.constant_(bias[32:64], 2.0)
    return rnn
"""


def _recurrent() -> Iterator[Original]:
    for kind in ("LSTM", "GRU"):
        for layers in (1, 2):
            yield Original(
                f"torch-{kind.lower()}-{layers}",
                _REMEMBERING,
                "nn.ModuleDict({'embed': nn.Embedding(20, 16), 'rnn': remembering(nn."
                f"{kind}(16, 32, {layers}, batch_first=True)), 'head': nn.Linear(32, 4)}})",
                "tokens",
                head="head",
                rate=2e-2,
            )


_POOLED = """
def pooled(net):
    net.features.final_pool = nn.AdaptiveAvgPool2d(1)  # because the images are small
    return net
"""


def _pytorchcv() -> Iterator[Original]:
    size = "in_size=(32, 32), num_classes=4"
    cifar = "init_block_channels=8, bottleneck=False, "
    models = {
        "resnet_cifar.CIFARResNet": f"channels={_STAGES}, {cifar}{size}",
        "resnet_cifar.CIFARResNet#deep": f"channels={_DEEP}, {cifar}{size}",
        "preresnet_cifar.CIFARPreResNet": f"channels={_STAGES}, {cifar}{size}",
        "preresnet_cifar.CIFARPreResNet#deep": f"channels={_DEEP}, {cifar}{size}",
        "seresnet_cifar.CIFARSEResNet": f"channels={_WIDE}, {cifar}{size}",
        "sepreresnet_cifar.CIFARSEPreResNet": f"channels={_WIDE}, {cifar}{size}",
        "resnext_cifar.CIFARResNeXt": "channels=[[32], [64], [64]], init_block_channels=16, "
        f"cardinality=4, bottleneck_width=16, {size}",
        "densenet_cifar.CIFARDenseNet": "channels=[[12, 16, 20], [16, 20, 24], [18, 22, 26]], "
        f"{cifar}{size}",
        "xdensenet_cifar.CIFARXDenseNet": "channels=[[12, 16, 20], [16, 20, 24], [18, 22, 26]], "
        f"{cifar}{size}",
        "wrn_cifar.CIFARWRN": f"channels={_STAGES}, init_block_channels=8, {size}",
        "pyramidnet_cifar.CIFARPyramidNet": f"channels=[[10, 12], [16, 20], [24, 28]], {cifar}"
        f"{size}",
        "ror_cifar.CIFARRoR": f"channels={_STAGES}, init_block_channels=8, {size}",
        "nin_cifar.CIFARNIN": "channels=[[16, 12, 8], [16, 16, 16], [16, 16]], "
        f"first_kernel_sizes=[5, 5, 3], {size}",
        "resnet.ResNet": f"channels=[[8], [16], [24], [32]], {cifar}conv1_stride=True, "
        "in_size=(64, 64), num_classes=4",
        "preresnet.PreResNet": f"channels=[[8], [16], [24], [32]], {cifar}conv1_stride=True, "
        "in_size=(64, 64), num_classes=4",
        "seresnet.SEResNet": f"channels=[[16], [16], [32], [32]], {cifar}conv1_stride=True, "
        "in_size=(64, 64), num_classes=4",
        "resnetd.ResNetD": "channels=[[8], [16], [24], [32]], init_block_channels=16, "
        "bottleneck=False, conv1_stride=True, in_size=(64, 64), num_classes=4",
        "cbamresnet.CbamResNet": f"channels=[[16], [16], [32], [32]], {cifar}in_size=(64, 64), "
        "num_classes=4",
        "bamresnet.BamResNet": f"channels=[[16], [16], [32], [32]], {cifar}in_size=(64, 64), "
        "num_classes=4",
        "mobilenet.MobileNet": "channels=[[8], [16], [24, 24], [32, 32], [48]], "
        "first_stage_stride=False, in_size=(64, 64), num_classes=4",
        "mobilenetv2.MobileNetV2": "channels=[[8], [12, 12], [16, 16], [24, 24], [32]], "
        "init_block_channels=8, final_block_channels=64, remove_exp_conv=False, "
        "in_size=(64, 64), num_classes=4",
        "shufflenet.ShuffleNet": "channels=[[24, 24], [32, 32], [48, 48]], init_block_channels=8, "
        "groups=2, in_size=(64, 64), num_classes=4",
        "regnet.RegNet": "channels=[[8], [16], [24], [32]], init_block_channels=8, "
        "groups=[1, 2, 3, 4], use_se=False, in_size=(64, 64), num_classes=4",
        "diracnetv2.DiracNetV2": "channels=[[8] * 2, [16] * 2, [32] * 2, [32] * 2], "
        "init_block_channels=8, in_size=(64, 64), num_classes=4",
        "darknet.DarkNet": "channels=[[8], [16], [24], [32], [32, 4]], odd_pointwise=False, "
        "avg_pool_size=2, cls_activ=False, in_size=(64, 64), num_classes=4",
        "efficientnet.EfficientNet": "channels=[[8], [12], [16], [24]], init_block_channels=8, "
        "final_block_channels=64, kernel_sizes=[[3], [3], [3], [3]], "
        "strides_per_stage=[1, 2, 2, 2], expansion_factors=[[1], [4], [4], [4]], "
        "dropout_rate=0.0, in_size=(64, 64), num_classes=4",
        "peleenet.PeleeNet": "channels=[[16, 24], [32, 40], [48, 56], [64, 72]], "
        "init_block_channels=8, bottleneck_sizes=[1, 2, 4, 4], dropout_rate=0.0, "
        "in_size=(64, 64), num_classes=4",
    }
    for path, settings in models.items():
        module, _, kind = path.partition("#")[0].partition(".")
        small = "(32, 32)" in settings or module == "darknet"
        yield Original(
            f"pytorchcv-{path.partition('.')[0]}{'-deep' if '#' in path else ''}",
            f"from pytorchcv.models.{module} import {kind}\n{'' if small else _POOLED}",
            f"{kind}({settings})" if small else f"pooled({kind}({settings}))",
            "images" if "(32, 32)" in settings else "large images",
            trunk="features",
            head="" if module in ("nin_cifar", "darknet") else "output",
            rate=0.0,
        )


def _vit_pytorch() -> Iterator[Original]:
    usual = (
        "image_size=32, patch_size=8, num_classes=4, dim=32, depth={depth}, heads=2, "
        "mlp_dim=64, dim_head=16"
    )
    plain = (
        "vit simple_vit deepvit parallel_vit learnable_memory_vit vit_for_small_dataset "
        "simple_vit_with_register_tokens vit_with_patch_dropout local_vit rvt "
        "simple_vit_with_qk_norm simple_vit_with_value_residual"
    ).split()
    kinds = {"deepvit": "DeepViT", "local_vit": "LocalViT", "rvt": "RvT"}
    for module in plain:
        kind = kinds.get(module, "SimpleViT" if module.startswith("simple") else "ViT")
        yield _of_vit(module, kind, usual.format(depth=4))
    yield _of_vit("vit", "ViT", usual.format(depth=10), "-deep")
    yield _of_vit("simple_vit", "SimpleViT", usual.format(depth=10), "-deep")
    yield _of_vit("cait", "CaiT", usual.format(depth=4) + ", cls_depth=2")
    yield _of_vit("xcit", "XCiT", usual.format(depth=4) + ", cls_depth=2")
    yield _of_vit(
        "nest",
        "NesT",
        "image_size=32, patch_size=4, num_classes=4, dim=16, heads=2, num_hierarchies=3, "
        "block_repeats=(1, 1, 1), dim_head=16",
    )


def _of_vit(module: str, kind: str, settings: str, suffix: str = "") -> Original:
    trunk = "" if module in ("cait", "xcit", "nest") else "transformer.layers"
    head = "linear_head" if module.startswith("simple") else ""
    imports = f"from vit_pytorch.{module} import {kind}"
    return Original(f"vit-{module}{suffix}", imports, f"{kind}({settings})", trunk=trunk, head=head)


def _timm() -> Iterator[Original]:
    models = {
        "resnet.ResNet": "resnet.BasicBlock, [1, 1, 1, 1], channels=(8, 16, 24, 32), stem_width=8",
        "vision_transformer.VisionTransformer": "img_size=32, patch_size=8, embed_dim=32, depth=4, "
        "num_heads=2",
        "mlp_mixer.MlpMixer": "img_size=32, patch_size=8, num_blocks=4, embed_dim=32",
        "convnext.ConvNeXt": "depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), patch_size=2",
        "convmixer.ConvMixer": "dim=24, depth=4, kernel_size=5, patch_size=4",
        "metaformer.MetaFormer": "depths=(1, 1, 2, 1), dims=(8, 16, 24, 32)",
        "swin_transformer.SwinTransformer": "img_size=32, patch_size=2, window_size=4, "
        "embed_dim=16, depths=(1, 2, 1), num_heads=(1, 2, 4)",
        "densenet.DenseNet": "growth_rate=4, block_config=(2, 2, 2)",
        "vgg.VGG": "cfg=[8, 'M', 16, 'M', 32, 'M', 32, 'M', 32, 'M']",
        "sequencer.Sequencer2d": "img_size=32, layers=(1, 1, 1, 1), patch_sizes=(4, 1, 1, 1), "
        "embed_dims=(16, 16, 16, 16), hidden_sizes=(4, 8, 8, 8), mlp_ratios=(2, 2, 2, 2)",
    }
    trunks = {"vision_transformer": "blocks", "mlp_mixer": "blocks", "convmixer": "blocks"}
    for path, settings in models.items():
        module, _, kind = path.partition(".")
        extra = ", num_features=32" if module == "vgg" else ""
        written = settings.replace("resnet.BasicBlock", "BasicBlock")
        names = f"{kind}, BasicBlock" if "BasicBlock" in written else kind
        yield Original(
            f"timm-{module}",
            f"from timm.models.{module} import {names}",
            f"{kind}({written}{extra}, num_classes=4)",
            trunk=trunks.get(module, ""),
            head={"resnet": "fc", "densenet": "classifier", "vgg": ""}.get(module, "head")
            if module in ("resnet", "densenet", "vision_transformer", "mlp_mixer", "convmixer")
            else "",
        )


def _transformers() -> Iterator[Original]:
    small = (
        "hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, "
        "vocab_size=20, num_labels=4, max_position_embeddings=32, hidden_dropout_prob=0.0, "
        "attention_probs_dropout_prob=0.0"
    )
    distil = (
        "dim=32, n_layers=3, n_heads=2, hidden_dim=64, vocab_size=20, num_labels=4, "
        "max_position_embeddings=32, dropout=0.0"
    )
    gpt = "n_embd=32, n_layer=3, n_head=2, vocab_size=20, n_positions=32, num_labels=4"
    for name, settings in (
        ("Bert", small),
        ("Roberta", small),
        ("Electra", small + ", embedding_size=32"),
        ("GPT2", gpt + ", pad_token_id=0"),
        (
            "DistilBert",
            distil,
        ),
    ):
        kind = f"{name}ForSequenceClassification"
        yield Original(
            f"transformers-{name.lower()}",
            f"from transformers import {name}Config, {kind}",
            f"{kind}({name}Config({settings}))",
            "tokens",
            trunk="transformer.h"
            if name == "GPT2"
            else "distilbert.transformer.layer"
            if name == "DistilBert"
            else f"{name.lower()}.encoder.layer",
        )
