from __future__ import annotations

import textwrap
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate, TraceModel
from gradlint.worker.building.build import build
from gradlint.worker.building.widths import narrower, with_heads
from gradlint.worker.running.cpu import on_cpu
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.offline import unfetched
from gradlint.worker.running.size import TooLargeError, limited
from gradlint.worker.tracing.construction import watch_construction
from gradlint.worker.tracing.lines import Source
from tests.worker.models import module_of, request

LINEAR = """
    class Net(nn.Module):
        def __init__(self, width=4):
            super().__init__()
            self.layer = nn.Linear(3, width)

        def forward(self, x):
            return self.layer(x)
"""


INTERRUPTED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Of code that is interrupted, perhaps in a destructor, which Python only warns of."""


_DIMS = (("spatial_dims", "2"), ("dims", "spatial_dims"))


class TestCandidates:
    def test_what_only_a_function_can_reach_is_said_to_be_so(self) -> None:
        with pytest.raises(UserError, match=r"main\.Net is made inside of a function"):
            build(module_of(LINEAR), TraceModel("main.Net", (), 0))

    def test_the_error_is_that_of_the_inputs_that_the_source_gives(self) -> None:
        source = LINEAR.replace("return self.layer(x)", "return self.layer(x)[9, 9, 9, 9, 9]")
        given = request("Net()", inputs=("torch.rand(5, 3)",), built_from=BuiltFrom.USE_IN_FILE)
        with pytest.raises(UserError) as raised:
            build(module_of(source), given)
        assert raised.value.inputs == ("float32[5,3]",)

    def test_the_first_candidate_that_works_is_taken(self) -> None:
        built = build(module_of(LINEAR), request("Missing()", "Net(width=7)", "Net()"))
        assert built.candidate.constructor == "Net(width=7)"

    @INTERRUPTED
    def test_a_candidate_that_takes_too_long_leaves_time_for_the_next(self) -> None:
        slow = "Net(next(i for i in iter(int, 1)))"
        asked = replace(request(slow, "Net()"), seconds=2.0)
        assert build(module_of(LINEAR), asked).candidate.constructor == "Net()"

    @INTERRUPTED
    def test_a_forward_pass_without_end_is_given_up(self) -> None:
        source = LINEAR.replace("return self", "while True: x = x + 0\n            return self")
        with pytest.raises(UserError) as caught:
            build(module_of(source), replace(request("Net()"), seconds=2.0))
        assert "takes too long" in str(caught.value.error)

    @INTERRUPTED
    def test_a_search_that_is_given_up_tells_what_had_failed_before(self) -> None:
        lines = "while x.dim() > 2: x = x + 0\n            return self.layer(x[:, :1])"
        source = LINEAR.replace("return self.layer(x)", lines)
        with pytest.raises(UserError) as caught:
            build(module_of(source), replace(request("Net()"), seconds=2.0))
        assert "cannot be multiplied" in str(caught.value.error)

    def test_a_pass_that_takes_too_long_is_imagined(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gradlint.worker.building.trial._PATIENCE", 0.2)
        slow = "while x.untyped_storage().device.type == 'cpu': x = x + 0\n            return self"
        source = LINEAR.replace("return self", slow)
        built = build(module_of(source), replace(request("Net()"), seconds=60.0))
        assert built.imagination is not None

    def test_inputs_that_take_too_much_memory_to_be_tried_are_imagined(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(3, 4)

                def forward(self, x):
                    if x.shape[1] != 4_000_000:
                        raise ValueError(f"4000000 steps are wanted, got {x.shape[1]}")
                    return self.layer(x)
            """
        built = build(module_of(source), request("Net()"))
        assert built.imagination is not None
        assert built.described == ("float32[8,4000000,3]",)

    @pytest.mark.parametrize(
        ("constructor", "bindings"),
        [("Net(2)", ()), ("Net(spatial_dims=count)", (("count", "2"),)), ("Net(dims)", _DIMS)],
        ids=["an argument", "a variable of any name", "a variable"],
    )
    def test_what_was_written_for_volumes_is_built_for_three_dimensions(
        self, constructor: str, bindings: tuple[tuple[str, str], ...]
    ) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, spatial_dims):
                    super().__init__()
                    self.layer = getattr(nn, f"Conv{spatial_dims}d")(3, 4, 3)

                def forward(self, x):
                    parts = [self.layer(x[:, :, :8, :, :]), self.layer(x[:, :, 8:, :, :])]
                    return torch.cat(parts, 2)
        """
        asked = request(constructor, bindings=bindings, built_from=BuiltFrom.NAMES)
        assert build(module_of(source), asked).described == ("float32[8,3,16,32,32]",)

    @pytest.mark.parametrize(
        ("constructor", "bindings", "built"),
        [
            ("Net()", (), "Net(num_splits=1)"),
            ("Net(num_splits)", (("num_splits", "512"),), "Net(num_splits)"),
        ],
        ids=["a default", "a variable"],
    )
    def test_what_is_split_to_save_memory_runs_as_a_whole(
        self, constructor: str, bindings: tuple[tuple[str, str], ...], built: str
    ) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, num_splits=512):
                    super().__init__()
                    self.num_splits = num_splits
                    self.layer = nn.Conv2d(3, 4, 9)

                def forward(self, x):
                    side = x.shape[2] // self.num_splits
                    return torch.cat([self.layer(part) for part in x.split(max(side, 1), 2)], 2)
        """
        asked = request(constructor, bindings=bindings, built_from=BuiltFrom.NAMES)
        found = build(module_of(source), asked)
        assert (found.candidate.constructor, found.described) == (built, ("float32[8,3,32,32]",))

    def test_bindings_that_fail_are_skipped(self) -> None:
        asked = request("Net(width=size)", bindings=(("bad", "nowhere.x"), ("size", "2 * 3")))
        model = build(module_of(LINEAR), asked).make()
        assert isinstance(model.layer, nn.Linear)
        assert model.layer.out_features == 6

    def test_an_option_that_the_script_sets_beside_its_data_is_added_to_the_others(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, args):
                    super().__init__()
                    self.emb = nn.Embedding(args.vocab_size, args.width)

                def forward(self, x):
                    return self.emb(x)
        """
        options = ("args", "__import__('types').SimpleNamespace(width=48)")
        built = build(module_of(source), request("Net(args)", bindings=(options,)))
        assert built.candidate.built_from is BuiltFrom.NAMES
        emb = built.make().emb
        assert isinstance(emb, nn.Embedding)
        assert (emb.num_embeddings, emb.embedding_dim) == (1000, 48)

    @pytest.mark.parametrize(
        "count",
        ["labels.max().item() + 1", "int(max(labels)) + 1", "len(set(labels.tolist()))"],
    )
    def test_classes_that_are_counted_in_data_are_as_many_as_is_usual(self, count: str) -> None:
        built = build(module_of(LINEAR), request(f"nn.Linear(table.shape[1], {count})"))
        assert [tuple(each.shape) for each in built.make().parameters()] == [(10, 64), (10,)]

    def test_a_size_of_a_table_that_was_not_loaded_is_the_usual_one(self) -> None:
        built = build(module_of(LINEAR), request("nn.Linear(table.shape[1], len(classes))"))
        assert built.candidate.built_from is BuiltFrom.NAMES
        assert built.candidate.constructor == "nn.Linear(64, 10)"
        built = build(module_of(LINEAR), request("nn.Linear(len(weights), 3)"))
        assert built.candidate.constructor == "nn.Linear(64, 3)"

    def test_a_size_that_a_function_is_given_of_data_that_are_gone_is_the_usual_one(self) -> None:
        bindings = (("words", "corpus.words"), ("n", "len(words)"), ("n_tags", "corpus.tags()"))
        asked = request("nn.Linear(n, n_tags)", bindings=bindings)
        made = build(module_of(LINEAR), asked).make()
        assert [tuple(each.shape) for each in made.parameters()] == [(10, 1000), (10,)]

    def test_a_number_that_an_object_which_is_gone_has_is_the_usual_one(self) -> None:
        built = build(module_of(LINEAR), request("nn.Embedding(9, 4, vocabulary.pad_idx)"))
        assert built.candidate.constructor == "nn.Embedding(9, 4, 0)"
        bindings = (("words", "vocabularies.of('de')"), ("n", "len(words)"))
        asked = request("nn.Embedding(n, 4, words.pad_idx)", bindings=bindings)
        table = build(module_of(LINEAR), asked).make()
        assert isinstance(table, nn.Embedding)
        assert (table.num_embeddings, table.padding_idx) == (1000, 0)

    def test_what_a_function_hands_on_to_a_model_is_supplied(self) -> None:
        source = (
            LINEAR.replace("width=4", "width, num_classes, **more")
            + """
    def tiny(scale=1, **more):
        return Net(width=5, **more)
