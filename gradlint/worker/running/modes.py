"""Modes that see each operation of torch, without what a compiler would need for that."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A dispatch mode for code that is never compiled.

    To keep its compiler away from a mode, torch imports it at the first operation, which takes a
    second in each process.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
