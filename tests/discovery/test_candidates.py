"""The ways to build a model that its file shows, and their order."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from gradlint.program import ModelDefinition, Program
from gradlint.protocol.wire import BuiltFrom, Candidate
from tests.discovery.conftest import Read

_IMPORTS = "import torch\nfrom torch import nn\n"
_NET = """
class Net(nn.Module):
    def __init__(self, n_in, n_hidden=8):
        super().__init__()
        self.layer = nn.Linear(n_in, n_hidden)
    def forward(self, x):
        return self.layer(x)
"""


def _model(program: Program, name: str = "Net") -> ModelDefinition:
    return next(model for model in program.models if model.name == name)


def _first(program: Program, name: str = "Net") -> Candidate:
    return _model(program, name).candidates[0]


def _evaluate(candidate: Candidate) -> tuple[str, list[object]]:
    """Build as the worker would, from bindings alone: the constructor's arguments, the inputs."""
    scope: dict[str, object] = {"torch": torch, "nn": nn, "Net": lambda *a, **k: (a, k)}
    for name, expression in candidate.bindings:
        scope[name] = eval(expression, scope)
    built = eval(candidate.constructor, scope)
    return repr(built), [eval(text, scope) for text in candidate.inputs or ()]


@pytest.mark.parametrize(
    ("init", "constructor"),
    [
        ("return [4, 8]", "Net(*get_init_inputs())"),
        ("return []", "Net(*get_init_inputs())"),
        ("return [[], {'n_in': 4}]", "Net(*get_init_inputs()[0], **get_init_inputs()[1])"),
        ("return {'n_in': 4}", "Net(**get_init_inputs())"),
    ],
    ids=["arguments", "nothing", "arguments and keywords", "keywords"],
)
def test_get_init_inputs_and_get_inputs_come_first(read: Read, init: str, constructor: str) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def get_inputs():
    return [torch.rand(2, 4)]
def get_init_inputs():
    {init}
net = Net(3)
""")
    assert _first(program) == Candidate(BuiltFrom.GET_INPUTS, constructor, ("*get_inputs()",))


def test_the_sources_come_in_the_order_of_built_from(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, n_in=4):
        super().__init__()
        self.example_input_array = torch.rand(2, 4)
        self.layer = nn.Linear(n_in, 3)
    def forward(self, x):
        return self.layer(x)
def get_inputs(): return [torch.rand(2, 4)]
def get_init_inputs(): return []
def net_small(): return Net(2)
if __name__ == "__main__":
    Net(5)
""")
    sources = [candidate.built_from for candidate in _model(program).candidates]
    order = list(BuiltFrom)
    assert sources == sorted(sources, key=order.index)
    assert set(sources) == {*order[2:6], BuiltFrom.DEFAULTS}


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("torch.rand(2, 4)", "self.example_input_array"),
        ("(torch.rand(2, 4), torch.rand(2))", "*self.example_input_array"),
        ("{'x': torch.rand(2, 4)}", "**self.example_input_array"),
    ],
    ids=["tensor", "tuple", "mapping"],
)
def test_lightnings_example_input_is_taken_from_the_built_model(
    read: Read, value: str, inputs: str
) -> None:
    program = read(f"""
import torch, lightning as L
class Net(L.LightningModule):
    def __init__(self, hidden_size=3):
        super().__init__()
        self.example_input_array = {value}
        self.layer = torch.nn.Linear(4, hidden_size)
    def forward(self, x): return self.layer(x)
""")
    assert _first(program) == Candidate(BuiltFrom.EXAMPLE_INPUT, "Net()", (inputs,))


@pytest.mark.parametrize(
    ("base", "init", "constructor"),
    [
        ("config_class = MyConfig", "config", "Net(Net.config_class())"),
        ("", "config: MyConfig", "Net(MyConfig())"),
        ("", "config: 'MyConfig'", "Net(MyConfig())"),
    ],
    ids=["config_class", "annotation", "quoted annotation"],
)
def test_a_hugging_face_model_is_built_from_its_configurations_defaults(
    read: Read, base: str, init: str, constructor: str
) -> None:
    program = read(f"""
import torch
from transformers import PreTrainedModel
from elsewhere import MyConfig
class Net(PreTrainedModel):
    {base or "pass"}
    def __init__(self, {init}):
        super().__init__(config)
        self.layer = torch.nn.Linear(config.hidden_size, 2)
    def forward(self, x): return self.layer(x)
""")
    found = [c for c in _model(program).candidates if c.built_from is BuiltFrom.EXAMPLE_INPUT]
    assert constructor in [candidate.constructor for candidate in found]


@pytest.mark.parametrize(
    "use",
    [
        "net = Net(4)\ny = net(torch.ones(2, 4))",
        "net = Net(4)\ny = net.forward(torch.ones(2, 4))",
        "y = Net(4)(torch.ones(2, 4))",
        "net = Net(4).to('cuda')\nx = torch.ones(2, 4, device='cuda')\ny = net(x.cuda())",
        "net = nn.DataParallel(Net(4)).cuda()\nnet.eval()\ny = net(torch.ones(2, 4).to('cuda:0'))",
        "net = torch.compile(Net(4))\ny = net(torch.ones(2, 4))",
        "n = 4\nnet = Net(n)\nx = torch.ones(2, n)\ny = net(x)",
        "def main():\n    size = 2 * 2\n    net = Net(size)\n    net(torch.ones(2, size))",
        "if __name__ == '__main__':\n    net = Net(4)\n    x = torch.ones(2, 4)\n    net(x)",
        "def build(n=4):\n    return Net(n)\nnet = build()\nnet(torch.ones(2, 4))",
        "def check(model):\n    model(torch.ones(2, 4))\ncheck(Net(4))",
        "def check(size):\n    net = Net(size)\n    net(torch.ones(2, size))\ncheck(4)",
        "def test_net():\n    net = Net(4)\n    x = torch.zeros(2, 4)\n    x = x + 1\n    net(x)",
        (
            "class TestNet:\n    def setUp(self):\n        self.net = Net(4)\n"
            "    def test(self):\n        self.net(torch.ones(2, 4))"
        ),
        (
            "class Trainer:\n    def __init__(self, n):\n        self.n = n\n"
            "        self.net = Net(self.n)\n"
            "    def run(self):\n        self.net(torch.ones(2, self.n))\nTrainer(4)"
        ),
        "sizes, rest = (4, 2), 1\nnet = Net(sizes[0])\nnet(torch.ones(sizes[::-1]))",
        "for n in [4, 8]:\n    net = Net(n)\n    net(torch.ones(2, n))",
        "x = torch.ones(20, 4)\nnet = Net(4)\nfor i in range(0, 20, 2):\n    net(x[i:i + 2])",
        (
            "from torch.utils.data import DataLoader, TensorDataset\nX = torch.ones(8, 4)\n"
            "loader = DataLoader(TensorDataset(X, X), batch_size=2, num_workers=4)\nnet = Net(4)\n"
            "for x, y in loader:\n    net(x.to('cuda'))"
        ),
        (
            "from tqdm import tqdm\nfrom torch.utils.data import DataLoader, TensorDataset\n"
            "X = torch.ones(8, 4)\nloader = DataLoader(TensorDataset(X, X), batch_size=2)\n"
            "net = Net(4)\nfor i, (x, y) in enumerate(tqdm(loader)):\n    net(x)"
        ),
    ],
    ids=[
        "call",
        "forward",
        "inline",
        "device",
        "parallel",
        "compiled",
        "variables",
        "function",
        "main",
        "through a function",
        "parameter",
        "size by parameter",
        "rebound",
        "test case",
        "trainer",
        "unpacked",
        "loop",
        "slices",
        "loader",
        "progress bar",
    ],
)
def test_a_use_in_the_file_gives_constructor_and_inputs(read: Read, use: str) -> None:
    candidate = _first(read(f"{_IMPORTS}{_NET}\n{use}\n"))
    assert candidate.built_from is BuiltFrom.USE_IN_FILE
    namespace = "from torch.utils.data import DataLoader, TensorDataset"
    scope: dict[str, object] = {"torch": torch, "nn": nn, "Net": lambda *a: a}
    exec(namespace, scope)
    for name, expression in candidate.bindings:
        scope[name] = eval(expression, scope)
    assert eval(candidate.constructor, scope) == (4,)
    assert candidate.inputs is not None
    (value,) = [eval(text, scope) for text in candidate.inputs]
    assert isinstance(value, torch.Tensor)
    assert (tuple(value.shape), str(value.device)) == ((2, 4), "cpu")


