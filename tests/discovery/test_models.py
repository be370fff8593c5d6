"""Which classes and expressions of a file are models, and which are models in their own right."""

from __future__ import annotations

import pytest

from gradlint.program import ModelDefinition, Program
from tests.discovery.conftest import Read

_BODY = """
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
    def forward(self, x):
        return self.layer(x)
"""


def _roots(program: Program) -> list[str]:
    return [model.name for model in program.models if model.root]


def _model(program: Program, name: str) -> ModelDefinition:
    return next(model for model in program.models if model.name == name)


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        ("import torch", "torch.nn.Module"),
        ("import torch.nn as nn", "nn.Module"),
        ("from torch import nn", "nn.Module"),
        ("from torch import nn as layers", "layers.Module"),
        ("from torch.nn import Module", "Module"),
        ("from torch.nn import Module as M", "M"),
        ("from torch.nn import *", "Module"),
        ("from torch.nn.modules.module import Module", "Module"),
        ("import torch as th\nModule = th.nn.Module", "Module"),
        ("try:\n    from x import nn\nexcept ImportError:\n    from torch import nn", "nn.Module"),
        ("import torch.nn as nn", "nn.Sequential"),
        ("import pytorch_lightning as pl", "pl.LightningModule"),
        ("import lightning as L", "L.LightningModule"),
        ("from lightning.pytorch import LightningModule", "LightningModule"),
        ("from transformers import PreTrainedModel", "PreTrainedModel"),
        ("from transformers import BertModel", "BertModel"),
        ("from torchvision.models.resnet import ResNet", "ResNet"),
        ("from timm.models.vision_transformer import VisionTransformer", "VisionTransformer"),
        ("from torch_geometric.nn import MessagePassing", "MessagePassing"),
        ("from fairseq.models import FairseqEncoderDecoderModel as F", "F"),
        ("from somewhere_unknown import BaseModel", "BaseModel"),
        ("from torch import nn\nfrom abc import ABC", "ABC, nn.Module"),
        ("from torch import nn\nfrom typing import Generic", "Generic[int], nn.Module"),
    ],
    ids=lambda value: value.replace("\n", "; "),
)
def test_a_module_is_known_by_its_base_under_any_name(read: Read, imports: str, base: str) -> None:
    program = read(f"import torch\n{imports}\nclass Net({base}):{_BODY}")
    assert _roots(program) == ["Net"]


@pytest.mark.parametrize(
    "header",
    [
        "class Net:",
        "class Net(object):",
        "class Net(torch.autograd.Function):",
        "class Net(torch.utils.data.Dataset):",
        "class Net(torch.optim.Optimizer):",
        "class Net(Exception):",
        "class Net(torch.nn.Parameter):",
        "class Net(enum.Enum):",
    ],
)
def test_other_classes_are_no_models_even_with_a_forward(read: Read, header: str) -> None:
    assert read(f"import torch, enum\n{header}{_BODY}").models == ()


def test_bases_in_the_same_file_are_followed(read: Read) -> None:
    program = read(f"""
import torch
class Base(torch.nn.Module):{_BODY}
class Middle(Base): pass
class Net(Middle): pass
""")
    assert [model.name for model in program.models] == ["Base", "Middle", "Net"]


_BASE = f"import torch\nclass BaseNet(torch.nn.Module):{_BODY}"


