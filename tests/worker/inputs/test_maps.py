from __future__ import annotations

import pytest

from tests.worker.inputs.search import found, net

_PYRAMID = "[float32[8,4,64,64], float32[8,8,32,32], float32[8,16,16,16]]"
_LATERAL = "self.lateral = nn.ModuleList([nn.Conv2d(n, 6, 1) for n in (4, 8, 16)])"
_ENLARGED = "[F.interpolate(y, size=outs[0].shape[2:]) for y in outs]"
CASES = {
    "each item goes to the layer of its index": (
        _LATERAL,
        (
            "outs = [self.lateral[i](feats[i]) for i in range(len(self.lateral))];"
            f"return sum({_ENLARGED})"
        ),
        _PYRAMID,
    ),
    "items beside layers": (
        _LATERAL,
        f"outs = [layer(y) for layer, y in zip(self.lateral, feats)]; return sum({_ENLARGED})",
        _PYRAMID,
    ),
    "a loop counts them": (
        _LATERAL,
        (
            "outs = [];"
            "for i, level in enumerate(feats): outs.append(self.lateral[i](level));"
            f"return sum({_ENLARGED})"
        ),
        _PYRAMID,
    ),
    "items are joined that are enlarged by powers of two": (
        "self.up = nn.ModuleList([nn.ConvTranspose2d(4 * 2**n, 6, 2**n, 2**n) for n in range(3)])",
        "return torch.cat([self.up[i](feats[i]) for i in range(3)], 1)",
        _PYRAMID,
    ),
    "the smallest first": (
        "self.up = nn.ModuleList([nn.ConvTranspose2d(8, 6, 2**n, 2**n) for n in (1, 0)])",
        "return torch.cat([self.up[i](feats[i]) for i in range(2)], 1)",
        "[float32[8,8,64,64], float32[8,8,128,128]]",
    ),
    "all of one size": (
        "self.c = nn.ModuleList([nn.Conv2d(4, 6, 3), nn.Conv2d(8, 6, 3)])",
        "return self.c[0](feats[0]) + self.c[1](feats[1])",
        "[float32[8,4,32,32], float32[8,8,32,32]]",
    ),
    "the last and the one before": (
        "self.c = nn.Conv2d(8, 6, 3); self.d = nn.Conv2d(4, 6, 3)",
        "last = feats[-1]; deep = feats[-2]; return self.c(last).mean() + self.d(deep).mean()",
        "[float32[8,4,64,64], float32[8,8,32,32]]",
    ),
    "the last is pooled by several": (
        (
            "self.pools = nn.ModuleList("
            "[nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(8, 6, 1)) for n in (1, 2)])"
        ),
        (
            "last = feats[-1]; outs = [last]; n = last.size()[2:];"
            "for pool in self.pools: outs.append(F.interpolate(pool(last), n));"
            "return torch.cat(outs, 1)"
        ),
        "[float32[8,8,32,32]]",
    ),
    "one level more than there are layers": (
        f"self.top = nn.Conv2d(32, 6, 1); {_LATERAL}",
        (
            "x = self.top(feats[-1]);"
            "for i in reversed(range(len(feats) - 1)): y = self.lateral[i](feats[i]);"
            "    x = F.interpolate(x, y.shape[2:]) + y;"
            "return x"
        ),
        "[float32[8,4,64,64], float32[8,8,32,32], float32[8,16,16,16], float32[8,32,8,8]]",
    ),
}


@pytest.mark.parametrize(("init", "forward", "inputs"), CASES.values(), ids=CASES)
def test_a_list_of_feature_maps_has_one_for_each_layer(
    init: str, forward: str, inputs: str
) -> None:
    assert found(net(init, forward, "feats")) == (inputs,)


def test_a_tensor_that_is_indexed_stays_one() -> None:
    source = net("self.c = nn.Conv2d(3, 6, 3)", "n = x.size(0); return self.c(x[0]) * n")
    assert not found(source)[0].startswith("[")


def test_steps_that_one_cell_takes_are_no_list_of_maps() -> None:
    source = net(
        "self.c = nn.GRUCell(5, 4)",
        "h = None;for step in x: h = self.c(step, h);return h",
    )
    assert not found(source)[0].startswith("[")