@pytest.mark.parametrize(
    ("call", "inputs"),
    [
        ("net(a, mask=b)", ("a", "mask=b")),
        ("net(*batch)", ("*batch",)),
        ("net(**batch)", ("**batch",)),
        ("net(a, *batch, mask=None)", ("a", "*batch", "mask=None")),
    ],
    ids=["keyword", "sequence", "mapping", "mixed"],
)
def test_inputs_keep_the_form_of_the_call(read: Read, call: str, inputs: tuple[str, ...]) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def main():
    a, b = torch.ones(2, 4), torch.ones(2)
    batch = [a]
    net = Net(4)
    {call}
""")
    assert _first(program).inputs == inputs


def test_only_the_bindings_that_are_needed_are_sent_and_in_order(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def main():
    unused = torch.ones(10)
    base = 2
    size = base * 2
    other = 7
    net = Net(size)
""")
    assert _first(program).bindings == (("base", "2"), ("size", "base * 2"))


def test_the_main_block_goes_before_functions_and_tests(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def test_net():
    Net(1)(torch.ones(1))
def helper():
    Net(2)(torch.ones(2))
if __name__ == "__main__":
    Net(3)(torch.ones(3))
""")
    assert [c.constructor for c in _model(program).candidates[:3]] == ["Net(3)", "Net(2)", "Net(1)"]


def test_a_call_that_keeps_no_gradient_is_made_as_in_training(read: Read) -> None:
    program = read(
        f"{_IMPORTS}{_NET}\nNet(4)(torch.rand(2, 4), eval_with_no_grad=True, top=True)\n"
    )
    inputs = ("torch.rand(2, 4)", "eval_with_no_grad=False", "top=True")
    assert _first(program).inputs == inputs


def test_a_use_with_inputs_goes_before_one_without(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def helper():
    Net(2)(torch.ones(2))
if __name__ == "__main__":
    Net(3)
""")
    with_inputs, without, *_ = _model(program).candidates
    assert (with_inputs.constructor, with_inputs.inputs) == ("Net(2)", ("torch.ones(2)",))
    assert (without.constructor, without.inputs) == ("Net(3)", None)


@pytest.mark.parametrize(
    "value",
    [
        "torch.load('x.pt')",
        "open('x').read()",
        "input()",
        "subprocess.check_output(['ls'])",
        "load_data()",
        "os.environ['X']",
        "torch.hub.load('a', 'b')",
        "MNIST('.', download=True)[0]",
        "requests.get('x')",
        "pd.read_csv('x')",
        "train()",
        "unheard_of",
    ],
)
def test_values_with_effects_or_from_nowhere_are_not_evaluated(read: Read, value: str) -> None:
    program = read(f"""{_IMPORTS}
import subprocess, os, requests
import pandas as pd
from torchvision.datasets import MNIST
{_NET}
def main():
    n = {value}
    net = Net(n)
""")
    assert {c.built_from for c in _model(program).candidates} == {BuiltFrom.NAMES}


def test_a_list_that_is_filled_later_is_not_taken_for_empty(read: Read) -> None:
    program = read(f"""{_IMPORTS}
def main(n):
    layers = []
    for i in range(n):
        layers.append(nn.Linear(2, 2))
    model = nn.Sequential(*layers)
    return model
main(3)
""")
    assert program.models == ()