@pytest.mark.parametrize(
    ("name", "source", "others"),
    [
        ("net.py", "from base import BaseNet", {"base.py": _BASE}),
        ("net.py", "import base\nBaseNet = base.BaseNet", {"base.py": _BASE}),
        ("net.py", "from base import *", {"base.py": _BASE}),
        ("pkg/net.py", "from .base import BaseNet", {"pkg/__init__.py": "", "pkg/base.py": _BASE}),
        ("pkg/net.py", "from .base import BaseNet", {"pkg/base.py": _BASE}),
        (
            "pkg/a/net.py",
            "from ..base import BaseNet",
            {"pkg/__init__.py": "", "pkg/a/__init__.py": "", "pkg/base.py": _BASE},
        ),
        (
            "pkg/net.py",
            "from pkg.parts.base import BaseNet",
            {"pkg/__init__.py": "", "pkg/parts/__init__.py": "", "pkg/parts/base.py": _BASE},
        ),
        (
            "pkg/net.py",
            "from .parts import BaseNet",
            {
                "pkg/__init__.py": "",
                "pkg/parts/__init__.py": "from .base import BaseNet as BaseNet",
                "pkg/parts/base.py": _BASE,
            },
        ),
        (
            "pkg/net.py",
            "from pkg.parts import BaseNet",
            {
                "pkg/__init__.py": "",
                "pkg/parts/__init__.py": "from .base import BaseNet\nimport pkg.parts.base",
                "pkg/parts/base.py": _BASE,
            },
        ),
        (
            "pkg/net.py",
            "from .parts import BaseNet",
            {
                "pkg/__init__.py": "",
                "pkg/parts/__init__.py": "from .base import *",
                "pkg/parts/base.py": _BASE,
            },
        ),
        (
            "src/pkg/net.py",
            "from pkg.base import BaseNet",
            {"src/pkg/__init__.py": "", "src/pkg/base.py": _BASE},
        ),
        ("tools/net.py", "from pkg.base import BaseNet", {"src/pkg/base.py": _BASE}),
    ],
    ids=[
        "sibling",
        "module",
        "star",
        "relative",
        "no package",
        "parent",
        "absolute",
        "re-export",
        "re-export of a package that names itself",
        "star re-export",
        "src",
        "below src",
    ],
)
def test_a_base_in_a_neighbouring_file_is_found_although_the_word_torch_is_missing(
    read: Read, name: str, source: str, others: dict[str, str]
) -> None:
    program = read(f"{source}\nclass Net(BaseNet):\n    pass\n", name, others)
    assert _roots(program) == ["Net"]
    assert [candidate.constructor for candidate in program.models[0].candidates] == ["Net()"]


def test_a_neighbour_that_changes_is_read_again(read: Read) -> None:
    source = "from base import Base\nclass Net(Base):\n    pass\n"
    assert read(source, others={"base.py": "class Base: pass\n"}).models == ()
    program = read(source, others={"base.py": _BASE.replace("BaseNet", "Base")})
    assert _roots(program) == ["Net"]


def test_neighbours_that_import_each_other_end_the_search(read: Read) -> None:
    others = {"a.py": "from b import Base", "b.py": "from a import Base"}
    assert (
        read("import torch\nfrom a import Base\nclass Net(Base): pass", others=others).models == ()
    )


def test_nested_classes_have_qualified_names(read: Read) -> None:
    source = "import torch\nclass Outer:\n    class Inner(torch.nn.Module):\n        pass\n"
    assert [model.name for model in read(source).models] == ["Outer.Inner"]


_PARTS = f"""
import torch
from torch import nn
class Block(nn.Module):{_BODY}
"""


@pytest.mark.parametrize(
    "use",
    [
        "class Net(nn.Module):{init}self.block = Block()",
        "class Net(nn.Module):{init}self.blocks = nn.ModuleList([Block() for _ in range(3)])",
        "class Net(nn.Module):{init}self.make(block=Block)",
        "class Net(nn.Module):{init}self.block = make()\n\ndef make():\n    return Block()",
        (
            "class Net(nn.Module):{init}self.block = outer()\n\ndef outer(): return make()\n\n"
            "def make(): return Block()"
        ),
        "class Net(nn.Module):{init}self.block = block()\n\nnet = Net(Block)",
        "class Net(nn.Module):{init}self.block = block\n\nnet = Net(Block())",
        "class Net(nn.Module):{init}self.block = block\n\npart = Block()\nnet = Net(block=part)",
        (
            "class Net(nn.Module):\n    kind = Block\n    def __init__(self):\n"
            "        self.b = self.kind(); self.l = nn.Linear(1, 1)\n    def forward(self, x): ..."
        ),
    ],
    ids=[
        "built",
        "in a comprehension",
        "passed as class",
        "by a function",
        "by two functions",
        "given as class",
        "given as instance",
        "given as variable",
        "class attribute",
    ],
)
def test_what_another_model_builds_is_no_root(read: Read, use: str) -> None:
    init = (
        "\n    def __init__(self, block=None):\n        super().__init__()\n"
        "        self.head = nn.Linear(4, 4)\n        "
    )
    rest = "" if "forward" in use else "\nNet.forward = lambda self, x: x\n"
    program = read(_PARTS + use.replace("{init}", init) + rest)
    assert not _model(program, "Block").root
    assert "Block" in _model(program, "Net").builds


