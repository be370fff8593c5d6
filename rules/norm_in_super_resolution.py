"""The rule `norm-in-super-resolution`: a network that must keep intensities, and forgets them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradlint.rule import (
    Bound,
    Bypass,
    Claim,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    Quantity,
    Remedy,
    name_of,
    names,
    site,
)

# The output of four convolutions with BatchNorm changed by .05 to .06, owing to their padding; of
# the same without norms by .14 to .38, of a published network with a skip around its norms by .41.
_SEES = Bound(at_least=0.1)
_BLINDS = ("batchnorm", "syncbatchnorm", "instancenorm", "groupnorm")


class NormInSuperResolution(GraphRule):
    """Norms on every way through a network that enlarges images, so that it loses their brightness.

    Why it is bad:
        A norm subtracts the mean of its input and divides by the deviation. Behind it nobody knows
        how bright and how contrasty the picture was. A classifier does not need to; a network that
        enlarges or restores images has to give every intensity back, and without a way around the
        norms it can only guess an average one.

    How it is measured:
        The change of the output when the input is made three times as strong and one brighter,
        relative to how far both outputs are from their common mean, for several seeds. A network in
        which a skip carries the intensities around the norms is refuted. It is a warning: such a
        network trains, to a worse result.

    What to do:
        Leave the norms out, as EDSR does, and scale the branches by .1 instead; or add the
        (enlarged) input to the output, so that the network only has to learn the difference.

    Known limitations:
        Only networks whose output are larger maps than their input, with as many channels, are
        taken for super-resolution; denoisers of the same size are not told from other networks.
    """

    family = Family.NORMALIZATION
    references = ("https://arxiv.org/abs/1707.02921", "https://arxiv.org/abs/1809.00219")

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion where an image is enlarged behind norms on the trunk."""
        norms = [layer for layer in graph.layers if name_of(layer).startswith(_BLINDS)]
        if norms and _enlarges(graph):
            yield _hypothesis(norms)

    examples = (
        """
import torch
from torch import nn

class Enlarge(nn.Module):
    def __init__(self, width=32, scale=2):
        super().__init__()
        layers = []
        for index in range(4):
            conv = nn.Conv2d(width if index else 3, width, 3, padding=1)
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]  # confirmed
        self.body = nn.Sequential(*layers)
        self.up = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.shuffle(self.up(self.body(images)))

def demo():
    return Enlarge()(torch.randn(8, 3, 24, 24))
""",
        """
import torch
from torch import nn
import torch.nn.functional as F

class Difference(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)  # refuted
        self.conv2 = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, images):  # images: (batch, 3, height, width)
        large = F.interpolate(images, scale_factor=2, mode="nearest")
        return large + self.conv2(torch.relu(self.bn(self.conv1(large))))

def demo():
    return Difference()(torch.randn(8, 3, 16, 16))
""",
        """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.shuffle(self.conv2(torch.relu(self.conv1(images))))

class Segmenter(nn.Module):
    def __init__(self, width=16, classes=5):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, images):  # images: (batch, 3, height, width)
        return self.out(torch.relu(self.bn(self.conv(images))))

def demo():
    images = torch.randn(8, 3, 16, 16)
    return Plain()(images), Segmenter()(images)
""",
    )


def _enlarges(graph: LayerGraph) -> bool:
    """Whether an image goes in and a larger one with as many channels comes out."""
    if len(graph.inputs) != 1 or not graph.outputs:
        return False
    before, after = graph.inputs[0].shape, graph.outputs[0].shape
    images = len(before) == len(after) == 4
    return images and before[1] == after[1] and after[2] > before[2] and after[3] > before[3]


def _hypothesis(norms: Sequence[Layer]) -> Hypothesis:
    kinds = " and ".join(sorted({norm.op.rpartition(".")[2] for norm in norms}))
    return Hypothesis(
        span=site(norms),
        layer=norms[0].id,
        message=(
            f"{kinds} on every way through a network that enlarges images ({names(norms)}): "
            "their brightness is lost"
        ),
        claims=(Claim(Quantity.INTENSITY_RESPONSE, "loss()", _SEES),),
        region=tuple(norm.id for norm in norms),
        remedies=(Remedy("leave the norms out", (Bypass(tuple(norm.id for norm in norms)),)),),
        definite=True,
    )
