"""How a model is trained, as far as its source shows: optimizer, learning rate, loss, clipping."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class OptimizerFamily(str, Enum):
    """Optimizers by what a small gradient does to their step."""

    SGD = "sgd"
    ADAM = "adam"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Training:
    """The settings of a training loop; `optimizer` is a class name in `torch.optim`, "" if unknown.

    `arguments` are the optimizer's literal keyword arguments other than the learning rate; `loss`
    is the name of a class in `torch.nn` or of a function in `torch.nn.functional`, "" if unknown.
    """

    family: OptimizerFamily = OptimizerFamily.UNKNOWN
    optimizer: str = ""
    learning_rate: float | None = None
    arguments: tuple[tuple[str, bool | int | float], ...] = ()
    loss: str = ""
