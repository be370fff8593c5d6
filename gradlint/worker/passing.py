"""What stands for a module that a model wraps, where nothing says which one it is."""

from __future__ import annotations

from torch import nn


class PassThrough(nn.Module):
    """Returns the first of its arguments; it has no parameters, so no finding can be about it.

    Its attributes are what the model around it reads, such as the width of its output.
    """

    def __init__(self, **attributes: object) -> None:
        """Hold `attributes`."""
        super().__init__()
        vars(self).update(attributes)

    def forward(self, first: object = None, *others: object, **words: object) -> object:
        """The first argument, or the first of those given by name."""
        return next(iter(words.values()), None) if first is None else first
