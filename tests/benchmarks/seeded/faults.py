"""The faults: what each writes into a program, which rules name it, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.seeded.originals import Original

_DEEP = frozenset(
    {
        "init-scale",
        "missing-skip",
        "activation-collapse",
        "unnormalized-residual",
        "plain-batchnorm-depth",
    }
)
_SATURATION = frozenset({"saturating-stack", "norm-after-saturation"})
_SCALE = frozenset({"init-scale", "logit-scale"})
_CUT = frozenset({"unreached-parameter", "gradient-shortcut-cut"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `rules` are those that name it rightly.

    `helpers` are functions of the program, `change` statements at the end of the constructor,
    `result` what the forward pass returns of `{out}`, `loss` the criterion. A line that ends in
    `# fault` is a right one; where none does, that which builds the network is.
    """

    name: str
    rules: frozenset[str]
    helpers: str = ""
    change: str = ""
    result: str = "{out}"
    loss: str = "nn.CrossEntropyLoss()"
    needs: str = ""


def _replacing(kind: str) -> str:
    return f"""
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.PReLU, nn.LeakyReLU, nn.Hardswish)


def replaced(net):
    found = [
        (parent, name)
        for parent in net.modules()
        for name, child in parent.named_children()
        if isinstance(child, ACTIVATIONS)
    ]
    assert found, "nothing to replace"
    for parent, name in found:
        setattr(parent, name, nn.{kind}())  # fault
    return net
"""


_WITHOUT_NORMS = """
NORMS = (nn.BatchNorm2d, nn.BatchNorm1d, nn.LayerNorm, nn.GroupNorm)


def without_norms(net):
    found = [
        (parent, name)
        for parent in net.modules()
        for name, child in parent.named_children()
        if type(child) in NORMS
    ]
    assert found, "nothing to remove"
    for parent, name in found:
        setattr(parent, name, nn.Identity())
    return net
"""

_ON_DETACHED = """
class OnDetached(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, x):
        return self.head(x.detach())  # fault
"""

_WEIGHTS = """
def weights(net):
    return [p for name, p in net.named_parameters() if p.ndim >= 2 and "embed" not in name]
"""

_ROUND_SKIPS = '''
def cut_skips(net):
    """Replace the forward passes that add their input by ones that do not."""
    count = 0
    for module in net.modules():
        if hasattr(module, "resize_identity") and hasattr(module, "body"):
            last = getattr(module, "activ", nn.Identity())
            module.forward = (lambda body, last: lambda x: last(_first(body(x))))(module.body, last)
            count += 1
        elif type(module).__name__ == "Transformer" and hasattr(module, "layers"):
            module.forward = (lambda layers: lambda x: _through(layers, x))(module.layers)
            count += 1
        elif type(module).__name__ in ("Block", "MixerBlock") and hasattr(module, "norm2"):
            module.forward = (lambda block: lambda x, **_: _plain(block, x))(module)
            count += 1
    assert count, "no skip to cut"
    return net


def _first(output):
    return output[0] if isinstance(output, tuple) else output


def _through(layers, x):
    for attention, feed_forward in layers:
        x = feed_forward(attention(x))
    return x


def _plain(block, x):
    if hasattr(block, "attn"):
        return block.mlp(block.norm2(block.attn(block.norm1(x))))
    x = block.mlp_tokens(block.norm1(x).transpose(1, 2)).transpose(1, 2)
    return block.mlp_channels(block.norm2(x))
'''