def test_variables_of_one_name_in_two_scopes_are_renamed(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def make(n):
    size = n + 1
    return Net(size)
def main():
    size = 4
    net = make(size)
    net(torch.ones(2, size + 1))
""")
    candidate = _first(program)
    assert len({name for name, _ in candidate.bindings}) == len(candidate.bindings)
    built, inputs = _evaluate(candidate)
    assert built == "((5,), {})"
    assert isinstance(inputs[0], torch.Tensor)
    assert inputs[0].shape == (2, 5)


def test_argparse_gives_its_defaults(read: Read) -> None:
    program = read(f"""{_IMPORTS}
import argparse
{_NET}
def get_args():
    parser = argparse.ArgumentParser()
    parser.add_argument('--n-in', type=int, default='7')
    parser.add_argument('--lr', default=1e-3, type=float, dest='rate')
    parser.add_argument('--flag', action='store_true')
    parser.add_argument('--hidden-size', '-H', type=int, required=True)
    parser.add_argument('--name')
    return parser.parse_args()
def main(args):
    net = Net(args.n_in)
if __name__ == "__main__":
    args = get_args()
    main(args)
""")
    candidate = _first(program)
    namespace = eval(dict(candidate.bindings)["args"])
    assert vars(namespace) == {
        "n_in": 7,
        "rate": 1e-3,
        "flag": False,
        "hidden_size": 64,
        "name": None,
    }
    assert candidate.constructor == "Net(args.n_in)"


def test_options_are_those_of_the_file_in_a_function_that_another_process_calls(
    read: Read,
) -> None:
    program = read(f"""{_IMPORTS}
import argparse
{_NET}
parser = argparse.ArgumentParser()
parser.add_argument('--n-in', type=int, default=7)
def main():
    torch.multiprocessing.spawn(main_worker, (parser.parse_args(),), 2)
def main_worker(gpu, args):
    net = Net(args.n_in).cuda(gpu)
""")
    assert _evaluate(_first(program))[0] == "((7,), {})"


def test_what_is_made_of_an_option_after_the_parsing_is_its_value(read: Read) -> None:
    program = read(f"""{_IMPORTS}
import argparse
{_NET}
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--dims', default='7-5')
    parser.add_argument('--root', default='here')
    args = parser.parse_args()
    args.dims = list(map(lambda one: int(one), args.dims.split('-')))
    args.root = open(args.root).read()
    net = Net(args.dims[0])
""")
    candidate = _first(program)
    namespace = eval(dict(candidate.bindings)["args"])
    assert (namespace.dims, namespace.root) == ([7, 5], "here")


def test_click_gives_its_defaults(read: Read) -> None:
    program = read(f"""{_IMPORTS}
import click
{_NET}
@click.command()
@click.option('--n-in', default=7)
def main(n_in):
    net = Net(n_in)
""")
    assert _evaluate(_first(program))[0] == "((7,), {})"


def test_a_configuration_object_is_built_where_it_is_used(read: Read) -> None:
    program = read(f"""{_IMPORTS}
from dataclasses import dataclass
@dataclass
class Config:
    n: int = 7
class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.Linear(config.n, config.n)
    def forward(self, x): return self.layer(x)
if __name__ == "__main__":
    cfg = Config(n=9)
    net = Net(cfg)
""")
    candidates = _model(program).candidates
    assert (candidates[0].constructor, candidates[0].bindings) == (
        "Net(cfg)",
        (("cfg", "Config(n=9)"),),
    )
    assert Candidate(BuiltFrom.DEFAULTS, "Net(Config())") in candidates


_RESNET = f"""{_IMPORTS}
class Block(nn.Module):
    def __init__(self, inplanes, planes):
        super().__init__()
        self.conv = nn.Conv2d(inplanes, planes, 3)
    def forward(self, x): return self.conv(x)
class Net(nn.Module):
    def __init__(self, block, layers, num_classes=10):
        super().__init__()
        self.body = block(64, 64)
    def forward(self, x): return self.body(x)
"""


def test_factories_are_tried_from_the_smallest(read: Read) -> None:
    program = read(
        _RESNET
        + """
def net101(): return Net(Block, [3, 4, 23, 3])
def net50(): return Net(Block, [3, 4, 6, 3])
def net18():
    model = Net(Block, [2, 2, 2, 2])
    return model
"""
    )
    found = [c for c in _model(program).candidates if c.built_from is BuiltFrom.FACTORY]
    assert [c.constructor for c in found] == ["net18()", "net50()", "net101()"]


@pytest.mark.parametrize(
    ("factory", "constructor"),
    [
        ("def make(pretrained=False): return Net(Block, [2])", "make()"),
        ("def make(pretrained=True): return Net(Block, [2])", "make(pretrained=False)"),
        ("def make(*, pretrained=True, **kw): return Net(Block, [2])", "make(pretrained=False)"),
        ("def _m(b): return Net(b, [2])\ndef make(**kw): return _m(Block)", "make()"),
        ("def make(): return build_model(Net, 'x')", "make()"),
        ("def make(): return Net(Block, [2]).cuda()", "make()"),
    ],
    ids=["plain", "weights", "keyword only", "through a helper", "registry", "moved"],
)
def test_a_factory_is_called_without_weights(read: Read, factory: str, constructor: str) -> None:
    program = read(f"from somewhere import build_model\n{_RESNET}\n{factory}\n")
    assert Candidate(BuiltFrom.FACTORY, constructor) in _model(program).candidates


@pytest.mark.parametrize(
    "function",
    [
        "def make(n): return Net(Block, [n])",
        "def train_net(): return Net(Block, [2])",
        "def make(): return 3",
        "async def make(): return Net(Block, [2])",
    ],
    ids=["needs arguments", "trains", "returns something else", "is asynchronous"],
)
def test_other_functions_are_no_factories(read: Read, function: str) -> None:
    candidates = _model(read(f"{_RESNET}\n{function}\n")).candidates
    assert all(candidate.built_from is not BuiltFrom.FACTORY for candidate in candidates)


def test_a_class_inside_a_function_is_reached_by_the_function_only(read: Read) -> None:
    program = read(f"""{_IMPORTS}
def make():
    class Local(nn.Module):
        def __init__(self): super().__init__(); self.l = nn.Linear(1, 1)
        def forward(self, x): return self.l(x)
    return Local()
def lost():
    class Hidden(nn.Module):
        def __init__(self): super().__init__(); self.l = nn.Linear(1, 1)
        def forward(self, x): return self.l(x)
""")
    assert _model(program, "make.Local").candidates == (Candidate(BuiltFrom.FACTORY, "make()"),)
    assert _model(program, "lost.Hidden").candidates == ()


def test_a_constructor_with_defaults_needs_nothing(read: Read) -> None:
    program = read(_IMPORTS + _NET.replace("self, n_in,", "self, n_in=2,"))
    assert _model(program).candidates == (Candidate(BuiltFrom.DEFAULTS, "Net()"),)


@pytest.mark.parametrize(
    ("parameters", "body", "arguments"),
    [
        ("in_channels, num_classes, dropout", "", "3, 10, 0.1"),
        ("vocab_size, d_model, nhead, num_layers", "", "1000, 64, 4, 2"),
        ("inDim, hiddenDim", "", "64, 64"),
        ("img_size, patch_size", "", "32, 4"),
        ("*, hidden_size", "", "hidden_size=64"),
        ("a: Optional[int], b: int | None, c: Union[int, None]", "", "None, None, None"),
        ("flag: bool, mode: Literal['x', 'y']", "", "False, 'x'"),
        ("sizes: List[int], pair: Tuple[int, int]", "", "[64, 64, 10], [64, 64]"),
        ("channels: List[int]", "", "[64, 64, 64, 64]"),
        ("foo: int, bar: float", "", "8, 0.1"),
        ("foo: Union[float, List[float]], bar: int | list[int]", "", "0.1, 8"),
        ("norm_layer, act_layer", "", "nn.BatchNorm2d, nn.GELU"),
        ("act_fn: str", "", "'gelu'"),
        ("act", "self.act = act()", "nn.ReLU"),
        ("act", "if act == 'swish': pass", "'swish'"),
        ("H, D", "self.l = nn.Linear(D, H)", "64, 64"),
        ("foo, bar", "self.l = nn.Linear(foo, 3)\nfor i in range(bar): pass", "64, 2"),
        ("act", "self.l = nn.Linear(3, act)", "64"),
        ("channels", "self.a = channels[0]; self.b = channels[2]", "[64, 64, 64]"),
        ("depth", "assert isinstance(depth, tuple), 'no'", "(2, 2, 2, 2)"),
        ("layers", "for i in range(layers): pass", "2"),
        ("planes, compress", "self.l = nn.Linear(planes, planes // compress)", "64, 8"),
        ("params", "self.l = nn.Linear(params['hidden_dim'], 3)", "dict(hidden_dim=64)"),
        ("backbone: nn.Module", "", "PassThrough()"),
        ("message: Callable", "self.n = message.width", "PassThrough(width=64)"),
        ("parts: Sequence[nn.Module]", "", "[PassThrough(), PassThrough()]"),
        ("base", "self.w = torch.zeros(base.weight.shape)", "nn.Linear(64, 64)"),
        ("conv", "self.c = conv; self.n = conv.out_channels", "nn.Conv2d(3, 64, 3)"),
        ("table", "self.l = nn.Linear(table.embedding_dim, 3)", "nn.Embedding(1000, 64)"),
        ("encoder", "", "Encoder(64)"),
        ("block, layers", "self.x = block(3, 3)", "ResBlock, [2, 2, 2, 2]"),
        ("resblock_kernel_sizes", "self.n = len(resblock_kernel_sizes)", "[3, 3, 3, 3]"),
        ("num_res_blocks", "for i in range(num_res_blocks): pass", "2"),
        ("resolutions", "self.attends = 4 in resolutions", "[64, 64, 64, 64]"),
        ("attends: List[bool], num_channels: List[int]", "", f"{[False] * 4}, [64, 64, 64, 64]"),
        ("channels: List[int], depths=(1, 1, 2), size=(7, 7)", "", "[64, 64, 64]"),
        ("image_size: List[int], spatial_dims: int = 3", "", "[32, 32, 32]"),
        ("window_size: List[int], depths=(1, 1, 2)", "", "[4, 4]"),
        ("in_channels, input_shape", "", "3, (32, 32)"),
        ("input_shape, channels: List[int]", "", "(3, 32, 32), [64, 64, 64, 64]"),
        ("extract_levels: List[int]", "", "[0, 1, 2, 3]"),
        ("num_channel_initial", "", "64"),
        ("kernel_size, upsample_kernel_size", "", "3, 2"),
        ("n_chns_1, num_channels", "", "64, 3"),
        ("size: int | List[int]", "self.n = size[0] * size[1]", "[32, 32]"),
        ("size: int | List[int]", "size = pair(size); self.n = size[0] * size[1]", "32"),
        ("mode: str", "", "''"),
        ("dims: Union[Tuple[int, int], int]", "self.n = dims[0]", "[64, 64]"),
        ("config: dict", "self.l = nn.Linear(**config)", "dict()"),
        ("in_channels", "in_channels = 9; self.l = nn.Linear(in_channels, 3)", "3"),
        ("in_channels", "in_channels = in_channels or 9; nn.Linear(in_channels, 3)", "64"),
    ],
    ids=lambda value: value.replace("\n", "; ") or "-",
)
def test_required_parameters_are_filled_by_annotation_name_and_use(
    read: Read, parameters: str, body: str, arguments: str
) -> None:
    indented = body.replace("\n", "\n        ") or "pass"
    program = read(f"""{_IMPORTS}
from typing import List, Literal, Optional, Tuple, Union
class Encoder(nn.Module):
    def __init__(self, hidden_size): self.l = nn.Linear(hidden_size, 1)
class ResBlock(nn.Module):
    def __init__(self, inplanes, planes): self.l = nn.Linear(inplanes, 1)
class Net(nn.Module):
    def __init__(self, {parameters}):
        super().__init__()
        {indented}
    def forward(self, x): return x
""")
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, f"Net({arguments})"),)


@pytest.mark.parametrize(
    "parameters",
    ["config", "cfg", "config: Config", "config: 'Config'"],
)
def test_a_configuration_class_of_the_file_is_built_from_its_defaults(
    read: Read, parameters: str
) -> None:
    name = parameters.split(":", maxsplit=1)[0]
    program = read(f"""{_IMPORTS}
class Config:
    hidden_size: int
    layers: int = 2
class Net(nn.Module):
    def __init__(self, {parameters}):
        super().__init__()
        self.layer = nn.Linear({name}.hidden_size, 2)
    def forward(self, x): return x
""")
    expected = Candidate(BuiltFrom.DEFAULTS, "Net(Config(hidden_size=64))")
    assert _first(program) == expected


def test_an_untyped_configuration_is_a_namespace_of_what_is_read_from_it(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Block(nn.Module):
    def __init__(self, opt): self.l = nn.Linear(opt.d_model, opt.n_head)
    def forward(self, x): return x
class Net(nn.Module):
    def __init__(self, opt):
        super().__init__()
        self.e = nn.Embedding(opt.vocab_size, opt.d_model)
        self.b = Block(opt)
    def forward(self, x): return x
""")
    (candidate,) = _model(program).candidates
    assert candidate.built_from is BuiltFrom.NAMES
    text = candidate.constructor.removeprefix("Net(").removesuffix(")")
    assert vars(eval(text)) == {"vocab_size": 1000, "d_model": 64, "n_head": 4}


def test_arguments_that_are_not_in_sight_leave_those_that_are(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, vocab_size, hidden_size, depth, dropout=0.1):
        super().__init__()
        self.layer = nn.Linear(hidden_size, vocab_size)
    def forward(self, x): return self.layer(x)
def main(data):
    model = Net(len(data.words), 96, depth=12, dropout=data.rate).cuda()
""")
    constructor = "Net(vocab_size=1000, hidden_size=96, depth=12)"
    assert _first(program) == Candidate(BuiltFrom.NAMES, constructor)


def test_a_part_with_an_argument_that_is_not_in_sight_is_completed(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Encoder(nn.Module):
    def __init__(self, vocab_size, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(vocab_size, 4) for _ in range(depth))
    def forward(self, x): return x
class Net(nn.Module):
    def __init__(self, encoder, width):
        super().__init__()
        self.encoder, self.out = encoder, nn.Linear(4, width)
    def forward(self, x): return self.out(self.encoder(x))
def main(data):
    encoder = Encoder(len(data.words), 12)
    model = Net(encoder, 7)
""")
    bindings = (("encoder", "Encoder(vocab_size=1000, depth=12)"),)
    assert _first(program) == Candidate(BuiltFrom.NAMES, "Net(encoder, 7)", None, bindings)
    assert [model.name for model in program.models if model.root] == ["Net"]


