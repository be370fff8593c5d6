"""The models of a project that hold a class as a part of theirs."""

from __future__ import annotations

from pathlib import Path

from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.wholes import Surroundings
from gradlint.protocol.wire import Whole
from tests.discovery.conftest import Read

BLOCK = """
    from torch import nn
    class Block(nn.Module):
        def __init__(self, settings):
            super().__init__()
            self.layer = nn.Linear(settings.width, settings.width)
        def forward(self, pyramid): return self.layer(pyramid[-1])
"""
FACTORY = """
    from .block import Block
    def get_block(kind): return Block(kind)
"""
NET = """
    from torch import nn
    from .factory import get_block
    class Stage(nn.Module):
        def __init__(self, kinds):
            super().__init__()
            self.block = get_block(kinds)
        def forward(self, x): return self.block(x)
    class Net(nn.Module):
        def __init__(self, depth=2):
            super().__init__()
            self.stage = Stage(depth)
        def forward(self, x): return self.stage(x)
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
        def forward(self, x): return self.layer(x)
"""
WIDE = """
    import torch
    from .block import Block
    class Wide(Block):
        def __init__(self, width=4):
            super().__init__(torch.Size([width]))
"""


def wholes(read: Read, folder: Path, others: dict[str, str]) -> tuple[Whole, ...]:
    """The wholes of `Block` in a package with these other files."""
    program = read(BLOCK, "pack/block.py", {"pack/__init__.py": "", **others})
    around = Surroundings(folder / "pack/block.py", folder, program, Lookups())
    return around.wholes("Block")


def test_they_are_found_through_functions_and_classes_that_mention_the_part(
    read: Read, tmp_path: Path
) -> None:
    found = wholes(read, tmp_path, {"pack/factory.py": FACTORY, "pack/net.py": NET})
    assert [(whole.module, whole.name) for whole in found] == [
        ("pack.net", "Net"),
        ("pack.net", "Stage"),
    ]
    assert found[0].candidates[0].constructor == "Net()"


def test_a_class_that_inherits_from_the_part_is_one(read: Read, tmp_path: Path) -> None:
    found = wholes(read, tmp_path, {"pack/wide.py": WIDE})
    assert [(whole.module, whole.name) for whole in found] == [("pack.wide", "Wide")]


def test_a_class_that_nobody_mentions_has_none(read: Read, tmp_path: Path) -> None:
    assert wholes(read, tmp_path, {}) == ()