_HEADS = """
    class Heads(nn.Module):
        def __init__(self, in_channels: list[int]):
            super().__init__()
            self.heads = nn.ModuleList(nn.Conv2d(c, 4, 1) for c in in_channels)

        def _head(self, x, index):
            return [head for i, head in enumerate(self.heads) if i == index][0](x)

        def forward(self, x: list[torch.Tensor]):
            return torch.cat([self._head(y, i).flatten(2) for i, y in enumerate(x)], 2)
"""
_DECODER = """
    class Decoder(nn.Module):
        def __init__(self, encoder_channels):
            super().__init__()
            pairs = zip(encoder_channels[:0:-1], encoder_channels[-2::-1])
            self.up = nn.ModuleList(nn.ConvTranspose2d(*pair, 2, 2) for pair in pairs)

        def forward(self, features: list[torch.Tensor]):
            features = features[::-1]
            x, skips = features[0], features[1:]
            for up, skip in zip(self.up, skips):
                x = up(x) + skip
            return x
"""
_DEEPEST_FIRST = """
    class Decoder(nn.Module):
        def __init__(self, in_channels):
            super().__init__()
            pairs = zip(in_channels, in_channels[1:])
            self.up = nn.ModuleList(nn.ConvTranspose2d(*pair, 2, 2) for pair in pairs)

        def forward(self, features: tuple[torch.Tensor, ...]):
            x = features[0]
            for up, skip in zip(self.up, features[1:]):
                x = up(x) + skip
            return x
"""
_NECK = """
    class Neck(nn.Module):
        def __init__(self, in_channels):
            super().__init__()
            self.in_channels = in_channels
            self.lateral = nn.ModuleList(nn.Conv2d(c, 4, 1) for c in in_channels)

        def forward(self, inputs):
            assert len(inputs) == len(self.in_channels)
            maps = [lateral(inputs[i]) for i, lateral in enumerate(self.lateral)]
            for i in range(len(maps) - 1, 0, -1):
                maps[i - 1] += F.interpolate(maps[i], size=maps[i - 1].shape[2:])
            return tuple(maps)
"""
_HEAD = """
    class Head(nn.Module):
        def __init__(self, in_channels):
            super().__init__()
            self.deep, self.fine = nn.Linear(in_channels[2], 4), nn.Conv2d(in_channels[0], 4, 1)

        def _checked(self, inputs):
            return tuple(inputs)

        def forward(self, inputs):
            inputs = self._checked(inputs)
            c1, c2, c3 = inputs
            deep = self.deep(c3.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            return F.interpolate(deep, c1.shape[2:]) + self.fine(c1)
"""
_BACKBONE = """
    class Pyramid(nn.Module):
        def __init__(self, in_channels_list):
            super().__init__()
            self.inner = nn.ModuleList(nn.Conv2d(c, 4, 1) for c in in_channels_list)

        def forward(self, x: dict[str, torch.Tensor]):
            maps = list(x.values())
            return self.inner[-1](maps[-1]).mean() + self.inner[0](maps[0]).mean()
"""
TOLD = {
    "heads of levels that need not agree": (
        _HEADS,
        "Heads([8, 16, 8, 4])",
        "[float32[8,8,64,64], float32[8,16,32,32], float32[8,8,16,16], float32[8,4,8,8]]",
    ),
    "a decoder of many levels, each of half the side": (
        _DECODER,
        "Decoder(encoder_channels=[3, 4, 4, 6, 6, 8])",
        (
            "[float32[8,3,128,128], float32[8,4,64,64], float32[8,4,32,32], float32[8,6,16,16],"
            " float32[8,6,8,8], float32[8,8,4,4]]"
        ),
    ),
    "the deepest first": (
        _DEEPEST_FIRST,
        "Decoder([8, 6, 4])",
        "(float32[8,8,16,16], float32[8,6,32,32], float32[8,4,64,64])",
    ),
    "a neck that says nothing of its argument": (
        _NECK,
        "Neck([4, 6, 8])",
        "[float32[8,4,64,64], float32[8,6,32,32], float32[8,8,16,16]]",
    ),
    "a head that takes them apart": (
        _HEAD,
        "Head(in_channels=(4, 6, 8))",
        "[float32[8,4,64,64], float32[8,6,32,32], float32[8,8,16,16]]",
    ),
    "a mapping": (
        _BACKBONE,
        "Pyramid([5, 6, 7])",
        "{0: float32[8,5,64,64], 1: float32[8,6,32,32], 2: float32[8,7,16,16]}",
    ),
}


@pytest.mark.parametrize(("source", "constructor", "inputs"), TOLD.values(), ids=TOLD)
def test_each_level_that_a_model_was_told_of_is_given_a_map(
    source: str, constructor: str, inputs: str
) -> None:
    assert found(source, constructor) == (inputs,)
