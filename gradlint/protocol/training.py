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


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss on one output of a model, as a loop computes it.

    `loss` is the name of a class in `torch.nn` or of a function in `torch.nn.functional`, "" where
    the model computes its loss itself. `applied` are the operations between the output and the
    loss, in order, by the names of functions; those that only change the shape are left out.
    `output` counts the output's tensors.
    """

    loss: str = ""
    applied: tuple[str, ...] = ()
    output: int = 0

    @property
    def function(self) -> str:
        """The loss as the name of a function in `torch.nn.functional`."""
        return loss_function(self.loss)


_FUNCTIONS = {
    "CrossEntropyLoss": "cross_entropy",
    "NLLLoss": "nll_loss",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "MSELoss": "mse_loss",
    "L1Loss": "l1_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
}
LOSS_FUNCTIONS = frozenset(_FUNCTIONS.values())
"""The losses whose input and gradient are understood."""


def loss_function(name: str) -> str:
    """The function in `torch.nn.functional` behind a loss class, another name as it is."""
    return _FUNCTIONS.get(name, name)