def test_a_construction_of_which_nothing_is_in_sight_says_nothing(read: Read) -> None:
    program = read(f"{_IMPORTS}{_NET}\ndef main(data):\n    return Net(data.width)\n")
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64)"),)


def test_a_part_of_a_configuration_that_is_indexed_is_a_sequence(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, envs):
        super().__init__()
        size = envs.observation_space.shape[0]
        self.layers = nn.ModuleList(nn.Linear(size, n) for n in envs.counts)
        self.out = nn.Linear(envs.counts[2], envs.action_space.n)
    def forward(self, x): return x
""")
    (candidate,) = _model(program).candidates
    envs = eval(candidate.constructor.removeprefix("Net(").removesuffix(")"))
    assert envs.observation_space.shape == (64,)
    assert envs.counts == [64, 64, 64]
    assert envs.action_space.n == 64


def test_a_space_of_observations_has_a_shape(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, observation_space, weights):
        super().__init__()
        self.layer = nn.Linear(observation_space.shape[0], weights.shape[1])
    def forward(self, x): return self.layer(x)
""")
    (candidate,) = _model(program).candidates
    assert "SimpleNamespace(shape=(64,))" in candidate.constructor
    assert candidate.constructor.count("shape") == 1


def test_an_inherited_constructor_in_another_file_is_filled_too(read: Read) -> None:
    base = f"{_IMPORTS}{_NET.replace('Net', 'Base')}"
    program = read("from base import Base\nclass Net(Base): pass\n", others={"base.py": base})
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64)"),)


def test_a_parameter_that_says_nothing_begins_as_a_size(read: Read) -> None:
    program = read(_IMPORTS + _NET.replace("self, n_in,", "self, quux,"))
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64)"),)


def test_a_file_to_be_read_is_not_made_up(read: Read) -> None:
    program = read(_IMPORTS + _NET.replace("self, n_in,", "self, config_path,"))
    assert _model(program).candidates == ()


def test_an_annotated_parameter_that_says_nothing_leaves_no_candidate(read: Read) -> None:
    program = read(_IMPORTS + _NET.replace("self, n_in,", "self, quux: Quux,"))
    assert _model(program).candidates == ()


def test_the_arguments_inside_another_model_serve_a_block(read: Read) -> None:
    program = read(
        _IMPORTS
        + """
class Block(nn.Module):
    def __init__(self, quux):
        super().__init__()
        self.l = nn.Linear(3, 3)
    def forward(self, x): return self.l(x)
class Net(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.block = Block(width // 2)
    def forward(self, x): return self.block(x)
"""
    )
    expected = Candidate(BuiltFrom.USE_IN_FILE, "Block(width // 2)", None, (("width", "48"),))
    assert _first(program, "Block") == expected


def test_what_only_the_main_block_imports_is_imported_for_the_candidate(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
def main():
    import math
    from collections import OrderedDict as Ordered
    import os.path as path
    import xml.dom
    net = Net(math.isqrt(16), Ordered(), path.sep, xml.dom.EMPTY_NAMESPACE)
""")
    candidate = _first(program)
    assert [name for name, _ in candidate.bindings] == ["math", "Ordered", "path", "xml"]
    assert _evaluate(candidate)[0] == "((4, OrderedDict(), '/', None), {})"


def test_a_class_of_the_main_block_cannot_be_reached(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
if __name__ == "__main__":
    class Part(nn.Module):
        def __init__(self): self.l = nn.Linear(1, 1)
        def forward(self, x): return x
    def make(): return Net(3)
    net = Net(Part())
""")
    assert _model(program, "Part").candidates == ()
    assert [c.constructor for c in _model(program).candidates] == ["Net(3)", "Net(64)"]


_WRAPPER = """
class Wrapper(nn.Module):
    def __init__(self, {name}, dim):
        super().__init__()
        self.inner = {name}
        self.norm = nn.LayerNorm(dim)
    def forward(self, x):
        return self.norm(self.inner(x))
"""


def test_a_module_that_is_called_in_forward_is_passed_through(read: Read) -> None:
    program = read(_IMPORTS + _WRAPPER.format(name="fn"))
    [candidate] = _model(program, "Wrapper").candidates
    assert candidate == Candidate(BuiltFrom.NAMES, "Wrapper(PassThrough(), 64)")


def test_a_module_that_is_called_by_its_forward_is_passed_through(read: Read) -> None:
    source = _WRAPPER.format(name="fn").replace("self.inner(", "self.inner.forward(")
    assert _first(read(_IMPORTS + source), "Wrapper").constructor == "Wrapper(PassThrough(), 64)"


def test_a_module_that_is_called_in_forward_is_the_one_of_the_file_named_alike(read: Read) -> None:
    encoder = _NET.replace("class Net", "class ConvEncoder")
    program = read(_IMPORTS + encoder + _WRAPPER.format(name="encoder"))
    candidate = _first(program, "Wrapper")
    assert candidate.constructor == "Wrapper(ConvEncoder(64), 64)"


def test_a_module_is_the_one_of_the_file_that_it_is_named_after(read: Read) -> None:
    message = _NET.replace("class Net", "class PlainMessage").replace(
        "super().__init__()", "super().__init__(); self.out_channels = 2"
    )
    wrapper = _WRAPPER.format(name="message_module").replace(
        "nn.LayerNorm(dim)", "nn.LayerNorm(message_module.out_channels)"
    )
    candidate = _first(read(_IMPORTS + message + wrapper), "Wrapper")
    assert candidate.constructor == "Wrapper(PlainMessage(64), 64)"


def test_a_module_of_the_file_lacks_what_is_read_of_it(read: Read) -> None:
    message = _NET.replace("class Net", "class PlainMessage")
    wrapper = _WRAPPER.format(name="message_module").replace(
        "nn.LayerNorm(dim)", "nn.LayerNorm(message_module.breadth)"
    )
    candidate = _first(read(_IMPORTS + message + wrapper), "Wrapper")
    assert candidate.constructor == "Wrapper(PassThrough(breadth=64), 64)"


def test_a_network_maps_between_the_sizes_that_the_docstring_tells(read: Read) -> None:
    program = read(
        _IMPORTS
        + '''
class Edges(nn.Module):
    """Runs a network on edges.

    Args:
        dim (int): The size of each node.
        mapping (Callable): A neural network that maps edge features of shape
            :obj:`[-1, num_edge_features]` to shape :obj:`[-1, 2 * dim + 1]`.
        width (int): Another size.
    """
    def __init__(self, dim: int, mapping: Callable, width: int):
        super().__init__()
        self.mapping = mapping
        self.line = nn.Linear(dim, width)
    def forward(self, x): return self.mapping(self.line(x))
'''
    )
    assert _first(program, "Edges").constructor == "Edges(64, nn.Linear(64, 129), 64)"


def test_a_part_of_a_class_that_leaves_its_forward_open_is_left_to_the_worker(read: Read) -> None:
    base = (
        _IMPORTS + "class Conv(nn.Module):\n    def forward(self, x): raise NotImplementedError\n"
    )
    source = _WRAPPER.format(name="conv").replace("conv,", "conv: Conv,")
    program = read(_IMPORTS + "from bases import Conv\n" + source, others={"bases.py": base})
    assert _model(program, "Wrapper").candidates == ()


def test_nested_settings_are_filled_as_deep_as_they_are_read(read: Read) -> None:
    program = read(
        _IMPORTS
        + """
class Net(nn.Module):
    def __init__(self, opt):
        super().__init__()
        self.opt = opt
        self.layer = nn.Linear(opt.model.hidden_size, opt.n_classes)
    def forward(self, x): return self.layer(x) * self.opt.quux
"""
    )
    text = _first(program).constructor.removeprefix("Net(").removesuffix(")")
    settings = eval(text)
    assert vars(settings.model) == {"hidden_size": 64}
    assert (settings.n_classes, settings.quux) == (10, 64)


def test_settings_beside_a_file_count_more_than_the_options_of_another_program(
    read: Read,
) -> None:
    options = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--{}', default=48)"
    others = {
        "other/train.py": options.format("deep"),
        "own/conf/base.yaml": "model:\n  deep: 7\n  wide: 9\n",
        "own/train.py": options.format("wide"),
    }
    source = """
class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.layer = nn.Linear(cfg["wide"], cfg["deep"])
    def forward(self, x): return self.layer(x)
"""
    program = read(_IMPORTS + source, others=others, name="own/model.py")
    assert _first(program).constructor == "Net(dict(wide=48, deep=7))"


