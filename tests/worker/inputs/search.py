"""Models as a few lines of source, and the inputs that are found for them."""

from __future__ import annotations

from gradlint.worker.building.build import build
from gradlint.worker.running.outputs import tensors_of
from tests.worker.models import module_of, request


def found(source: str, constructor: str = "Net()", sequence_length: int = 0) -> tuple[str, ...]:
    """The inputs that the search finds for a model; they run with a gradient."""
    module = module_of(source)
    built = build(module, request(constructor, sequence_length=sequence_length))
    args, kwargs = built.inputs()
    assert tensors_of(built.make()(*args, **kwargs))
    return built.described


def net(init: str, forward: str, arguments: str = "x") -> str:
    """The source of a model with these bodies."""
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line.strip()}" for line in init.split(";")]
    lines += [f"    def forward(self, {arguments}):"]
    lines += [f"        {line.strip()}" for line in forward.split(";")]
    return "\n".join(lines) + "\n"