def test_a_block_passed_to_a_factory_by_the_name_of_its_parameter_is_no_root(read: Read) -> None:
    program = read(
        _PARTS
        + """
class Net(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.body = block()
    def forward(self, x):
        return self.body(x)

def _net(arch, block, pretrained):
    return Net(block)

def net18(pretrained=False):
    return _net('net18', Block, pretrained)
"""
    )
    assert _roots(program) == ["Net"]


def test_a_part_of_a_model_expression_is_no_root(read: Read) -> None:
    program = read(_PARTS + "model = nn.Sequential(Block(), nn.Linear(4, 2))\n")
    assert _roots(program) == ["model"]
    assert _model(program, "model").builds == ("Block",)


def test_naming_a_base_does_not_build_it(read: Read) -> None:
    program = read(
        _PARTS
        + """
class Net(Block):
    def __init__(self):
        super(Block, self).__init__()
        isinstance(self, Block)
    def forward(self, x: Block):
        return Block.forward(self, x)
"""
    )
    assert _roots(program) == ["Block", "Net"]


def test_of_models_that_build_each_other_the_first_is_a_root(read: Read) -> None:
    program = read("""
import torch
class A(torch.nn.Module):
    def __init__(self): self.l = torch.nn.Linear(1, 1); self.part = B()
    def forward(self, x): return x
class B(torch.nn.Module):
    def __init__(self): self.l = torch.nn.Linear(1, 1); self.part = A()
    def forward(self, x): return x
""")
    assert _roots(program) == ["A"]


@pytest.mark.parametrize(
    "source",
    [
        "class Base(nn.Module):\n    def __init__(self): self.l = nn.Linear(1, 1)",
        (
            "class Base(nn.Module):\n    def __init__(self): self.l = nn.Linear(1, 1)\n"
            "    def forward(self, x):\n        '''Override.'''\n        raise NotImplementedError"
        ),
        (
            "class Base(nn.Module):\n    def __init__(self): self.l = nn.Linear(1, 1)\n"
            "    def forward(self, x): return self.step(x)\n"
            "    @abstractmethod\n    def step(self, x): ..."
        ),
        (
            "class FocalLoss(nn.Module):\n    def __init__(self): self.w = nn.Linear(1, 1)\n"
            "    def forward(self, p, t): return p"
        ),
        "class Wing(nn.MSELoss):\n    def forward(self, p, t): return p",
        "class Swish(nn.Module):\n    def forward(self, x): return x * torch.sigmoid(x)",
        (
            "class Head(nn.Module):\n"
            "    def __init__(self): self.act = nn.ReLU(); self.d = nn.Dropout()\n"
            "    def forward(self, x): return self.act(x)"
        ),
        (
            "class Residual(nn.Module):\n    def __init__(self, fn): self.fn = fn\n"
            "    def forward(self, x): return x + self.fn(x)"
        ),
        (
            "class Rotate(nn.Module):\n    def __init__(self, a): self.a = pair(a)\n"
            "    def forward(self, x): return x\n\ndef pair(a): return (a, a)"
        ),
    ],
    ids=[
        "no forward",
        "hollow forward",
        "abstract method",
        "loss",
        "loss base",
        "function",
        "nothing to learn",
        "wrapper",
        "transform",
    ],
)
def test_what_cannot_run_or_learn_alone_is_no_root(read: Read, source: str) -> None:
    program = read(f"import torch\nfrom torch import nn\nfrom abc import abstractmethod\n{source}")
    assert len(program.models) == 1
    assert _roots(program) == []