def test_a_setting_has_the_value_that_the_project_gives_it(read: Read) -> None:
    options = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--wide', default=48)"
    others = {"train.py": options, "conf/base.yaml": "model:\n  deep: 7  # layers\n"}
    source = """
class Net(nn.Module):
    def __init__(self, opt):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(opt.wide, 2) for _ in range(opt.deep))
    def forward(self, x): return x
"""
    program = read(_IMPORTS + source, others=others)
    text = _first(program).constructor.removeprefix("Net(").removesuffix(")")
    assert vars(eval(text)) == {"wide": 48, "deep": 7}


def test_an_option_has_the_number_that_its_default_comes_to(read: Read) -> None:
    options = "HOURS = 24\np.add_argument('--window', type=int, default=HOURS * 7)"
    source = """
class Net(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.layer = nn.Linear(args.window, 2)
    def forward(self, x): return self.layer(x)
"""
    program = read(_IMPORTS + source, others={"main.py": options})
    assert "window=168" in _first(program).constructor


def test_a_class_of_the_same_name_in_another_folder_is_another(read: Read) -> None:
    others = {
        "sums/model.py": f"{_IMPORTS}{_NET}",
        "sums/train.py": "from sums.model import *\nnet = Net(5)\n",
        "words/train.py": "from words.model import *\nnet = Net(7)\n",
    }
    program = read(_IMPORTS + _NET, name="words/model.py", others=others)
    assert _first(program).constructor == "Net(n_in=7)"
    assert not any("5" in candidate.constructor for candidate in _model(program).candidates)


def test_a_number_that_some_branch_adds_to_is_not_known(read: Read) -> None:
    source = f"""{_NET}
class Whole(nn.Module):
    def __init__(self, adaptive=True, count=0):
        super().__init__()
        self.length = count
        if adaptive:
            self.length += 1
        self.net = Net(self.length, 4)
    def forward(self, x): return self.net(x)
"""
    program = read(_IMPORTS + source)
    assert _first(program).constructor == "Net(n_in=64, n_hidden=4)"


_INSTANTIATED = """
model:
  # the smallest
  _target_: models.model.Net
  n_hidden: 48
  n_in:
    - 3
    - 5
  rate: ${other.rate}
other:
  n_hidden: 7
"""


def test_a_settings_file_names_the_class_of_a_model_beside_its_arguments(read: Read) -> None:
    program = read(
        _IMPORTS + _NET, others={"conf/base.yaml": _INSTANTIATED}, name="models/model.py"
    )
    found = Candidate(BuiltFrom.USE_IN_PROJECT, "Net(n_hidden=48, n_in=[3, 5])")
    assert _first(program) == found


def test_a_settings_file_that_names_another_class_says_nothing(read: Read) -> None:
    others = {"conf/base.yaml": _INSTANTIATED.replace("models.model", "layers.other")}
    program = read(_IMPORTS + _NET, others=others, name="models/model.py")
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64)"),)


_CONFIGURED = """
class Net(nn.Module):
    def __init__(self, n_in, n_flows, dropout=0.5):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(n_in, n_in) for _ in range(n_flows)])
    def forward(self, x): return self.layers[0](x)
"""
_JSON = """
{"train": {"rate": 0.1, "n_in": 7},
 "critic": {"n_in": 5, "n_flows": 3},
 "net_config": {"n_in": 80, "n_flows": 12}}
"""
_YAML = """
train:
  rate: 0.1
net:  # the one that is published
  n_in: 80
  n_flows: 12
  dropout: 0.1
critic:
  n_in: 5
"""


def test_a_table_of_json_that_holds_what_the_constructor_needs_is_what_it_is_given(
    read: Read,
) -> None:
    program = read(_IMPORTS + _CONFIGURED, others={"config.json": _JSON})
    found = Candidate(BuiltFrom.USE_IN_PROJECT, "Net(n_in=80, n_flows=12)")
    assert _first(program) == found


def test_a_table_of_yaml_that_holds_what_the_constructor_needs_is_what_it_is_given(
    read: Read,
) -> None:
    program = read(_IMPORTS + _CONFIGURED, others={"config.yaml": _YAML})
    found = Candidate(BuiltFrom.USE_IN_PROJECT, "Net(n_in=80, n_flows=12, dropout=0.1)")
    assert _first(program) == found


def test_what_yaml_calls_none_is_a_word_as_for_a_norm_that_is_left_out(read: Read) -> None:
    source = """
class Net(nn.Module):
    def __init__(self, width, norm):
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if norm == "ln" else nn.Identity()
    def forward(self, x): return self.norm(self.layer(x))
"""
    program = read(_IMPORTS + source, others={"config.yaml": "net:\n  width: 8\n  norm: none\n"})
    assert _first(program).constructor == "Net(width=8, norm='none')"


def test_a_table_that_holds_other_settings_as_well_is_a_guess(read: Read) -> None:
    table = '{"n_in": 8, "n_flows": 4, "rate": 0.1}'
    program = read(_IMPORTS + _CONFIGURED, others={"config.json": table})
    assert _first(program) == Candidate(BuiltFrom.NAMES, "Net(n_in=8, n_flows=4)")


def test_a_table_that_lacks_what_the_constructor_needs_tells_its_depth_alone(read: Read) -> None:
    program = read(_IMPORTS + _CONFIGURED, others={"config.json": '{"net": {"n_flows": 4}}'})
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64, 4)"),)


def test_what_is_looked_up_in_a_table_is_one_of_its_keys(read: Read) -> None:
    source = """
ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
class Net(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(4, 4), ACTIVATIONS[activation]())
    def forward(self, x): return self.layer(x)
"""
    assert _first(read(_IMPORTS + source)).constructor == "Net('tanh')"


def test_a_network_of_a_search_for_hyperparameters_is_made_with_a_trial(read: Read) -> None:
    program = read(
        _IMPORTS
        + """
def define(trial):
    layers = [nn.Linear(4, 4) for _ in range(trial.suggest_int("depth", 1, 5))]
    return nn.Sequential(*layers)
"""
    )
    made = Candidate(BuiltFrom.NAMES, "define(LargestTrial())")
    assert _model(program, "define").candidates == (made,)


_STAGES = """
class Net(nn.Module):
    def __init__(self, depth, num_classes):
        super().__init__()
        assert (depth - 2) % 6 == 0
        blocks = (depth - 2) // 6
        self.stages = nn.Sequential(*[Stage(blocks) for _ in range(3)])
    def forward(self, x): return self.stages(x)
class Stage(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(4, 4) for _ in range(blocks)])
    def forward(self, x): return self.layers(x)
"""


def test_a_depth_is_the_one_that_an_option_of_the_project_has(read: Read) -> None:
    others = {"train.py": "parser.add_argument('--depth', default=110)"}
    assert _first(read(_IMPORTS + _STAGES, others=others)).constructor == "Net(110, 10)"


def test_a_depth_that_is_parted_into_stages_leaves_blocks_to_each(read: Read) -> None:
    program = read(_IMPORTS + _STAGES)
    assert _first(program).constructor == "Net(20, 10)"
    assert ("depth", "20") in _first(program, "Stage").bindings


_SECTIONS = "[cnn]\nfilters = 80,60  ; each\nAct=relu, tanh\n[dnn]\ndropout: 0.3\nnorm = True\n"
_OPTIONS = """
class Net(nn.Module):
    def __init__(self, options):
        super().__init__()
        self.filters, self.act = options["filters"], options["Act"]
        self.dropout, self.norm = options["dropout"], options["norm"]
        self.l = nn.Linear(4, 4)
    def forward(self, x): return self.l(x)
"""


def test_a_settings_file_with_sections_gives_numbers_words_and_lists(read: Read) -> None:
    constructor = _first(read(_IMPORTS + _OPTIONS, others={"net.cfg": _SECTIONS})).constructor
    expected = "dict(filters=[80, 60], Act=['relu', 'tanh'], dropout=0.3, norm=True)"
    assert constructor == f"Net({expected})"


def test_a_description_of_layers_is_no_settings_file(read: Read) -> None:
    layers = _SECTIONS.replace("[dnn]", "[cnn]")
    constructor = _first(read(_IMPORTS + _OPTIONS, others={"net.cfg": layers})).constructor
    assert "80" not in constructor


def test_a_depth_that_is_counted_is_no_list(read: Read) -> None:
    counted = _STAGES.replace("depth", "layers").replace("assert (layers - 2) % 6 == 0", "")
    counted = counted.replace("(layers - 2) // 6", "len(range(layers))")
    others = {"train.py": "parser.add_argument('--layers', default=20)"}
    assert _first(read(_IMPORTS + counted, others=others)).constructor == "Net(20, 10)"


