"""What a failed pass changed in a model, and how it is taken back."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

_PLAIN = (bool, int, float, str, tuple, type(None))


class Remembered:
    """The plain attributes of a model's modules, as they are now.

    Windows of attention, for one, shrink to small images and do not grow with the next ones. What
    modules that build themselves at their first pass have learnt is left to them.
    """

    def __init__(self, model: nn.Module) -> None:
        """Look at every module once."""
        self._attributes = [
            (module, {name: v for name, v in vars(module).items() if isinstance(v, _PLAIN)})
            for module in model.modules()
            if not isinstance(module, LazyModuleMixin)
        ]

    def restore(self) -> None:
        """Give every attribute its value of then."""
        for module, attributes in self._attributes:
            vars(module).update(attributes)