def test_a_class_whose_forward_refuses_is_a_root_for_its_other_passes(read: Read) -> None:
    program = read("""
from torch import nn
class Agent(nn.Module):
    def __init__(self): self.l = nn.Linear(1, 1)
    def forward(self): raise NotImplementedError
    def evaluate(self, state, action): return self.l(state)
""")
    assert _roots(program) == ["Agent"]


def test_a_class_that_implements_an_abstract_base_is_a_root(read: Read) -> None:
    program = read("""
from torch import nn
from abc import abstractmethod
class Base(nn.Module):
    def __init__(self): self.l = nn.Linear(1, 1)
    def forward(self, x): return self.step(x)
    @abstractmethod
    def step(self, x): ...
class Net(Base):
    def step(self, x): return self.l(x)
""")
    assert _roots(program) == ["Net"]


def test_the_span_of_a_class_is_its_header_without_decorators(read: Read) -> None:
    program = read("""\
import torch
@register
class Net(
    torch.nn.Module,  # the base: here
):
    def forward(self, x):
        return x
""")
    span = program.models[0].span
    assert (span.line, span.column, span.end_line, span.end_column) == (3, 1, 5, 2)
    assert program.models[0].last_line == 7


def test_columns_count_characters_not_bytes(read: Read) -> None:
    program = read("import torch\nx = 'äöü'; net = torch.nn.Sequential(torch.nn.Linear(1, 1))\n")
    span = program.models[0].span
    assert program.lines[1][span.column - 1 : span.end_column - 1].startswith("torch.nn.Seq")
    assert span.end_column == len(program.lines[1]) + 1


_STACK = (
    "def stack(n):\n    layers = []\n    for _ in range(n):\n        layers.append(nn.Tanh())\n"
    "    return nn.Sequential(*layers)\n"
)
_HOLDER = """
class T:
    def __init__(self, n_in):
        self.net = self.made(n_in)
        self.opt = torch.optim.SGD(self.net.parameters(), 1)
    def made(self, n_in):
        layers = [nn.Linear(n_in, 2)]
        layers.append(nn.ReLU())
        return nn.Sequential(*layers)
"""
_TRAINED = "opt = torch.optim.SGD(net.parameters(), 1)"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("model = nn.Sequential(nn.Linear(2, 2))", "model"),
        ("model = nn.Sequential(nn.Linear(2, 2)).to('cuda')", "model"),
        ("def main():\n    net = nn.Sequential(nn.Linear(2, 2))", "main.net"),
        ("if __name__ == '__main__':\n    net = nn.Sequential(nn.Linear(2, 2))", "net"),
        ("def make():\n    return nn.Sequential(nn.Linear(2, 2))", "make"),
        ("model = nn.Linear(2, 1)\nopt = torch.optim.SGD(model.parameters(), 0.1)", "model"),
        ("net = torchvision.models.resnet18()\nopt = torch.optim.SGD(net.parameters(), 1)", "net"),
        (f"{_STACK}net = stack(9)\n{_TRAINED}", "net"),
        (f"{_STACK}def again(n): return stack(n)\nnet = again(9)\n{_TRAINED}", "net"),
        (f"net = nn.Sequential()\nnet.add_module('a', nn.Linear(1, 1))\n{_TRAINED}", "net"),
        (_HOLDER, "T.net"),
    ],
    ids=[
        *("module", "moved", "function", "main", "returned", "trained layer", "trained factory"),
        *("of a function", "of two functions", "filled", "of a method"),
    ],
)
def test_a_model_expression_is_named_after_what_holds_it(
    read: Read, source: str, name: str
) -> None:
    program = read(f"import torch, torchvision\nfrom torch import nn\n{source}\n")
    assert [(model.name, model.root) for model in program.models] == [(name, True)]
    assert program.models[0].candidates