_CELLS = """
class Net(nn.Module):
    def __init__(self, genotype):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(4, 4) for _ in genotype.normal])
        self.concat = genotype.concat
    def forward(self, x): return self.layers(x)
"""
_GENOTYPES = """
from collections import namedtuple
Genotype = namedtuple("Genotype", "normal concat")
FIRST = Genotype(normal=["pool"], concat=[1])
SECOND = Genotype(normal=["skip", "conv"], concat=[2, 3])
"""


def test_what_has_all_that_is_read_of_an_argument_is_a_constant_of_the_file(read: Read) -> None:
    assert _first(read(_IMPORTS + _GENOTYPES + _CELLS)).constructor == "Net(SECOND)"


def test_what_has_all_that_is_read_of_an_argument_is_a_constant_of_the_project(read: Read) -> None:
    constructor = _first(read(_IMPORTS + _CELLS, others={"cells.py": _GENOTYPES})).constructor
    assert "SimpleNamespace(normal=['skip', 'conv'], concat=[2, 3])" in constructor


_TRAINING = "from model import Net\nwidth = 48\nnet = Net({arguments})\n"


def test_a_construction_in_another_file_gives_the_arguments(read: Read) -> None:
    others = {"train.py": _TRAINING.format(arguments="width // 2, n_hidden=4")}
    program = read(_IMPORTS + _NET, others=others)
    expected = Candidate(
        BuiltFrom.USE_IN_PROJECT, "Net(n_in=width // 2, n_hidden=4)", None, (("width", "48"),)
    )
    assert _first(program) == expected


def test_a_class_that_another_file_imports_by_another_name_is_constructed_there(read: Read) -> None:
    training = _TRAINING.replace("import Net", "import Net as Model").replace("Net(", "Model(")
    program = read(_IMPORTS + _NET, others={"train.py": training.format(arguments="5, n_hidden=4")})
    made = Candidate(BuiltFrom.USE_IN_PROJECT, "Net(n_in=5, n_hidden=4)")
    assert _first(program) == made


def test_what_the_project_constructs_counts_more_than_the_defaults_of_a_class(read: Read) -> None:
    source = """
class Net(nn.Module):
    def __init__(self, width=4, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
    def forward(self, x): return x
"""
    made = "from model import Net\ndata = load()\nNet({})\n"
    program = read(_IMPORTS + source, others={"test_model.py": made.format("8, depth=1")})
    assert _first(program) == Candidate(BuiltFrom.DEFAULTS, "Net()")
    program = read(_IMPORTS + source, others={"train.py": made.format("8, depth=30")})
    assert _first(program) == Candidate(BuiltFrom.USE_IN_PROJECT, "Net(width=8, depth=30)")
    program = read(_IMPORTS + source, others={"train.py": made.format("data.shape[1], 30")})
    assert _first(program) == Candidate(BuiltFrom.NAMES, "Net(depth=30)")


@pytest.mark.parametrize("loading", [False, True], ids=["defines", "loads data as well"])
def test_a_part_that_a_script_makes_is_made_by_it_if_it_only_defines(
    read: Read, *, loading: bool
) -> None:
    source = """
class Siamese(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, a, b): return self.net(a) - self.net(b)
"""
    script = """
from torch import nn
from model import Siamese
WIDTH = 8
{}
def encoder(width):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))
if __name__ == "__main__":
    model = Siamese(encoder(WIDTH))
"""
    data = "data = open('data.csv').read()" if loading else "names = ['a', 'b']"
    program = read(_IMPORTS + source, others={"main.py": script.format(data)}, name="model.py")
    made = [candidate.constructor for candidate in program.models[0].candidates]
    assert ("Siamese(net=encoder(WIDTH))" in made) is not loading


_TESTS = """
import pytest
from model import Net
from checks.helpers import SIZES, columns

@pytest.fixture(name="other")
def unused(): return 3

@pytest.fixture
def size():
    width = 12
    return width * 2

{decorator}
def test_it(n_in, n_hidden, size, shared):
    _, wide = columns(n_hidden)
    assert Net({arguments}) is not None
"""


@pytest.mark.parametrize(
    ("decorator", "arguments", "expected"),
    [
        ("@pytest.mark.parametrize('n_in, n_hidden', [(5, 7), (6, 8)])", "n_in, n_hidden", "5 7"),
        ("@pytest.mark.parametrize(['n_in'], [[5], [6]])", "n_in, size", "5 24"),
        ("@pytest.mark.parametrize('n_in', (5, 6))", "n_in, size", "5 24"),
        ("@pytest.mark.parametrize('n_in', [pytest.param(5, id='five')])", "n_in, 7", "5 7"),
        ("@pytest.mark.parametrize('n_in', SIZES)", "n_in, 7", "20 7"),
        ("@pytest.mark.parametrize('n_hidden', [9])", "2, wide", "2 10"),
        ("", "shared, shared + 1", "31 32"),
    ],
    ids=["pairs", "lists", "one", "marked", "a table of the project", "a helper", "a fixture"],
)
def test_a_test_gives_what_it_is_given_itself(
    read: Read,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decorator: str,
    arguments: str,
    expected: str,
) -> None:
    others = {
        "checks/test_net.py": _TESTS.format(decorator=decorator, arguments=arguments),
        "conftest.py": "import pytest\n@pytest.fixture()\ndef shared(): return 31\n",
        "checks/helpers.py": "SIZES = (20, 30)\ndef columns(n): return n, n + 1\n",
    }
    candidate = _first(read(_IMPORTS + _NET, others=others))
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"Net": lambda *sizes, **named: (*sizes, *named.values())}
    for name, text in candidate.bindings:
        names[name] = eval(text, names)
    assert eval(candidate.constructor, names) == tuple(map(int, expected.split()))


_BRANCHES = """
import argparse, os
import torch.nn as nn
parser = argparse.ArgumentParser()
parser.add_argument("--data", default="large")
parser.add_argument("--deep", action="store_true")
parser.add_argument("--factor", type=float, default=2.0)
parser.add_argument("--path")
parser.add_argument("--kind", default="a")
args = parser.parse_args()
MODE = "fast"
if args.path is None:
    args.kind = "b"

class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size, 1)
    def forward(self, x): return self.layer(x)

def main():
    {before}
    if {test}:
        size = 1
    elif {other}:
        size = 2
    else:
        size = 3
    Net(size)
main()
"""


@pytest.mark.parametrize(
    ("test", "other", "expected"),
    [
        ("args.data == 'small'", "args.data == 'large'", "2"),
        ("args.data != 'large'", "args.data in ('small', 'tiny')", "3"),
        ("args.deep", "MODE == 'fast'", "2"),
        ("not args.deep", "True", "1"),
        ("args.factor < 2", "args.factor >= 2 and args.path is None", "2"),
        ("args.deep or args.data == 'tiny'", "args.path", "3"),
        ("os.environ.get('X')", "args.data == 'small'", "1"),
        ("os.environ.get('X')", "args.data == 'large'", "1"),
        ("args.kind == 'b'", "args.kind == 'a'", "1"),
    ],
    ids=[
        "the second",
        "none",
        "a flag and a constant",
        "no flag",
        "numbers",
        "either",
        "what is not in sight",
        "what is not in sight before",
        "an option that is set later",
    ],
)
def test_the_branch_counts_that_runs_by_the_defaults_of_options(
    read: Read, test: str, other: str, expected: str
) -> None:
    source = _BRANCHES.format(test=test, other=other, before="pass")
    assert dict(_first(read(source)).bindings)["size"] == expected


def test_a_value_is_replaced_only_in_a_branch_that_runs(read: Read) -> None:
    for test, expected in (("args.data == 'large'", "1"), ("args.deep", "9")):
        source = _BRANCHES.format(test=test, other="args.deep", before="size = 9")
        source = source.replace("else:\n        size = 3", "else:\n        pass")
        assert dict(_first(read(source)).bindings)["size"] == expected


_MAKER = """
from model import Net
def net_defaults():
    return dict(width=48, steps="16,8", scale=True)
def make_net(width, steps, out=2{more}):
    sizes = []
    for step in steps.split(","):
        sizes.append(width // int(step))
    {statement}
"""


def test_a_function_of_another_file_makes_a_model_of_what_it_works_out(read: Read) -> None:
    makers = _MAKER.format(more="", statement="return Net(sizes[0], out)")
    candidate = _first(read(_IMPORTS + _NET, others={"script_util.py": makers}))
    assert candidate.built_from is BuiltFrom.FACTORY
    made = "__import__('importlib').import_module('script_util').make_net"
    assert candidate.constructor == f"{made}(width=48, steps='16,8')"


@pytest.mark.parametrize(
    ("more", "statement"),
    [
        (", path", "return Net(sizes[0], out)"),
        ("", "return Net(sizes[0], out) if width > 8 else sizes"),
        ("", "Net(sizes[0], out)"),
    ],
    ids=["of what nobody knows", "or something else", "and keeps it"],
)
def test_a_function_of_another_file_makes_no_model(read: Read, more: str, statement: str) -> None:
    makers = _MAKER.format(more=more, statement=statement)
    found = _model(read(_IMPORTS + _NET, others={"script_util.py": makers})).candidates
    assert BuiltFrom.FACTORY not in {candidate.built_from for candidate in found}


