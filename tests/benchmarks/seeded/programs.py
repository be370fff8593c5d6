"""The text of a program: an architecture of a package, a fault in it, and its training."""

from __future__ import annotations

import re
import textwrap

from tests.benchmarks.seeded.faults import Fault
from tests.benchmarks.seeded.originals import Original

_PROGRAM = '''"""{title}."""

import torch
from torch import nn
{imports}
{helpers}

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = {build}  # built
{change}
    def forward(self, x):
{forward}

{data}

def train(steps={steps}, batch={batch}, seed=0):
    torch.manual_seed(seed)
    model = Model()
    optimizer = {optimizer}
    criterion = {loss}
    for _ in range(steps):
        x, y = sample(batch)
        optimizer.zero_grad()
        loss = criterion(model(x), y){mark}
        loss.backward()
        optimizer.step()
    x, y = sample(256)
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    Model()(sample(8)[0])
    print(train())
'''

_IMAGES = """
TEMPLATES = torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def sample(n, size={size}):
    y = torch.randint(4, (n,))
    shapes = nn.functional.interpolate(TEMPLATES[y], (size, size))
    return shapes + 0.5 * torch.randn(n, 3, size, size), y
"""

_TOKENS = """
def sample(n, length=10):
    x = torch.randint(20, (n, length))
    return x, x[:, 0] % 4
"""

_DATA = {
    "images": _IMAGES.replace("{size}", "32"),
    "large images": _IMAGES.replace("{size}", "64"),
    "tokens": _TOKENS,
}
_SGD = "torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)"
_STEPS = {"images": 60, "large images": 50, "tokens": 200}
_BUILT = re.compile(r"# built$")
_FAULT = re.compile(r"# fault\b")


def written(original: Original, fault: Fault | None) -> str:
    """The program of an architecture with a fault, or without one."""
    owner, _, blocks = original.trunk.rpartition(".")
    places = {"head": original.head, "trunk": original.trunk, "owner": owner, "blocks": blocks}
    change = fault.change if fault else ""
    for name, place in places.items():
        change = change.replace(f"{{{name}}}", place)
    return _PROGRAM.format(
        title=f"{original.name}: {fault.name if fault else 'healthy'}",
        imports=original.imports,
        helpers=fault.helpers if fault else "",
        build=original.build,
        change=textwrap.indent(change + "\n" if change else "", " " * 8),
        forward=textwrap.indent(_forward(original, fault), " " * 8),
        data=_DATA[original.takes],
        optimizer=f"torch.optim.AdamW(model.parameters(), lr={original.rate})"
        if original.rate
        else _SGD,
        steps=_STEPS[original.takes],
        batch=32 if original.takes == "tokens" else 16,
        mark="  # fault" if fault and "# fault" in fault.loss else "",
        loss=fault.loss if fault else "nn.CrossEntropyLoss()",
    )


def right_lines(program: str) -> frozenset[int]:
    """The lines of which any is a right place to name the fault."""
    lines = list(enumerate(program.splitlines(), start=1))
    marked = {number for number, line in lines if _FAULT.search(line)}
    return frozenset(marked or {number for number, line in lines if _BUILT.search(line)})


def _forward(original: Original, fault: Fault | None) -> str:
    result = fault.result if fault else "{out}"
    if original.name.startswith("torch-"):
        before = 'states, _ = self.net["rnn"](self.net["embed"](x))\n'
        return before + "return " + result.format(out='self.net["head"](states[:, -1])')
    called = "self.net(x)"
    if original.name.startswith("transformers-"):
        called = "self.net(input_ids=x).logits"
    return "return " + result.format(out=called)