"""
        )
        factory = request("tiny()", built_from=BuiltFrom.FACTORY)
        assert build(module_of(source), factory).candidate.constructor == "tiny(num_classes=10)"
        spread = request("Net(width=5, **more)", bindings=(("more", "{}"),))
        made = build(module_of(source), spread).make()
        assert next(made.parameters()).shape == (5, 3)

    def test_a_model_whose_train_is_a_whole_training_is_in_training_mode(self) -> None:
        source = LINEAR + "\n        def train(self, epochs, data): return None\n"
        assert build(module_of(source), request("Net().eval()", "Net()")).make().training

    def test_a_model_inside_a_tuple_is_found(self) -> None:
        assert isinstance(build(module_of(LINEAR), request("('x', Net())")).make(), nn.Module)

    def test_a_class_is_not_a_model(self) -> None:
        with pytest.raises(UserError, match="build") as caught:
            build(module_of(LINEAR), request("Net"))
        assert "gives the class itself, not a model" in str(caught.value.error)

    def test_without_candidates_the_signature_is_read(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, in_channels, num_classes):
                    super().__init__()
                    self.layer = nn.Conv2d(in_channels, num_classes, 1)

                def forward(self, x):
                    return self.layer(x)
        """
        built = build(module_of(source), TraceModel("Net", (), 0))
        assert built.candidate.constructor == "Net(in_channels=3, num_classes=10)"
        assert built.candidate.built_from is BuiltFrom.NAMES

    def test_words_handed_on_have_values_of_the_types_that_their_taker_says(self) -> None:
        source = """
            class Part(nn.Module):
                def __init__(self, width: int, kinds: list[str]):
                    super().__init__()
                    self.layers = nn.ModuleDict({kind: nn.Linear(width, 2) for kind in kinds})

                def forward(self, x):
                    return sum(layer(x) for layer in self.layers.values())

            class Net(nn.Module):
                def __init__(self, width, **words):
                    super().__init__()
                    self.part = Part(width, **words)

                def forward(self, x):
                    return self.part(x)
        """
        built = build(module_of(source), TraceModel("Net", (), 0))
        assert built.candidate.constructor == "Net(width=32, kinds=['0', '1'])"

    def test_what_nobody_can_guess_is_asked_for(self) -> None:
        source = LINEAR.replace("width=4", "encoder")
        with pytest.raises(UserError) as caught:
            build(module_of(source), TraceModel("Net", (), 0))
        assert "[[tool.gradlint.model]]" in str(caught.value.error)

    def test_a_package_that_is_not_there_is_told_of_before_wrong_arguments(self) -> None:
        source = LINEAR.replace("super()", "int(width); import not_there; super()")
        wrong = Candidate(BuiltFrom.FACTORY, "Net(None)")
        asked = TraceModel("Net", (wrong, Candidate(BuiltFrom.NAMES, "Net(3)")), 0)
        with pytest.raises(UserError) as caught:
            build(module_of(source), asked)
        assert isinstance(caught.value.error, ModuleNotFoundError)

    def test_a_package_behind_a_guarded_import_is_told_of_where_its_name_is_none(self) -> None:
        guard = "try: from not_there import settings\nexcept ImportError: settings = None\n"
        source = guard + textwrap.dedent(LINEAR).replace("(3, width)", "(settings.size, width)")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert isinstance(caught.value.error, ModuleNotFoundError)
        assert caught.value.error.name == "not_there"

    def test_a_package_behind_a_guarded_import_is_told_of_where_its_name_is_unbound(self) -> None:
        guard = "import contextlib\nwith contextlib.suppress(ImportError): import not_there as n\n"
        source = guard + textwrap.dedent(LINEAR).replace("self.layer(x)", "n.run(self.layer(x))")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert getattr(caught.value.error, "name", "") == "not_there"

    def test_a_name_that_is_none_for_another_reason_is_not_laid_on_a_package(self) -> None:
        guard = "try: import not_there\nexcept ImportError: not_there = None\nsettings = None\n"
        source = guard + textwrap.dedent(LINEAR).replace("(3, width)", "(settings.size, width)")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert isinstance(caught.value.error, AttributeError)

    def test_a_package_that_is_missing_is_told_of_before_other_failures(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.sigma = nn.Parameter(torch.ones(3))
                def forward(self, x):
                    if x.dim() == 5:
                        raise ImportError("the filter requires 'not_there'")
                    flat = x.mul(1).add(1).sub(1).neg()
                    raise ValueError(f"volumes are wanted, not {flat.shape}")
        """
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert isinstance(caught.value.error, ImportError)

    def test_an_input_of_a_type_that_lacks_its_package_is_told_of(self) -> None:
        kind = """
            class Sparse:
                def __init__(self):
                    raise ImportError("'Sparse' requires 'not_there'")
        """
        source = textwrap.dedent(kind) + textwrap.dedent(LINEAR)
        source = source.replace("self, x)", "self, x: Sparse)").replace("(x)", "(x.values())")
        with pytest.raises(UserError) as caught:
            build(module_of(source.replace("from __future__", "")), request("Net()"))
        assert isinstance(caught.value.error, ImportError)

    def test_the_failure_that_came_furthest_is_reported(self) -> None:
        source = LINEAR.replace("return self.layer(x)", "raise KeyError('lost')")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Missing()", "Net()"))
        assert (caught.value.stage, str(caught.value.error)) == ("forward", "'lost'")


LAZY = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Sequential(nn.LazyConv2d(4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            self.head = nn.LazyLinear(2)

        def forward(self, x):
            return self.head(self.conv(x))
"""


class TestMake:
    def test_a_model_of_lazy_layers_has_seen_its_inputs(self) -> None:
        built = build(module_of(LAZY), request("Net()"))
        assert built.described == ("float32[8,3,32,32]",)
        shapes = [tuple(parameter.shape) for parameter in built.make().parameters()]
        assert shapes == [(4, 3, 3, 3), (4,), (2, 4), (2,)]

    @pytest.mark.parametrize("hook", ["setup(self, stage)", "configure_model(self)"])
    def test_layers_that_a_hook_of_lightning_makes_are_there(self, hook: str) -> None:
        source = f"""
            class LightningModule(nn.Module):
                def setup(self, stage):
                    self.trainer.is_there

                def configure_model(self):
                    pass

            class Net(LightningModule):
                def {hook}:
                    self.layer = nn.Linear(3, 4)

                def forward(self, x):
                    return self.layer(x)
        """
        built = build(module_of(source), request("Net()"))
        assert [tuple(each.shape) for each in built.make().parameters()] == [(4, 3), (4,)]

    def test_lazy_layers_follow_the_random_state(self) -> None:
        built = build(module_of(LAZY.replace("LazyConv2d(4", "Conv2d(1, 4")), request("Net()"))
        torch.manual_seed(5)
        one, two = built.make(), built.make()
        torch.manual_seed(5)
        again = built.make()
        first, other, same = (model.get_parameter("head.weight") for model in (one, two, again))
        assert torch.equal(first, same)
        assert not torch.equal(first, other)

    def test_each_model_is_fresh_and_follows_the_random_state(self) -> None:
        built = build(module_of(LINEAR), request("Net()"))
        torch.manual_seed(5)
        one, two = built.make(), built.make()
        torch.manual_seed(5)
        again = built.make()
        assert torch.equal(next(one.parameters()), next(again.parameters()))
        assert not torch.equal(next(one.parameters()), next(two.parameters()))
        assert one.training

    def test_a_model_of_the_module_itself_is_copied(self) -> None:
        module = module_of(LINEAR + "\n    model = Net()\n")
        made = build(module, request("model")).make()
        assert made is not module.model

    def test_code_for_a_gpu_runs_on_the_cpu(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(3, 4).cuda()
                    self.register_buffer("shift", torch.zeros(4, device="cuda:0"))

                def forward(self, x):
                    state = torch.zeros(4).to(torch.device("cuda")) + torch.ones(4).cuda()
                    return self.layer(x.to("cuda", non_blocking=True)) + state + self.shift
        """
        built = build(module_of(source), request("Net().to('cuda')"))
        args, kwargs = built.inputs()
        with on_cpu():
            assert built.make()(*args, **kwargs).device.type == "cpu"

    def test_weights_are_not_fetched(self) -> None:
        source = """
            from torch.hub import load_state_dict_from_url

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(3, 4)
                    self.load_state_dict(load_state_dict_from_url("https://nowhere.invalid/x.pth"))

                def forward(self, x):
                    return self.layer(x)
        """
        assert isinstance(build(module_of(source), request("Net()")).make(), nn.Module)

    def test_weights_of_a_part_that_is_made_first_are_not_fetched(self) -> None:
        source = """
            from torch.hub import load_state_dict_from_url

            def backbone():
                layers = nn.Sequential(nn.Linear(3, 4))
                layers.load_state_dict(load_state_dict_from_url("https://nowhere.invalid/x.pth"))
                return layers

            class Net(nn.Module):
                def __init__(self, body):
                    super().__init__()
                    self.body, self.head = body, nn.Linear(4, 2)

                def forward(self, x):
                    return self.head(self.body(x))
        """
        asked = request("Net(body)", bindings=(("whole", "backbone()"), ("body", "whole[:1]")))
        model = build(module_of(source), asked).make()
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        assert {names[each] for each in unfetched(model)} == {"body.0.weight", "body.0.bias"}


class TestGivenInputs:
    def test_a_small_batch_is_enlarged(self) -> None:
        built = build(module_of(LINEAR), request("Net()", inputs=("torch.randn(1, 3)",)))
        assert built.described == ("float32[8,3]",)

    def test_a_large_batch_is_kept(self) -> None:
        built = build(module_of(LINEAR), request("Net()", inputs=("torch.randn(12, 3)",)))
        assert built.described == ("float32[12,3]",)

    @pytest.mark.parametrize("text", ["torch.zeros(1, 3)", "torch.ones(8, 3)"])
    def test_inputs_that_only_tell_a_shape_are_drawn(self, text: str) -> None:
        given = request("Net()", inputs=(text,), built_from=BuiltFrom.USE_IN_FILE)
        args, _ = build(module_of(LINEAR), given).inputs()
        assert isinstance(args[0], torch.Tensor)
        assert args[0].unique().numel() == args[0].numel() == 24

    @pytest.mark.parametrize(
        "texts",
        [("torch.randn(8, 3)", "torch.ones(8, 4)"), ("torch.zeros(8, 3)", "torch.ones(8, 4)")],
        ids=["beside varied values", "beside values of no meaning"],
    )
    def test_a_mask_of_ones_stays_one(self, texts: tuple[str, str]) -> None:
        source = LINEAR.replace("self, x)", "self, x, mask)").replace("(x)", "(x) * mask")
        given = request("Net()", inputs=texts, built_from=BuiltFrom.USE_IN_FILE)
        args, _ = build(module_of(source), given).inputs()
        assert isinstance(args[1], torch.Tensor)
        assert args[1].unique().tolist() == [1.0]

    def test_inputs_that_must_be_the_same_stay_the_same(self) -> None:
        source = LINEAR.replace("return", "assert not x.any()\n            return")
        given = request("Net()", inputs=("torch.zeros(8, 3)",), built_from=BuiltFrom.USE_IN_FILE)
        args, _ = build(module_of(source), given).inputs()
        assert isinstance(args[0], torch.Tensor)
        assert not args[0].any()

    def test_words_that_only_tell_a_shape_are_drawn_from_the_vocabulary(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Embedding(5, width)")
        inputs = ("torch.zeros(1, 16, dtype=torch.long)",)
        given = request("Net()", inputs=inputs, built_from=BuiltFrom.USE_IN_FILE)
        args, _ = build(module_of(source), given).inputs()
        assert isinstance(args[0], torch.Tensor)
        assert set(args[0].flatten().tolist()) == set(range(5))

    def test_whole_numbers_stay_in_their_range(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Embedding(5, width)")
        given = request("Net()", inputs=("torch.tensor([[0, 1, 2, 3, 4]])",))
        args, _ = build(module_of(source), given).inputs()
        assert isinstance(args[0], torch.Tensor)
        assert tuple(args[0].shape) == (8, 5)
        assert int(args[0].max()) < 5

    def test_arguments_are_spread_and_named(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(3, 4)

                def forward(self, x, y, scale, flag=False):
                    assert flag
                    return (self.layer(x) + self.layer(y)) * scale
        """
        inputs = ("*[torch.randn(8, 3)] * 2", "scale=2.0", "**{'flag': True}")
        built = build(module_of(source), request("Net()", inputs=inputs))
        assert built.described == ("float32[8,3]", "float32[8,3]", "scale: 2.0", "flag: True")

    def test_an_example_input_of_the_model_is_used(self) -> None:
        source = LINEAR.replace(
            "self.layer = ", "self.example_input_array = torch.randn(9, 3); self.layer = "
        )
        given = request("Net()", inputs=("self.example_input_array",))
        assert build(module_of(source), given).described == ("float32[9,3]",)

    def test_inputs_that_do_not_run_are_searched_instead(self) -> None:
        given = request("Net()", inputs=("torch.randn(1, 99)",), built_from=BuiltFrom.USE_IN_FILE)
        assert build(module_of(LINEAR), given).described == ("float32[8,3]",)

    def test_no_pass_begins_with_what_inputs_of_the_source_left_in_memory(self) -> None:
        source = """
            import weakref

            LEFT = []

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layer = nn.Linear(3, 4)

                def forward(self, x):
                    if any(large() is not None for large in LEFT):
                        raise ValueError("memory is held")
                    large = self.layer(x.reshape(-1, 3))
                    LEFT.append(weakref.ref(large))
                    if len(LEFT) == 1:
                        raise MemoryError
                    return large
            """
        given = request("Net()", inputs=("torch.randn(1, 3)",), built_from=BuiltFrom.USE_IN_FILE)
        assert build(module_of(source), given).described == ("float32[8,3]",)

    def test_inputs_that_the_user_asked_for_are_not_replaced(self) -> None:
        given = request("Net()", inputs=("torch.randn(1, 99)",), built_from=BuiltFrom.COMMAND_LINE)
        with pytest.raises(UserError) as caught:
            build(module_of(LINEAR), given)
        assert caught.value.stage == "forward"


GUARDED = {
    "the shape of an image that the constructor runs through its layers": (
        "nn.Conv2d(size[0], 4, 8)(torch.zeros(1, *size))",
        "size",
        "Net([64])",
    ),
    "sizes in proportion": (
        "if a != 2 * b: raise ValueError(f'expecting a == 2 * b, got a={a}, b={b}')",
        "a, b",
        "Net(a=64, b=64)",
    ),
    "a padding that a kernel tells": (
        "if p != k // 2: raise ValueError('padding p must equal k // 2')",
        "p, k",
        "Net(p=0, k=3)",
    ),
    "sizes that are all equal": (
        "if not a == b == c > 4: raise ValueError(f'(a == b == c); got a={a}, b={b}, c={c}')",
        "a, b, c=1",
        "Net(a=3, b=64)",
    ),
    "sides that are spelled": (
        "if not isinstance(dims, tuple) or len(dims) != 2: raise ValueError('dims must be (H, W)')",
        "dims",
        "Net(dims=64)",
    ),
    "what should be populated": (
        "if width is None: raise ValueError('parameter width must be populated')",
        "width=None",
        "Net()",
    ),
    "what was given as nothing": (
        "if width is None: raise ValueError('width need to be specified')",
        "width",
        "Net(width=None)",
    ),
    "what one is asked to specify": (
        "if dims is None: raise ValueError('Could not find dims of it, please specify it')",
        "dims=None",
        "Net()",
    ),
    "two parts of one line": (
        "n = a[0] // b[0]",
        "a, b",
        "Net(a=32, b=4)",
    ),
    "sizes that must divide each other": (
        "assert dim % heads == 0, f'{dim} is not divisible by {heads}'",
        "dim, heads",
        "Net(dim=64, heads=7)",
    ),
    "an argument that the message advises": (
        "if loops: raise ValueError('loops are not supported, set `loops=False`')",
        "dim, loops=True",
        "Net(dim=64)",
    ),
    "a number within the range that the message names": (
        "assert 0 < size < 1, 'size must be kept between 0 and 1'",
        "size",
        "Net(size=64)",
    ),
    "all arguments that the message demands": (
        "if not (depth and heads): raise ValueError('depth and heads must be supplied')",
        "dim, depth=None, heads=None",
        "Net(dim=64)",
    ),
    "an argument that the message demands": (
        "if depth is None: raise ValueError('`depth` must be passed in')",
        "dim, depth=None",
        "Net(dim=64)",
    ),
    "a list where the message asks for one": (
        "if isinstance(kinds, int): raise ValueError('please give a list of `kinds`')",
        "dim, kinds=4",
        "Net(dim=64)",
    ),
    "a module of the class that the message names": (
        "if not isinstance(part, nn.Linear): raise ValueError(f\"expected 'Linear' module\")",
        "part",
        "Net(part=PassThrough())",
    ),
    "one of several arguments that the message names": (
        "if (size is None) == (ratio is None): raise ValueError('Exactly one of `size`, `ratio`.')",
        "dim, size=None, ratio=None",
        "Net(dim=64)",
    ),
    "a keyword that is taken without being named": (
        "size = kwargs['num_tokens']",
        "dim, **kwargs",
        "Net(dim=64)",
    ),
    "an argument that is asserted not to be None": (
        "assert isinstance(width, int)",
        "dim, width=None",
        "Net(dim=64)",
    ),
    "a fraction where whole numbers do not serve": (
        "nn.Parameter(torch.tensor(sigma))",
        "sigma",
        "Net(sigma=64)",
    ),
    "lists that must have the same length": (
        "if len(channels) != len(strides): raise ValueError('channels must match strides')",
        "channels, strides",
        "Net(channels=[8, 8, 8], strides=[2, 2])",
    ),
    "a number where a module of some class is wanted": (
        "inner.weight.shape",
        "inner: nn.Linear",
        "Net(inner=64)",
    ),
    "a call inside of the call": (
        "inner.weight.shape",
        "inner",
        "Net(inner=nn.Linear(4))",
    ),
    "a number where a list is wanted": ("len(dims)", "dims", "Net(dims=64)"),
    "a list where a number is wanted": ("list(range(count))", "count", "Net(count=[2, 2])"),
    "an unknown argument": ("", "dim", "Net(dim=4, surprise=1)"),
    "a forgotten argument": ("", "dim, num_heads", "Net(dim=4)"),
    "a choice that is listed": (
        "if mode not in ('sum', 'mean'): raise ValueError(f\"{mode}: 'sum' or 'mean'\")",
        "mode",
        "Net(mode='relu')",
    ),
    "a configuration with attributes": (
        "config.n_embd + config.n_layer",
        "config",
        "Net(config=1)",
    ),
    "a configuration with keys": ("cfg['dim'] + cfg['depth']", "cfg", "Net(cfg=1)"),
    "a class to be called": ("norm_layer(8)", "norm_layer", "Net(norm_layer=1)"),
    "a list to be joined": ("[1] + dims", "dims", "Net(dims=64)"),
    "a tensor": ("table.unsqueeze(0)", "table", "Net(table=True)"),
    "a configuration in another": (
        "model.config.depth + 1",
        "model",
        "Net(model=PassThrough(config=64))",
    ),
    "an attribute of what is wrapped": ("body.width + 1", "body", "Net(body=PassThrough())"),
    "a mapping with what its taker requires": (
        "(lambda depth, rate: depth)(**options)",
        "options",
        "Net(options=dict())",
    ),
    "a list of modules": ("nn.ModuleList(layers)[1]", "layers", "Net(layers=[2, 2])"),
    "a layer to be copied": (
        "nn.ModuleList([__import__('copy').deepcopy(layer) for _ in range(2)])",
        "layer",
        "Net(layer=64)",
    ),
    "a mapping to be spread": ("dict(**options)", "options", "Net(options=64)"),
    "a module to be copied with its parameters": ("list(net.parameters())", "net", "Net(net=64)"),
    "an image of which something is left": (
        "nn.Conv2d(3, 4, 50)(torch.zeros(1, 3, opt.image_size, 64))",
        "opt",
        "Net(opt=SimpleNamespace(image_size=32))",
    ),
    "one of the names that are listed": (
        "known = [f'net{i}' for i in '01']; assert kind in known, f'kind: one of {known[0]}, net1'",
        "kind",
        "Net(kind='base')",
    ),
    "what an enumeration holds": (
        "__import__('enum').Enum('Mode', {'A': 'wide', 'B': 'deep'})(kind)",
        "kind",
        "Net(kind='base')",
    ),
    "words of a base": ("(lambda *, wide: wide)(**words)", "**words", "Net(wide=4)"),
}


class TestConstructorErrors:
    @pytest.mark.parametrize(
        ("guard", "parameters", "constructor"), GUARDED.values(), ids=GUARDED.keys()
    )
    def test_guessed_arguments_are_corrected(
        self, guard: str, parameters: str, constructor: str
    ) -> None:
        source = f"""
            class Net(nn.Module):
                def __init__(self, {parameters}):
                    super().__init__()
                    {guard or "pass"}
                    self.layer = nn.Linear(3, 4)

                def forward(self, x):
                    return self.layer(x)
        """
        built = build(module_of(source), request(constructor, built_from=BuiltFrom.NAMES))
        assert isinstance(built.make(), nn.Module)

    def test_published_weights_of_which_more_is_made_are_not_asked_for(self) -> None:
        source = """
            class Net(nn.Linear):
                def __init__(self, width, pretrained=True):
                    super().__init__(width, 4)
                    if pretrained:
                        self.scale = torch.load("published.pth").mean()
        """
        built = build(module_of(source), request("Net(3)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == "Net(width=3, pretrained=False)"

    def test_what_each_part_demands_in_the_same_words_is_given_by_its_prefix(self) -> None:
        source = """
            def named(prefix, words):
                return {key[4:]: words[key] for key in words if key.startswith(prefix)}

            class Net(nn.Module):
                def __init__(self, dim, **kwargs):
                    super().__init__()
                    enc_kwargs, dec_kwargs = named("enc_", kwargs), named("dec_", kwargs)
                    self.enc = Part(**enc_kwargs)
                    self.dec = Part(**dec_kwargs)

                def forward(self, x):
                    return self.dec(self.enc(x))

            class Part(nn.Linear):
                def __init__(self, *, depth):
                    super().__init__(3, 3)
        """
        built = build(module_of(source), request("Net(dim=64)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == "Net(dim=64, enc_depth=2, dec_depth=2)"

    def test_settings_that_are_called_become_a_module(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, body):
                    super().__init__()
                    self.body, self.layer = body, nn.Linear(3, body.width)

                def forward(self, x):
                    return self.layer(self.body(x))
        """
        given = "Net(body=__import__('types').SimpleNamespace(width=64))"
        built = build(module_of(source), request(given, built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == "Net(body=PassThrough(width=64))"

    def test_what_the_base_makes_of_the_words_handed_on_is_corrected(self) -> None:
        source = """
            class Base(nn.Module):
                def __init__(self, width, scales):
                    super().__init__()
                    self.layer = nn.Linear(3, width * 2 if 4 in scales else width)

                def forward(self, x):
                    return self.layer(x)

            class Net(Base):
                def __init__(self, width, *args, **kwargs):
                    super().__init__(width, *args, **kwargs)
        """
        built = build(module_of(source), request("Net(width=8)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == "Net(width=8, scales=[4, 4])"

    def test_a_size_is_made_what_another_must_have_been(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, wide, narrow):
                    super().__init__()
                    self.first, self.last = nn.Linear(3, wide), nn.Linear(narrow, 2)

                def forward(self, x):
                    return self.last(self.first(x))
        """
        built = build(module_of(source), request("Net(64, 48)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor in ("Net(48, 48)", "Net(64, 64)")

    def test_what_a_configuration_leaves_unset_is_given_where_forward_reads_it(self) -> None:
        source = """
            class Config:
                def __init__(self, top_k=None):
                    self.top_k = top_k

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.config = config
                    self.chosen = config.top_k
                    self.layer = nn.Linear(3, 4)

                def forward(self, x):
                    return self.layer(x).topk(self.chosen).values
        """
        built = build(module_of(source), request("Net(Config())"))
        assert built.candidate.constructor == "Net(Config(top_k=2))"

    def test_what_a_configuration_leaves_unset_is_found_a_line_before_the_one_that_fails(
        self,
    ) -> None:
        source = """
            class Config:
                def __init__(self, image_token_id=None):
                    self.image_token_id = image_token_id

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.config = config
                    self.layer = nn.Embedding(9, 4)

                def forward(self, input_ids):
                    places = input_ids == self.config.image_token_id
                    return self.layer(input_ids) * places.unsqueeze(-1)
        """
        built = build(module_of(source), request("Net(Config())"))
        assert built.candidate.constructor == "Net(Config(image_token_id=4))"

    def test_what_a_configuration_leaves_unset_is_given_to_the_constructor(
        self,
    ) -> None:
        source = """
            class Config:
                def __init__(self, vocab_size=None):
                    self.vocab_size = vocab_size

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    self.words = nn.Embedding(config.vocab_size, 4)

                def forward(self, input_ids):
                    return self.words(input_ids)
        """
        wanted = request("Net(Config())", built_from=BuiltFrom.EXAMPLE_INPUT)
        built = build(module_of(source), wanted)
        assert built.candidate == Candidate(BuiltFrom.NAMES, "Net(Config(vocab_size=1000))")

    @pytest.mark.parametrize(
        ("condition", "given"),
        [("extra is not None", "extra=64"), ("double and width", "double=True")],
        ids=["a size", "a flag"],
    )
    def test_what_an_attribute_is_set_for_is_given_where_forward_reads_it(
        self, condition: str, given: str
    ) -> None:
        source = f"""
            class Net(nn.Module):
                def __init__(self, width, extra=None, double=False):
                    super().__init__()
                    self.first = nn.Linear(width, width)
                    if {condition}:
                        self.second = nn.Linear(width, width)

                def forward(self, x):
                    return self.second(self.first(x))
        """
        built = build(module_of(source), request("Net(width=8)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == f"Net(width=8, {given})"

    def test_an_attribute_that_a_loop_sets_from_outside_has_its_usual_value(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, width):
                    super().__init__()
                    self.first = nn.Linear(width, width)

                def forward(self, x):
                    return F.dropout(self.first(x), self.drop_path_prob)
        """
        built = build(module_of(source), request("Net(8)"))
        assert built.candidate.then == ("_made.drop_path_prob = 0.1",)
        assert built.candidate.built_from is BuiltFrom.NAMES

    def test_what_the_error_of_a_pass_advises_is_set_in_the_part_that_takes_it(self) -> None:
        source = """
            class Part(nn.Module):
                def __init__(self, width, loops=True):
                    super().__init__()
                    self.layer = nn.Linear(width, 4)
                    self.loops = loops

                def forward(self, x):
                    return self.layer(x)

            class Net(nn.Module):
                def __init__(self, part):
                    super().__init__()
                    self.part = part

                def forward(self, x):
                    if self.part.loops:
                        raise ValueError("this adds loops, try to set `loops=False`")
                    return self.part(x)
        """
        asked = request("Net(Part(8))", built_from=BuiltFrom.NAMES)
        built = build(module_of(source), asked)
        assert built.candidate.constructor == "Net(Part(width=8, loops=False))"

    def test_sizes_that_settings_leave_open_by_a_negative_number_are_the_usual_ones(self) -> None:
        source = """
            class Settings:
                def __init__(self, dim_in=-1, dim_out=-1, depth=2):
                    self.dim_in, self.dim_out, self.depth = dim_in, dim_out, depth

            class Net(nn.Module):
                def __init__(self, settings):
                    super().__init__()
                    self.layer = nn.Linear(settings.dim_in, settings.dim_out)

                def forward(self, x):
                    return self.layer(x)
        """
        built = build(module_of(source), request("Net(Settings())"))
        assert built.candidate.constructor == "Net(Settings(dim_in=64, dim_out=64))"

    def test_a_longest_length_is_made_what_is_passed_on(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, max_seq_len):
                    super().__init__()
                    self.rows = nn.Parameter(torch.randn(max_seq_len, 3))

                def forward(self):
                    most = len(self.rows)
                    assert most >= 512, f"the length of 512 is more than the max length of {most}"
                    return self.rows * 2
        """
        built = build(module_of(source), request("Net(32)", built_from=BuiltFrom.NAMES))
        assert built.candidate.constructor == "Net(512)"

    def test_sizes_of_the_user_are_not_made_to_fit(self) -> None:
        source = LINEAR.replace("self.layer(x)", "self.layer(x @ torch.ones(3, 7))")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net(4)", built_from=BuiltFrom.USE_IN_FILE))
        assert caught.value.stage == "forward"

    def test_a_failure_tells_what_was_tried(self) -> None:
        source = LINEAR.replace("self.layer(x)", "self.layer(x).no")
        wide = Candidate(BuiltFrom.USE_IN_FILE, "Net(width=n)", None, (("n", "4 + 4"),))
        with pytest.raises(UserError) as caught:
            build(module_of(source), TraceModel("Net", (wide,), 0))
        assert caught.value.constructor == "Net(width=4 + 4)"
        assert caught.value.inputs == ("float32[2,3]",)

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ("self.l = nn.Linear(2, 2).requires_grad_(False)", "NoParametersError"),
            ("self.p = nn.Parameter(torch.zeros(2, 0))", "NoParametersError"),
            ("self.__dict__.clear()", "NoParametersError"),
            ("self.l = nn.Linear(2, 2)", "NoForwardError"),
            ("self.l = self.layer()", "AbstractError"),
            ("self.l = self.wide_layer(3)", "NotImplementedError"),
        ],
        ids=["frozen", "empty", "no module", "no forward", "abstract", "not for these arguments"],
    )
    def test_what_cannot_be_trained_is_no_model(self, body: str, error: str) -> None:
        source = f"""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    {body}

                def layer(self):
                    raise NotImplementedError

                def wide_layer(self, width):
                    if width < 4:
                        raise NotImplementedError
        """
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert type(caught.value.error).__name__ == error

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ("return self.l(self.encode(x))", "AbstractError"),
            ("return self.part(self.l(x))", "NotImplementedError"),
            ("if x.dim() > 9: return x\n        raise NotImplementedError", "NotImplementedError"),
        ],
        ids=["left to subclasses", "left open by a part", "not for these inputs"],
    )
    def test_a_model_is_abstract_where_it_leaves_a_method_of_its_own_open(
        self, body: str, error: str
    ) -> None:
        source = f"""
class Part(nn.Module):
    def forward(self, x):
        raise NotImplementedError

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        self.part = Part()

    def encode(self, x):
        raise NotImplementedError

    def forward(self, x):
        {body}
"""
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert (caught.value.stage, type(caught.value.error).__name__) == ("forward", error)

    def test_a_trial_of_a_search_has_the_largest_sizes_and_the_first_choices(self) -> None:
        source = """
def define(trial):
    kind = trial.suggest_categorical("kind", ["Tanh", "ReLU"])
    dropout = nn.Dropout(trial.suggest_float("dropout", 0.1, 0.5))
    layers = [nn.Linear(4, 4) for _ in range(trial.suggest_int("depth", 1, 5))]
    return nn.Sequential(*layers, getattr(nn, kind)(), dropout)
"""
        asked = TraceModel("define", (Candidate(BuiltFrom.NAMES, "define(LargestTrial())"),), 0)
        layers = list(build(module_of(source), asked).make().children())
        assert [type(layer).__name__ for layer in layers] == ["Linear"] * 5 + ["Tanh", "Dropout"]

    def test_what_is_joined_has_the_sizes_that_the_constructor_was_given(self) -> None:
        source = """
class Critic(nn.Module):
    def __init__(self, state_dim, action_dim, hidden=16):
        super().__init__()
        self.value = nn.Linear(state_dim + action_dim, 1)

    def forward(self, state, action):
        return self.value(torch.cat([state, action], 1))
"""
        asked = TraceModel("Critic", (Candidate(BuiltFrom.NAMES, "Critic(8, 10)"),), 0)
        assert build(module_of(source), asked).described == ("float32[8,8]", "float32[8,10]")

    def test_arguments_of_the_user_are_not_corrected(self) -> None:
        source = LINEAR.replace("super()", "assert width == 8, 'width must be 8'; super()")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net(4)", built_from=BuiltFrom.USE_IN_FILE))
        assert str(caught.value.error) == "width must be 8"

    def test_defaults_that_were_corrected_count_as_invented(self) -> None:
        built = build(module_of(LINEAR), request("Net(wide=4)", built_from=BuiltFrom.DEFAULTS))
        assert built.candidate.constructor == "Net()"
        assert built.candidate.built_from is BuiltFrom.NAMES


class TestSize:
    def test_a_model_above_the_limit_is_left_before_its_memory_is_touched(self) -> None:
        with pytest.raises(TooLargeError), limited(1000):
            nn.Sequential(*(nn.Linear(20, 20) for _ in range(10)))

    def test_a_model_below_the_limit_is_built(self) -> None:
        with limited(1000):
            assert isinstance(nn.Linear(20, 20), nn.Module)

    def test_a_weight_that_is_given_up_for_another_counts_once(self) -> None:
        with limited(1300):
            layers = [nn.Linear(20, 20, bias=False) for _ in range(2)]
            for layer in layers:
                layer.weight = nn.Parameter(layer.weight.detach().clone())
            layers.append(nn.Linear(20, 20, bias=False))

    def test_a_huge_model_is_built_without_values(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Linear(1 << 20, 1 << 20)")
        built = build(module_of(source), request("Net()"))
        assert built.imagination is not None

    def test_the_size_of_a_huge_model_that_asks_for_values_is_told(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Linear(1 << 20, 1 << 20)")
        source = source.replace("return ", "return x.sum().item() * ")
        with pytest.raises(UserError) as caught:
            build(module_of(source), request("Net()"))
        assert "1,099,512,676,352 parameters" in str(caught.value.error)

    def test_a_smaller_model_of_the_class_is_preferred(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Linear(n, 20000)").replace("width", "n")
        built = build(module_of(source), request("Net(20000)", "Net(20)"))
        assert built.candidate.constructor == "Net(20)"

    def test_what_the_project_makes_comes_before_what_is_guessed_however_large(self) -> None:
        source = LINEAR.replace("nn.Linear(3, width)", "nn.Linear(n, 1 << 20)").replace(
            "width", "n"
        )
        asked = request("Net(1 << 20)", "Net(20)")
        made, guessed = asked.candidates
        said = replace(made, built_from=BuiltFrom.USE_IN_FILE)
        built = build(module_of(source), replace(asked, candidates=(said, guessed)))
        assert built.candidate == said
        assert built.imagination is not None

    @pytest.mark.parametrize(
        ("made", "narrow"),
        [
            ("Net(width=4096, depth=4)", "Net(width=256, depth=4)"),
            ("Net(2 ** 12, 4)", "Net(width=256, depth=4)"),
            ("Net([4096, 2048], 4)", "Net(width=[256, 128], depth=4)"),
            ("Net(8192, depth=4, factor=32)", "Net(width=64, depth=4, factor=32)"),
        ],
        ids=["by name", "by place", "a list", "of which later layers have more"],
    )
    def test_a_construction_is_made_narrower_at_its_depth(self, made: str, narrow: str) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, width, depth, factor=1):
                    super().__init__()
                    sizes = width if isinstance(width, list) else [width * factor] * 2
                    pairs = [(sizes[0], sizes[1]), (sizes[1], sizes[0])] * depth
                    self.layers = nn.Sequential(*(nn.Linear(*pair) for pair in pairs))

                def forward(self, x):
                    return self.layers(x)
        """
        built = build(module_of(source), request(made, built_from=BuiltFrom.USE_IN_FILE))
        assert built.candidate.constructor == narrow
        assert built.candidate.built_from is BuiltFrom.NAMES

    def test_the_width_of_an_image_is_no_width_of_layers(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, height, width, hidden):
                    super().__init__()
                    self.layers = nn.Sequential(nn.Linear(hidden, width), nn.Linear(width, height))

                def forward(self, x):
                    return self.layers(x)
        """
        made = request("Net(300, 300, hidden=1 << 18)", built_from=BuiltFrom.USE_IN_FILE)
        built = build(module_of(source), made)
        assert built.candidate.constructor == "Net(height=300, width=300, hidden=256)"

    def test_a_configuration_that_the_file_spells_out_is_made_narrower(self) -> None:
        source = """
            class Config:
                def __init__(self, n_layer=2, n_embd=64):
                    self.n_layer, self.n_embd = n_layer, n_embd

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    width, depth = config.n_embd, config.n_layer
                    self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

                def forward(self, x):
                    return self.layers(x)
        """
        asked = request("Net(config)", bindings=(("config", "Config(9, n_embd=4096)"),))
        built = build(module_of(source), asked)
        assert built.candidate.constructor == "Net(Config(9, n_embd=256))"

    def test_a_model_that_does_not_run_when_it_is_narrower_is_run_as_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gradlint.worker.building.build._HANDY", 200_000)
        source = """
            class Config:
                def __init__(self, hidden_size=768):
                    self.hidden_size = hidden_size

            class Net(nn.Module):
                def __init__(self, config):
                    super().__init__()
                    assert config.hidden_size % 8 == 0
                    self.parts = nn.Linear(12, config.hidden_size // 6)
                    self.whole = nn.Linear(config.hidden_size, config.hidden_size)

                def forward(self, x):
                    return self.whole(self.parts(x).repeat(1, 6))
        """
        built = build(module_of(source), request("Net(Config())"))
        assert built.candidate.constructor == "Net(Config())"
        assert built.imagination is None

    def test_arguments_that_were_missing_are_found_for_a_large_model(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, in_channels):
                    super().__init__()
                    self.layer = nn.Conv2d(in_channels, 15_000_000, 1)

                def forward(self, x):
                    return self.layer(x[..., :2, :2])
        """
        built = build(module_of(source), request("Net()"))
        assert built.candidate.constructor == "Net(in_channels=3)"

    def test_defaults_that_are_too_large_are_made_narrower(self) -> None:
        source = """
            class Net(nn.Module):
                def __init__(self, num_attention_heads=400, attention_head_dim=128, num_layers=3):
                    super().__init__()
                    width = num_attention_heads * attention_head_dim
                    layers = [nn.Linear(width, width) for _ in range(num_layers)]
                    self.layers = nn.Sequential(*layers)

                def forward(self, x):
                    return self.layers(x)
        """
        built = build(module_of(source), request("Net()"))
        assert built.candidate.constructor == "Net(num_attention_heads=2)"
        assert built.candidate.built_from is BuiltFrom.NAMES

    def test_a_configuration_is_made_narrower_at_its_depth(self) -> None:
        wide = {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "num_hidden_layers": 32,
            "vocab_size": 32000,
        }
        assert narrower(wide) == {
            "hidden_size": 256,
            "intermediate_size": 688,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vocab_size": 1000,
        }

    @pytest.mark.parametrize(
        ("groups", "taken"),
        [("n_group", "num_experts_per_tok"), ("num_expert_group", "num_experts_per_token")],
    )
    def test_each_group_of_experts_keeps_two_of_them(self, groups: str, taken: str) -> None:
        wide = {"hidden_size": 2048, "num_experts": 512, groups: 8, taken: 8}
        assert narrower(wide)["num_experts"] == 16

    def test_every_kind_of_head_and_of_rank_is_made_narrower(self) -> None:
        wide = {"hidden_size": 4096, "swa_num_attention_heads": 32, "o_lora_rank": 1024}
        assert narrower(wide) == {
            "hidden_size": 256,
            "swa_num_attention_heads": 2,
            "o_lora_rank": 64,
        }
        assert narrower({"model_dim": 2048, "ff_dim": 5120}) == {"model_dim": 256, "ff_dim": 640}

    def test_a_vision_tower_gives_what_the_text_takes(self) -> None:
        vision = SimpleNamespace(hidden_size=1536, out_hidden_size=4096, model_type="eye")
        whole = narrower(
            {"vision_config": vision, "text_config": SimpleNamespace(hidden_size=4096)}
        )
        assert whole["vision_config"] == {
            "model_type": "eye",
            "hidden_size": 256,
            "out_hidden_size": 256,
        }

    def test_a_decoder_takes_what_is_as_wide_as_the_whole(self) -> None:
        decoder = SimpleNamespace(hidden_size=1024, hidden_size_global=2048, model_type="local")
        whole = narrower(
            {"decoder_config": decoder, "global_config": SimpleNamespace(hidden_size=2048)}
        )
        assert whole["decoder_config"] == {
            "model_type": "local",
            "hidden_size": 256,
            "hidden_size_global": 256,
        }

    def test_a_state_space_that_is_expanded_keeps_its_heads(self) -> None:
        wide = {"hidden_size": 4096, "expand": 2, "num_heads": 128, "head_dim": 64}
        assert narrower(wide) == {"hidden_size": 256, "num_heads": 8}

    def test_as_many_values_share_a_key_as_before(self) -> None:
        linear = {"linear_num_key_heads": 16, "linear_num_value_heads": 32}
        wide = {"hidden_size": 2048, "num_attention_heads": 16, "head_dim": 128, **linear}
        assert narrower(wide) == {
            "hidden_size": 256,
            "num_attention_heads": 2,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
        }

    def test_each_layer_has_its_own_inner_width(self) -> None:
        wide = {"hidden_size": 2048, "intermediate_size": [8192, 16384], "moe_topk": 12}
        narrow = {"hidden_size": 256, "intermediate_size": [1024, 2048]}
        assert narrower(wide) == narrow
        assert narrower({**wide, "n_routed_experts": 512}) == {**narrow, "n_routed_experts": 12}

    def test_a_part_of_which_all_is_told_by_the_whole_shrinks_with_it(self) -> None:
        sizes = {"hidden_size": 512, "upsample_groups": 512, "vocab_size": 16_384}
        part = SimpleNamespace(model_type="codec", pad_token_id=3, **sizes)
        whole = narrower({"codec_config": part, "vocab_size": 16_384, "condition_dim": 512})
        assert whole == {
            "vocab_size": 1000,
            "condition_dim": 256,
            "codec_config": {
                "model_type": "codec",
                "hidden_size": 256,
                "upsample_groups": 256,
                "vocab_size": 1000,
            },
        }

    def test_a_head_that_is_split_into_less_becomes_smaller(self) -> None:
        error = RuntimeError("expects sum exactly to 64 (dim -1), but got split_sizes=[8, 12, 12]")
        wide = Candidate(BuiltFrom.NAMES, "Net(dict(num_heads=2), parts={'num_heads': 1, 'n': 3})")
        assert {found.constructor for found in with_heads(wide, error)} == {
            "Net(dict(num_heads=2), parts={'num_heads': 2, 'n': 3})",
            "Net(dict(num_heads=4), parts={'num_heads': 1, 'n': 3})",
        }

    def test_a_special_token_moves_into_the_smaller_vocabulary(self) -> None:
        part = SimpleNamespace(hidden_size=4096, vocab_size=128_256, image_token_id=128_010)
        whole = narrower({"text_config": part, "image_token_id": 128_010})
        assert whole["image_token_id"] == 999
        assert whole["text_config"]["image_token_id"] == 999  # type: ignore[index]

    def test_a_pyramid_keeps_the_proportions_of_its_stages(self) -> None:
        assert narrower({"hidden_size": 768, "embed_dim": 96, "num_heads": [3, 6, 12, 24]}) == {}

    def test_the_configurations_of_parts_are_made_narrower(self) -> None:
        part = SimpleNamespace(hidden_size=1024, num_hidden_layers=24, model_type="tower")
        assert narrower({"text_config": part, "vision_config": SimpleNamespace(depth=3)}) == {
            "text_config": {"model_type": "tower", "hidden_size": 256}
        }

    @pytest.mark.parametrize("padding", [None, 128_001], ids=["none", "beyond the vocabulary"])
    def test_a_padding_token_lies_in_the_smaller_vocabulary(self, padding: int | None) -> None:
        wide = {"hidden_size": 4096, "vocab_size": 128_256, "pad_token_id": padding}
        assert narrower(wide)["pad_token_id"] == 0


def test_what_an_expression_of_the_file_puts_together_has_the_lines_of_its_parts() -> None:
    module = module_of("net = nn.Sequential(\n    nn.Linear(4, 3),\n    nn.ReLU(),\n)\n")
    built = build(module, request("nn.Sequential(nn.Linear(4, 3), nn.ReLU())"))
    with watch_construction(Source(module.__file__ or "", "net.py")) as construction:
        model = built.make()
    lines = [construction.line_of(part) for part in model.children()]
    assert [span.line for span in lines if span] == [5, 6]


def test_what_the_program_does_to_a_model_is_done_to_each() -> None:
    candidate = Candidate(
        BuiltFrom.USE_IN_FILE,
        "Net()",
        then=("nn.init.constant_(_made.layer.weight, level)", "missing(_made)"),
        bindings=(("level", "0.25"),),
    )
    built = build(module_of(LINEAR), TraceModel("Net", (candidate,), 0))
    for model in (built.make(), built.make()):
        assert set(next(model.parameters()).flatten().tolist()) == {0.25}