def test_what_several_functions_import_is_what_the_first_of_them_means(read: Read) -> None:
    functions = "".join(
        f"def f{i}():\n    from torch.nn import {kind} as Part\n    return Net(Part, {i})\n"
        for i, kind in enumerate(("ReLU", "ELU", "GELU", "SiLU", "Tanh", "Mish", "CELU", "SELU"))
    )
    others = {"train.py": f"from model import Net\n{functions}"}
    net = _NET.replace("n_in", "act")
    written = str(_model(read(_IMPORTS + net, others=others)).candidates)
    assert "ReLU" in written
    assert "SELU" not in written


def test_an_argument_that_only_the_other_file_knows_has_its_usual_value(read: Read) -> None:
    others = {"train.py": _TRAINING.format(arguments="len(open('words').read()), 4")}
    program = read(_IMPORTS + _NET, others=others)
    assert _first(program) == Candidate(BuiltFrom.NAMES, "Net(n_hidden=4, n_in=64)")


def test_what_may_be_one_size_for_both_ends_is_one(read: Read) -> None:
    source = """
        from typing import Union, Tuple
        class Net(nn.Module):
            def __init__(self, in_channels: Union[int, Tuple[int, int]], out_features: int):
                super().__init__()
                if isinstance(in_channels, int):
                    in_channels = (in_channels, in_channels)
                self.a = nn.Linear(in_channels[0], out_features)
                self.b = nn.Linear(in_channels[1], out_features)
            def forward(self, x): return self.a(x) + self.b(x)
    """
    assert _first(read(_IMPORTS + textwrap.dedent(source))).constructor == "Net(3, 10)"


def test_an_argument_that_only_an_option_tells_by_its_name_has_its_value(read: Read) -> None:
    training = """
        from model import Net
        class Trainer:
            def __init__(self, config):
                self.width, self.n_hidden = config.width, 4
                self.net = Net(self.width, self.n_hidden)
    """
    others = {"train.py": training, "options.py": "parser.add_argument('--width', default=48)"}
    made = _first(read(_IMPORTS + _NET, others=others))
    assert made.constructor == "Net(n_hidden=self_n_hidden, n_in=48)"


def test_another_class_of_the_same_name_in_another_file_says_nothing(read: Read) -> None:
    others = {"other.py": f"{_IMPORTS}{_NET}net = Net(5)\n"}
    program = read(_IMPORTS + _NET, others=others)
    assert _model(program).candidates == (Candidate(BuiltFrom.NAMES, "Net(64)"),)


def test_a_parameter_of_a_model_class_of_the_project_takes_an_instance(read: Read) -> None:
    wrapper = _WRAPPER.format(name="net").replace("net, dim", "net: Net, dim")
    source = f"{_IMPORTS}from parts import Net\n{wrapper}"
    program = read(source, others={"parts.py": _IMPORTS + _NET})
    assert _first(program, "Wrapper").constructor == "Wrapper(Net(n_in=64), 64)"


def test_a_table_says_what_its_class_is_given(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
SIZES = [4, 8]
nets = {{
    "small": {{"model": Net, "from": {{"at": 1}}, "with": {{"n_in": SIZES[0], "n_hidden": 2}}}},
    "large": {{"model": Net, "with": {{"n_in": SIZES[1]}}}},
    "other": {{"model": None, "with": {{"n_in": 64}}}},
}}
""")
    found = [c.constructor for c in _model(program).candidates if "SIZES" in c.constructor]
    assert found == ["Net(n_in=SIZES[0], n_hidden=2)", "Net(n_in=SIZES[1])"]


def test_blocks_take_features_and_no_colours(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class ConvBlock(nn.Module):
    def __init__(self, in_channels, kernel_size):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 8, kernel_size)
    def forward(self, x):
        return self.layer(x)
""")
    assert _first(program, "ConvBlock") == Candidate(BuiltFrom.NAMES, "ConvBlock(64, 3)")


def test_the_nodes_of_a_graph_have_features_and_no_colours(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.layer = nn.Linear(in_channels, 2)
    def forward(self, x, edge_index):
        return self.layer(x)
""")
    assert _first(program).constructor == "Net(64)"


_TAKEN_APART = """
class Wrapper(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.first = encoder.cut[0]
        self.last = nn.Linear(encoder.places.shape[-1], 2)
    def forward(self, x):
        return self.last(self.encoder.layers(self.first(x)))
"""
_WITH_PARTS = """
class Layers(nn.Module):
    def forward(self, x): return x
class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.cut = nn.Sequential(nn.Linear(dim, dim))
        self.places = nn.Parameter(torch.zeros(1, dim))
        self.layers = Layers()
    def forward(self, x): return self.layers(self.cut(x) + self.places)
"""


def test_what_is_taken_apart_is_of_the_class_in_reach_that_has_such_parts(read: Read) -> None:
    source = f"{_IMPORTS}from parts import Layers\n{_TAKEN_APART}"
    program = read(source, others={"parts.py": _IMPORTS + _WITH_PARTS})
    net = "__import__('importlib').import_module('parts').Net(dim=64)"
    assert _first(program, "Wrapper").constructor == f"Wrapper({net})"
    assert _first(read(_IMPORTS + _WITH_PARTS + _TAKEN_APART), "Wrapper").constructor == (
        "Wrapper(Net(dim=64))"
    )


def test_a_teacher_is_a_model_as_its_student_is(read: Read) -> None:
    program = read(f"""{_IMPORTS}{_NET}
class Wrapper(nn.Module):
    def __init__(self, teacher, student: Net):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher = teacher
    def forward(self, x):
        return self.student(x) - self.teacher(x)
""")
    assert _first(program, "Wrapper").constructor == "Wrapper(Net(64), Net(64))"


def test_what_adds_up_the_nodes_of_each_graph_takes_features(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Sum(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.layer = nn.Linear(2 * in_channels, 2)
    def forward(self, x, index=None, ptr=None):
        return self.layer(x).sum(0)
""")
    assert _first(program, "Sum").constructor == "Sum(64)"


def test_channels_that_a_recurrence_takes_are_no_colours(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.layer = nn.LSTM(2 * in_channels, in_channels)
    def forward(self, x):
        return self.layer(x)[0]
""")
    assert _first(program).constructor == "Net(64)"


_STACKS = """
class Stack(nn.Module):
    def __init__(self, dim, causal=False): super().__init__()
    def forward(self, x): return x
class Encoder(Stack):
    def __init__(self, **kwargs): super().__init__(causal=False, **kwargs)
class Decoder(Stack):
    def __init__(self, **kwargs): super().__init__(causal=True, **kwargs)
class Model(nn.Module):
    def __init__(self, *, stack_layers: Stack):
        super().__init__()
        self.stack = stack_layers
    def forward(self, x): return self.stack(x)
"""


def test_a_base_that_is_never_built_stands_for_the_subclass_that_mostly_is(read: Read) -> None:
    others = {
        "stacks.py": _IMPORTS + _STACKS,
        "train.py": "from stacks import Decoder\nnet, other = Decoder(dim=8), Decoder(dim=4)\n",
    }
    program = read(
        f"""{_IMPORTS}
from stacks import Model
class Wrapper(nn.Module):
    def __init__(self, net: Model):
        super().__init__()
        self.net = net
    def forward(self, x): return self.net(x)
""",
        others=others,
    )
    stack = "__import__('importlib').import_module('stacks').Decoder(dim=64)"
    assert _first(program, "Wrapper").constructor == f"Wrapper(Model(stack_layers={stack}))"


_CHOSEN = """
class Net(nn.Module):
    def __init__(self, h):
        super().__init__()
        part = h.model.wide
        self.layers = nn.ModuleList(nn.Linear(part.size, part.size) for _ in range(part.depth))
        self.kernels = h.kernels
        self.gate = h.gates["open"] if h.gates.get("open") is not None else None
        self.last = h.gates["size"]
    def forward(self, x): return x
"""
_DEFAULTS = "cfg.model.thin.depth = 110\ncfg.model.wide.depth = 28\ncfg.size = 1\ncfg.size = 768\n"


def test_settings_under_a_name_of_their_own_are_those_that_the_project_assigns(read: Read) -> None:
    others = {"config.py": _DEFAULTS, "config.json": '{"kernels": [[3, 5], [7]]}'}
    program = read(_IMPORTS + _CHOSEN, others=others)
    settings = eval(_first(program).constructor.removeprefix("Net(").removesuffix(")"))
    assert vars(settings.model.wide) == {"size": 768, "depth": 28}
    assert settings.kernels == [[3, 5], [7]]
    assert settings.gates == {"size": 768}
    assert settings.gates.get("open") is None


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("AttentionUNet", 3),
        ("ResidualDenseNet", 3),
        ("PatchEmbeddingBlock", 3),
        ("AttentionBlock", 64),
        ("UNetDecoder", 64),
        ("DownSample", 64),
        ("Transition", 64),
    ],
)
def test_what_is_named_as_a_whole_network_takes_images(
    read: Read, name: str, channels: int
) -> None:
    source = _NET.replace("Net(nn", f"{name}(nn").replace("n_in", "in_channels")
    source = source.replace("nn.Linear(in_channels, n_hidden)", "nn.Conv2d(in_channels, 8, 3)")
    assert _first(read(_IMPORTS + source), name).constructor == f"{name}({channels})"


def test_the_examples_of_a_docstring_are_built_before_anything_is_guessed(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    \"\"\"A network.

    Examples::

        >>> published = Net(1, 2, pretrained=True)
        >>> net = Net(n_in=7,  # colours
        ...           n_out=(3, 4))
        >>> lacking = Net(5)
        >>> unknown = Net(n_in, n_out)
        >>> other = SubNet(3, 3)
    \"\"\"
    def __init__(self, n_in, n_out, pretrained=False):
        super().__init__()
        self.layer = nn.Linear(n_in, n_out[0])
    def forward(self, x): return self.layer(x)
""")
    assert _model(program).candidates[0] == Candidate(
        BuiltFrom.USE_IN_FILE, "Net(n_in=7, n_out=(3, 4))"
    )
    assert {c.built_from for c in _model(program).candidates[1:]} == {BuiltFrom.NAMES}


def test_a_base_is_constructed_as_its_subclass_does_it(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, stages, width):
        super().__init__()
        self.layer = nn.Linear(width, len(stages))
    def forward(self, x): return self.layer(x)
class Small(Net):
    def __init__(self, width=7):
        stages = ["a1", "b2"]
        super().__init__(stages, width=width)
""")
    candidate = _first(program)
    assert candidate.built_from is BuiltFrom.USE_IN_FILE
    assert _evaluate(candidate)[0] == "((['a1', 'b2'],), {'width': 7})"


@pytest.mark.parametrize(
    ("mode", "dimensions"),
    [("trilinear", 3), ("bilinear", 2), ("linear", 2), ("trilinear' or 'bilinear", 2)],
)
def test_a_file_that_speaks_of_volumes_alone_is_built_for_these(
    read: Read, mode: str, dimensions: int
) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    \"\"\"Args:
        spatial_dims: 1D, 2D or 3D.
    \"\"\"
    def __init__(self, spatial_dims, image_size: list[int]):
        super().__init__()
        self.mode = '{mode}'  # not 2D
    def forward(self, x): return x
""")
    sides = [32] * dimensions
    assert _first(program).constructor == f"Net({dimensions}, {sides})"