def faults() -> Iterator[Fault]:
    """All faults."""
    for kind in ("Sigmoid", "Tanh", "Softsign", "Hardsigmoid"):
        yield Fault(kind.lower(), _SATURATION, _replacing(kind), "self.net = replaced(self.net)")
    yield Fault(
        "no-norms",
        _DEEP | {"logit-scale", "dead-relu"},
        _WITHOUT_NORMS,
        "self.net = without_norms(self.net)",
    )
    yield Fault("no-skips", _DEEP, _ROUND_SKIPS, "self.net = cut_skips(self.net)")
    for scale in (0.01, 0.1, 0.3, 3, 10, 100):
        change = f"for weight in weights(self.net):\n    weight.data.mul_({scale})  # fault"
        yield Fault(f"weights-times-{scale}", _SCALE, _WEIGHTS, change)
    for value in (0.0, 0.05):
        change = (
            f"for weight in weights(self.net):\n    nn.init.constant_(weight, {value})  # fault"
        )
        yield Fault(
            f"weights-all-{value}", frozenset({"symmetric-init", "init-scale"}), _WEIGHTS, change
        )
    yield Fault(
        "large-head",
        _SCALE,
        _WEIGHTS,
        "weights(self.net)[-1].data.mul_(300)  # fault",
    )
    yield Fault(
        "negative-biases",
        frozenset({"dead-relu"}),
        "",
        'for name, bias in self.net.named_parameters():\n    if name.endswith("bias"):\n'
        "        nn.init.constant_(bias, -5.0)  # fault",
        needs="relu",
    )
    yield from _cuts()
    yield from _outputs()
    yield from _recurrent()


def _cuts() -> Iterator[Fault]:
    yield Fault(
        "detached-features",
        _CUT,
        _ON_DETACHED,
        "self.net.{head} = OnDetached(self.net.{head})  # fault",
        needs="head",
    )
    yield Fault(
        "stage-without-gradient",
        _CUT,
        "",
        "stage = self.net.{trunk}[2].forward\n\ndef frozen(x):\n"
        "    with torch.no_grad():  # fault\n        return stage(x)  # fault\n\n"
        "self.net.{trunk}[2].forward = frozen  # fault",
        needs="features",
    )
    yield Fault(
        "blocks-in-a-plain-list",
        frozenset({"unregistered-parameters"}),
        "",
        "owner = self.net.{owner}\nblocks = list(owner.{blocks})\ndel owner.{blocks}\n"
        "owner.{blocks} = blocks  # fault",
        needs="blocks",
    )


def _outputs() -> Iterator[Fault]:
    twice = frozenset({"softmax-before-cross-entropy"})
    mismatch = frozenset({"loss-mismatch"})
    yield Fault("softmax", twice, result="torch.softmax({out}, dim=1)  # fault")
    yield Fault("sigmoid-logits", mismatch, result="torch.sigmoid({out})  # fault")
    yield Fault("tanh-logits", mismatch, result="torch.tanh({out})  # fault")
    yield Fault(
        "rectified-logits", frozenset({"rectified-output"}), result="torch.relu({out})  # fault"
    )
    yield Fault("sign", frozenset({"constant-output"}), result="torch.sign({out})  # fault")
    yield Fault("rounded", frozenset({"constant-output"}), result="torch.round({out})  # fault")
    yield Fault("likelihood-of-logits", mismatch, loss="nn.NLLLoss()  # fault")
    yield Fault(
        "likelihood-of-probabilities",
        mismatch,
        result="torch.softmax({out}, dim=1)  # fault",
        loss="nn.NLLLoss()  # fault",
    )


def _recurrent() -> Iterator[Fault]:
    yield Fault(
        "vanilla-recurrence",
        frozenset({"vanilla-rnn", "exploding-recurrence"}),
        "",
        'old = self.net["rnn"]\nself.net["rnn"] = nn.RNN(  # fault\n    old.input_size, '
        "old.hidden_size, batch_first=True, bidirectional=old.bidirectional\n)",
        needs="rnn",
    )
    yield Fault(
        "closed-gates",
        frozenset({"forget-gate-bias", "short-memory-gates"}),
        "",
        'for name, bias in self.net["rnn"].named_parameters():\n    if "bias" in name:\n'
        "        nn.init.constant_(bias, -5.0)  # fault",
        needs="rnn",
    )


def fits(fault: Fault, original: Original) -> bool:
    """Whether the fault can be written into this architecture."""
    match fault.needs:
        case "rnn":
            return original.name.startswith("torch-")
        case "relu":
            other = ("efficientnet", "mobilenetv2", "darknet")
            return original.name.startswith("pytorchcv-") and not original.name.endswith(other)
        case "head":
            return bool(original.head)
        case "features":
            return original.trunk == "features"
        case "blocks":
            return "." in original.trunk
    return True
