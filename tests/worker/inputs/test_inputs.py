from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlint.worker.building.build import build
from gradlint.worker.inputs import search
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import argument_for
from gradlint.worker.inputs.search import Search
from gradlint.worker.inputs.specs import Filled, described
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.outputs import tensors_of
from tests.worker.inputs.cases import graphs, images, sequences, several, told, vectors
from tests.worker.inputs.search import found, net
from tests.worker.models import module_of, request

CASES = {
    **vectors.CASES,
    **images.CASES,
    **sequences.CASES,
    **graphs.CASES,
    **several.CASES,
    **told.CASES,
}


DOCUMENTED = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, kspace, reference, mask):
            \'\'\'
            Args:
                kspace: what was measured so far. It's a kspace (B,C,H,W,2)
                    or (B,C,H,W,D,2) for volumes.
                reference: another, whose shape is the same as kspace.
                mask: where it was measured, with shape (1,1,1,W,1).
            \'\'\'
            parts = torch.view_as_complex(kspace)
            rest = torch.where(mask, kspace - reference, torch.zeros(()))
            return torch.view_as_real(torch.fft.ifft2(parts)) - rest * self.weight
"""


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.calls: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(x)
        raise ValueError("expected 5 got 3")


class TestSearch:
    def test_a_docstring_spells_what_no_layer_tells(self) -> None:
        image = "float32[8,3,32,32,2]"
        assert found(DOCUMENTED) == (image, image, "bool[1,1,1,32,1]")

    def test_a_class_that_is_called_after_its_dimensions_takes_as_many(self) -> None:
        source = """
            class Norm3D(nn.GroupNorm):
                def forward(self, x):
                    if len(x.shape) != 5:
                        raise ValueError("Expected a 5D tensor")
                    return super().forward(x)
        """
        assert found(source, "Norm3D(2, 6)") == ("float32[8,6,16,32,32]",)

    def test_what_is_compared_with_a_map_is_one_of_zeros_and_ones(self) -> None:
        source = """
            class AreaLoss(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.tensor(0.0))

                def forward(self, input, target):
                    if min(input.dim(), target.dim()) < 3:
                        raise ValueError("both must have at least 3 dimensions")
                    if input.shape[1] != 1:
                        raise ValueError(f"input should have 1 channel, got {input.shape[1]}")
                    if target.shape[1] != 1:
                        raise ValueError(f"target should have 1 channel, got {target.shape[1]}")
                    if not ((target == 0) | (target == 1)).all():
                        raise ValueError("target must contain only binary values (0 or 1)")
                    return ((input - self.weight) * target).mean()
        """
        assert found(source, "AreaLoss()") == ("float32[8,1,32,32]", "int64[8,1,32,32]")

    def test_a_number_of_numpys_is_a_size(self) -> None:
        source = net(
            "import numpy; self.l = nn.Linear(int(numpy.prod([2, 3])), 4);"
            "self.l.in_features = numpy.prod([2, 3])",
            "return self.l(x)",
        )
        assert found(source) == ("float32[8,6]",)

    def test_the_channels_of_a_volume_are_those_that_a_norm_has(self) -> None:
        source = """
            class Norm(nn.GroupNorm):
                def forward(self, x):
                    if len(x.shape) != 5:
                        raise ValueError("Expected a 5D tensor")
                    return super().forward(x)
        """
        assert found(source, "Norm(2, 6)") == ("float32[8,6,16,32,32]",)

    @pytest.mark.parametrize(("source", "expected"), CASES.values(), ids=CASES.keys())
    def test_inputs_are_found(self, source: str, expected: tuple[str, ...]) -> None:
        assert found(source) == expected

    def test_the_sequence_length_that_was_asked_for_is_used(self) -> None:
        source = net("self.r = nn.GRU(7, 5, batch_first=True)", "return self.r(x)[0]")
        assert found(source, sequence_length=50) == ("float32[8,50,7]",)

    def test_a_model_that_takes_nothing_fails_with_the_error_of_the_latest_pass(self) -> None:
        source = net("self.l = nn.Linear(3, 4)", "y = self.l(x); raise RuntimeError('never runs')")
        with pytest.raises(UserError) as caught:
            found(source)
        assert caught.value.stage == "forward"
        assert str(caught.value.error) == "never runs"

    def test_inputs_without_a_gradient_are_taken_only_where_nothing_better_runs(self) -> None:
        class Counter(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 4)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.layer(x).argmax(-1)

        args, _ = Search(Counter()).found().drawn()
        assert described(args[0]) == "float32[8,3]"

    def test_a_model_that_trains_only_when_it_is_told_to_is_told_so(self) -> None:
        class Segmenter(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Conv2d(3, 4, 1)

            def forward(self, x: torch.Tensor, *, bare: bool = True, train: bool = False) -> object:
                scores = self.layer(x)
                return scores if train else scores.argmax(1)

        args, kwargs = Search(Segmenter()).found().drawn()
        assert kwargs == {"train": True}
        assert described(args[0]) == "float32[8,3,32,32]"

    def test_a_search_ends_when_it_gets_no_further(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = Picky()
        monkeypatch.setattr(search, "_IDLE", 5)
        with pytest.raises(UserError):
            Search(model).found()
        assert len(model.calls) == 5

    def test_a_size_that_is_a_fraction_is_not_mended_by_other_inputs(self) -> None:
        class Halves(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 4)
                self.width = 4 / 2
                self.calls: list[torch.Tensor] = []

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                self.calls.append(x)
                return self.layer(x).view(-1, self.width)

        model = Halves()
        with pytest.raises(UserError):
            Search(model).found()
        assert sum(isinstance(call, torch.Tensor) for call in model.calls) == 2

    def test_a_search_ends_after_its_attempts(self) -> None:
        model = Picky()
        with pytest.raises(UserError):
            Search(model, attempts=7).found()
        assert len(model.calls) == 7


_PATCHES = """
class Net(nn.Module):
    def __init__(self, image_size=96, dim=6):
        super().__init__()
        side = image_size[0] if isinstance(image_size, tuple) else image_size
        count = (side // 8) ** 2
        self.places = nn.Parameter(torch.zeros(1, count, dim))
        self.cut = nn.Conv2d(3, dim, 8, 8)
    def forward(self, x):
        patches = self.cut(x).flatten(2).transpose(1, 2)
        return patches + self.places[:, :patches.shape[1]]
"""


@pytest.mark.parametrize(
    ("constructor", "side"),
    [("Net()", 96), ("Net(64)", 64), ("Net(dim=4, image_size=(40, 40))", 40)],
    ids=["by default", "by position", "by name"],
)
def test_images_are_as_large_as_the_model_was_told_when_it_was_made(
    constructor: str, side: int
) -> None:
    assert found(_PATCHES, constructor) == (f"float32[8,3,{side},{side}]",)


@pytest.mark.parametrize(
    "constructor",
    ["Wrapper(Net(image_size=40))", "Wrapper(net=Net(*(), image_size=40), **{})"],
    ids=["by position", "beside what is spread"],
)
def test_images_are_as_large_as_a_part_was_told_when_it_was_made(constructor: str) -> None:
    wrapper = """
class Wrapper(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x):
        return self.net(x)
"""
    assert found(_PATCHES + wrapper, constructor) == ("float32[8,3,40,40]",)


def test_images_are_smaller_than_the_model_was_made_for_where_those_cannot_be_tried() -> None:
    source = """
class Net(nn.Module):
    def __init__(self, resolution):
        super().__init__()
        self.cut = nn.Conv3d(64, 4, 3)
    def forward(self, video):
        return self.cut(video)
"""
    assert found(source, "Net(resolution=1024)") == ("float32[8,64,16,64,64]",)


def test_no_image_is_a_strip() -> None:
    low = "part = [self.c][x.shape[2] // 16 - 1]; return part(x)"
    source = net("self.image_size = 256; self.c = nn.Conv2d(3, 4, 3)", low)
    assert found(source) == ("float32[8,3,16,16]",)


def test_a_long_wave_of_fewer_samples_is_tried_where_more_take_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "_ROOMY", 0.5)
    source = net(
        "self.c = nn.Conv1d(1, 4, 800, 800)",
        "import time; time.sleep(0.12 * len(x) if x.shape[2] > 800 else 0.0);"
        "return self.c(F.pad(x, (0, -x.shape[2] % 800)))",
    )
    assert found(source) == ("float32[2,1,4096]",)


def test_a_video_has_as_many_frames_as_the_model_was_made_for() -> None:
    source = """
class Net(nn.Module):
    def __init__(self, frames):
        super().__init__()
        self.cut = nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4))
    def forward(self, video):
        return self.cut(video)