def test_what_a_subclass_says_in_part_of_its_base_comes_last(read: Read) -> None:
    source = _IMPORTS + _NET + "class Critic(Net):\n    def __init__(self, in_dim):\n"
    source += "        super().__init__(in_dim, n_hidden=1)\n"
    constructors = [c.constructor for c in _model(read(source)).candidates]
    assert constructors == ["Net(64)", "Net(in_dim, n_hidden=1)"]


def test_a_base_that_is_handed_what_its_subclass_is_given_is_not_constructed_so(
    read: Read,
) -> None:
    source = _IMPORTS + _NET + "class Small(Net):\n    def __init__(self, n_hidden=2, **rest):\n"
    source += "        super().__init__(n_hidden=n_hidden, **rest)\n"
    assert [c.constructor for c in _model(read(source)).candidates] == ["Net(64)"]


def test_what_only_a_method_can_say_is_not_in_sight_elsewhere(read: Read) -> None:
    others = {
        "other.py": "from model import Net\nclass Other(Base):\n    def __init__(self):\n"
        "        self.part = Net(super().width)\n"
    }
    assert _first(read(_IMPORTS + _NET, others=others)).constructor == "Net(64)"


def test_a_docstring_names_the_class_of_a_part_and_without_it_anything_is_run(read: Read) -> None:
    source = f"""{_IMPORTS}
class Base(nn.Module):
    def forward(self, x): raise NotImplementedError
class Space(Base):
    def __init__(self, width): super().__init__(); self.layer = nn.Linear(width, width)
    def forward(self, x): return self.layer(x)
class Net(nn.Module):
    \"\"\"Args:
        space: what is searched in, such as `max`, an instance of :py:class:`Space`
            or of `Base`.
        head: any module.
    \"\"\"
    def __init__(self, space: nn.Module, head: nn.Module):
        super().__init__()
        self.space, self.head = space, head
    def forward(self, x): return self.head(self.space(x))
"""
    constructors = [c.constructor for c in _model(read(source)).candidates]
    assert constructors == ["Net(Space(64), PassThrough())", "Net(PassThrough(), PassThrough())"]


def test_a_docstring_names_the_class_of_a_part_in_another_file(read: Read) -> None:
    others = {"parts.py": _IMPORTS + _NET.replace("Net", "Part")}
    source = f"""{_IMPORTS}
class Net(nn.Module):
    \"\"\"Args:
        part: an instance of :py:class:`~parts.Part`.
    \"\"\"
    def __init__(self, part):
        super().__init__()
        self.part = part
    def forward(self, x): return self.part(x)
"""
    assert _first(read(source, others=others)).constructor == (
        "Net(__import__('importlib').import_module('parts').Part(n_in=64))"
    )


def test_a_docstring_that_speaks_of_spatial_sizes_tells_that_a_shape_has_no_channels(
    read: Read,
) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    \"\"\"Draws images.

    Args:
        label_nc: number of labels, by which images are normalised.
        input_shape: the shape of what is drawn,
            in spatial sizes.
    \"\"\"
    def __init__(self, label_nc, input_shape):
        super().__init__()
        self.layer = nn.Linear(label_nc, 3)
    def forward(self, x): return self.layer(x)
""")
    assert _first(program).constructor == "Net(64, (32, 32))"


def test_a_word_is_the_one_that_the_project_gives_parameters_of_that_name(read: Read) -> None:
    others = {
        "nets.py": "def make(norm_name: str = 'instance'): return Block(4, norm_name='instance')",
        "old.py": "make(norm_name='batch')",
    }
    program = read(_IMPORTS + _NET.replace("n_hidden=8", "norm_name: str"), others=others)
    assert _first(program).constructor == "Net(64, 'instance')"


def test_a_variable_that_is_none_until_later_says_nothing_of_an_argument(read: Read) -> None:
    others = {"train.py": "from model import Net\nn = None\ndef main():\n    net = Net(n, 4)\n"}
    program = read(_IMPORTS + _NET, others=others)
    assert _first(program) == Candidate(BuiltFrom.NAMES, "Net(n_hidden=4, n_in=64)")


def test_a_class_method_that_constructs_is_tried_and_one_that_loads_is_not(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, sizes=None):
        super().__init__()
    @classmethod
    def from_name(cls, model_name, in_channels=3):
        model = cls([in_channels])
        return model
    @classmethod
    def from_pretrained(cls, model_name):
        return cls.from_name(model_name)
    def forward(self, x): return x
""")
    constructors = [candidate.constructor for candidate in _model(program).candidates]
    assert constructors == ["Net()", "Net.from_name(model_name='base')"]


def test_what_forward_unpacks_is_a_pair(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, input_resolution, dim):
        super().__init__()
        self.input_resolution = input_resolution
        self.layer = nn.Linear(dim, dim)
    def forward(self, x):
        height, width = self.input_resolution
        return self.layer(x)
""")
    assert _first(program).constructor == "Net([32, 32], 64)"


def test_what_forward_reads_at_two_positions_is_a_pair(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self, width, dropouts):
        super().__init__()
        self.dropouts = dropouts
        self.layer = nn.Linear(width, width)
    def forward(self, x):
        x = nn.functional.dropout(self.layer(x), self.dropouts[0])
        return nn.functional.dropout(x, self.dropouts[1])
""")
    assert _first(program).constructor == "Net(64, [0.1, 0.1])"


def test_without_a_forward_the_loop_says_which_method_runs_on_what(read: Read) -> None:
    program = read(f"""{_IMPORTS}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)
    def value(self, x):
        return self.layer(x)
    def loss(self, x, y):
        return (self.value(x) - y).square().mean()

def train():
    net = Net()
    print(net.value(torch.rand(1, 4)))
    for _ in range(10):
        x, y = torch.rand(8, 4), torch.rand(8, 1)
        net.loss(x, y).backward()
""")
    candidates = _model(program).candidates
    assert {candidate.method for candidate in candidates if candidate.inputs} == {"value", "loss"}
    assert _evaluate(candidates[-1])
