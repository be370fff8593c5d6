from __future__ import annotations

import pytest

from tests.worker.test_inputs import found, net

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
