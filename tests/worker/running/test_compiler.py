"""Torch's compiler, which nothing here needs."""

from __future__ import annotations

import subprocess
import sys

_MODEL = """
import sys, torch
from gradlint.worker.running.compiler import spare_compiler

spare_compiler()
optimizer = torch.optim.Adam(torch.nn.Linear(2, 2).parameters())
optimizer.zero_grad()
print("torch._dynamo" in sys.modules)
"""


def test_an_optimizer_that_a_model_makes_does_not_import_it() -> None:
    run = subprocess.run([sys.executable, "-c", _MODEL], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