"""
    assert found(source, "Net(frames=10)") == ("float32[8,3,10,32,32]",)


class Patches(nn.Module):
    """Cuts images to patches of 4 pixels by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 6))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        batch, colours, height, width = img.shape
        cut = img.reshape(batch, colours, height // 4, 4, width // 4, 4)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, 16 * colours)
        output: torch.Tensor = self.layers(patches)
        return output


def test_what_is_as_wide_as_a_patch_takes_images_that_are_cut_to_patches() -> None:
    search = Search(Patches(), given={"patch_size": 4}, attempts=1)
    assert described(search.found().drawn()[0][0]) == "float32[8,3,32,32]"


class Heard(nn.Module):
    """Hears a sound beside a text, the sound first."""

    def __init__(self) -> None:
        super().__init__()
        self.ears = nn.Conv1d(6, 4, 3)
        self.table = nn.Embedding(9, 4)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> None: ...


def test_a_mask_of_nothing_in_particular_is_that_of_the_main_input() -> None:
    model = Heard()
    mask = argument_for(Facts(model), Forward.of(model), "attention_mask", 1).spec
    assert mask == Filled(("batch", "time"), 1.0, "int64")


def test_a_norm_without_sizes_takes_as_many_features_as_it_was_made_for() -> None:
    source = """
class Norm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = dim**0.5
        self.g = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return nn.functional.normalize(x, dim=-1) * self.scale * self.g
"""
    assert found(source, "Norm(24)") == ("float32[8,24]",)


def test_a_mask_of_which_nothing_is_left_hides_nothing() -> None:
    source = net(
        "self.l = nn.Linear(6, 6)",
        "a = self.l(x).mean(2).softmax(1); a = self.kept(a, padding_mask);"
        "return a / a.sum(1, keepdim=True)",
        "x, padding_mask",
    )
    kept = "    def kept(self, a, keep): return a * keep.float()\n"
    built = build(module_of(source + kept), request("Net()"))
    args, kwargs = built.inputs()
    assert tensors_of(built.make()(*args, **kwargs))[0].isfinite().all()


@pytest.mark.parametrize(
    ("init", "changed"),
    [
        ("", "x / 255.0"),
        ("", "x.permute(0, 1, 3, 2).float().div(127.5) - 1"),
        ("", "(x / 255 - 0.5) / 0.25"),
        (
            "; self.register_buffer('mean', torch.tensor([123.7, 116.3, 103.5]).view(3, 1, 1))",
            "(x - self.mean) / 57.6",
        ),
    ],
    ids=["of 255", "of 127.5", "twice", "by a buffer"],
)
def test_pixels_are_as_large_as_the_model_expects_that_makes_them_small(
    init: str, changed: str
) -> None:
    source = net(f"self.c = nn.Conv2d(3, 8, 3){init}", f"self.seen = {changed}; return self.c(x)")
    built = build(module_of(source), request("Net()"))
    model = built.make()
    model(*built.inputs()[0])
    seen = model.seen
    assert isinstance(seen, torch.Tensor)
    assert seen.mean().abs() < 0.2
    assert 0.9 < seen.std() < 1.1


@pytest.mark.parametrize(
    "forward",
    [
        "return self.c(x / 8)",
        "return self.c(x) / 255",
        "return self.c(x - x.mean())",
        "m = (torch.rand_like(x) < 0.8).float(); return self.c(x * (1 - m) + m)",
    ],
    ids=["a scale of attention", "an output", "a statistic", "a mask"],
)
def test_inputs_are_standard_normal_whatever_else_is_done_to_them(forward: str) -> None:
    built = build(module_of(net("self.c = nn.Conv2d(3, 8, 3)", forward)), request("Net()"))
    (values,), _ = built.inputs()
    assert isinstance(values, torch.Tensor)
    assert 0.9 < values.std() < 1.1


@pytest.mark.parametrize(
    "forward",
    ["return self.l(x[:, :0].flatten(1))", "return x[:, :0].view(len(x), 9, 6)"],
    ids=["a product", "a view"],
)
def test_a_model_that_looks_at_nothing_of_its_input_fails_by_its_own_error(forward: str) -> None:
    with pytest.raises(UserError) as caught:
        build(module_of(net("self.l = nn.Linear(6, 2)", forward)), request("Net()"))
    assert isinstance(caught.value.error, RuntimeError)


_TRIPLES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.entities = nn.Parameter(torch.rand(9, 4))
        self.relations = nn.Parameter(torch.rand(5, 4))

    def forward(self, sample, mode="single"):
        if mode == "single":
            size = sample.size(0)
            head = torch.index_select(self.entities, 0, sample[:, 0])
            relation = torch.index_select(self.relations, 0, sample[:, 1])
            tail = torch.index_select(self.entities, 0, sample[:, 2])
        else:
            triples, tails = sample
            size = tails.size(0)
            head = torch.index_select(self.entities, 0, triples[:, 0])
            relation = torch.index_select(self.relations, 0, triples[:, 1])
            tail = torch.index_select(self.entities, 0, tails.view(-1))
        return (head + relation - tail).view(size, -1).sum(1)
"""


def test_what_is_taken_apart_in_another_mode_is_a_table_with_the_columns_read_in_this() -> None:
    assert found(_TRIPLES) == ("int64[8,3]",)


_MOLECULES = """
def summed(values, index, count):
    return values.new_zeros(count, *values.shape[1:]).index_add(0, index, values)

class Conv(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.message, self.update = nn.Linear(3 * width, width), nn.GRUCell(width, width)

    def forward(self, h, edge_index, edge_attr):
        src, dst = edge_index
        message = self.message(torch.cat([h[src], h[dst], edge_attr], -1))
        return self.update(summed(message, dst, h.size(0)), h)

class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.atoms, self.bonds = nn.Embedding(9, width), nn.Embedding(4, width)
        self.conv, self.head = Conv(width), nn.Linear(width, 1)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        h = self.conv(self.atoms(batch["atom"]), batch["edge_index"], self.bonds(batch["bond"]))
        return self.head(summed(h, batch["graph"], int(batch["graph"].max()) + 1))
"""


def test_a_batch_may_hold_the_graph_of_each_node_into_which_the_nodes_are_summed() -> None:
    (batch,) = found(_MOLECULES)
    assert "graph: int64[96]" in batch


class Scaled(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states.float() * self.scale


class Told(nn.Module):
    """Is given embedded states that it hands on by keyword, beside a table for tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table, self.part = nn.Embedding(50, 16), Scaled(width)

    def forward(self, state_embeds: torch.Tensor, state_mask: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.part(states=state_embeds) + self.table.weight.mean()
        return states * state_mask[..., None]


def test_what_is_called_embedded_is_no_number_of_a_token() -> None:
    args, _ = Search(Told(16), attempts=1).found().drawn()
    assert described(args[0]) == "float32[8,32,16]"


def test_a_mask_is_not_blamed_for_what_it_never_met() -> None:
    args, _ = Search(Told(24), attempts=2).found().drawn()
    assert described(args[0]) == "float32[8,32,24]"