@pytest.mark.parametrize(
    "source",
    [
        "act = nn.ReLU()",
        "layer = nn.Linear(2, 2)",
        "criterion = nn.CrossEntropyLoss()",
        "model = nn.Sequential()",
        "class T:\n    def setUp(self):\n        self.model = nn.Sequential(nn.Linear(1, 1))",
        "def block(i, o):\n    layers = list(i)\n    b = nn.Sequential(*layers)\n    return b",
    ],
    ids=["activation", "untrained layer", "loss", "empty", "in a class", "helper"],
)
def test_other_expressions_are_no_models(read: Read, source: str) -> None:
    assert read(f"from torch import nn\n{source}\n").models == ()


def test_two_expressions_of_one_name_are_told_apart_by_line(read: Read) -> None:
    line = "model = torch.nn.Sequential(torch.nn.Linear(1, 1))\n"
    program = read(f"import torch\n{line}{line}")
    assert [model.name for model in program.models] == ["model", "model@3"]


def test_a_file_without_models_keeps_its_lines(read: Read) -> None:
    program = read("class A(object):\n    pass\n")
    assert (program.models, program.loops, program.suppressions) == ((), (), ())
    assert program.lines == ("class A(object):", "    pass")


def test_what_is_finished_after_it_was_made_is_had_from_where_it_is_finished(read: Read) -> None:
    program = read("""
import torch
from torch import nn
from torchvision import models
def make():
    net = models.resnet18()
    net.fc = nn.Linear(512, 5)
    return net
head = nn.Sequential()
head.add_module("layer", nn.Linear(5, 1))
opt = torch.optim.SGD([*make().parameters(), *head.parameters()], 0.1)
net = make()
opt = torch.optim.SGD(net.parameters(), 0.1)
""")
    constructors = {m.name: [c.constructor for c in m.candidates] for m in program.models}
    assert constructors == {"make.net": ["make()"], "head": ["head"]}


def test_what_an_object_keeps_is_had_from_the_object(read: Read) -> None:
    program = read("""
import torch
from torch import nn
class Agent:
    def __init__(self, state_size, depth):
        self.state_size = state_size
        self.model = self.build(depth)
        self.optimizer = torch.optim.Adam(self.model.parameters())
    def build(self, depth):
        layers = [nn.Linear(self.state_size, 24)]
        for _ in range(depth):
            layers += [nn.Linear(24, 24), nn.Sigmoid()]
        return nn.Sequential(*layers)
agent = Agent(4, depth=12)
""")
    first, *_ = program.models[0].candidates
    assert first.constructor == "Agent(4, depth=12).model"


def test_of_two_values_of_a_name_the_one_that_is_trained_is_the_model(read: Read) -> None:
    source = f"{_STACK}net = stack(20)\nprint(net)\nnet = stack(4)\n{_TRAINED}"
    program = read(f"import torch\nfrom torch import nn\n{source}\n")
    assert [m.candidates[0].constructor for m in program.models] == ["stack(4)"]


def test_a_model_of_a_function_may_ask_data_that_are_not_there_for_their_sizes(read: Read) -> None:
    source = """
import torch
from torch import nn
def main():
    X, words = torch.load("data.pt"), open("words.txt").read()
    model = nn.Sequential(nn.Linear(X.shape[1], len(words)), nn.ReLU(), nn.Linear(len(words), 2))
    other = nn.Sequential(nn.Linear(X.shape[1], 4), nn.ReLU(), nn.Linear(4, X))
    torch.optim.SGD([*model.parameters(), *other.parameters()], lr=0.1)
"""
    model, other = read(source).models
    assert [candidate.constructor for candidate in model.candidates] == [
        "nn.Sequential(nn.Linear(X.shape[1], len(words)), nn.ReLU(), nn.Linear(len(words), 2))"
    ]
    assert not other.candidates
