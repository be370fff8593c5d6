"""Optimizers by name: what they do with a small gradient, and their default learning rates."""

from __future__ import annotations

from gradlint.protocol.training import OptimizerFamily

_SGD = frozenset("SGD ASGD SGDP SGDW AccSGD PlainSGD FusedSGD".split())

# Because these divide by the gradient's own size, take only its sign, or normalise each layer's
# update, their step does not shrink with the gradient.
_ADAM = frozenset(
    "Adam AdamW NAdam RAdam Adamax Adagrad Adadelta RMSprop Rprop SparseAdam Adafactor Muon"
    " Lion LAMB Lamb LARS Lars Adan AdaBelief AdaBound AdaMod AdaHessian Adahessian AdamP Apollo"
    " Sophia SophiaG Shampoo DistributedShampoo SOAP Prodigy DAdaptAdam DAdaptLion DAdaptAdaGrad"
    " FusedAdam FusedLAMB FusedNovoGrad DeepSpeedCPUAdam CPUAdam NovoGrad NvNovoGrad Ranger"
    " Ranger21 RangerQH Yogi MADGRAD DiffGrad QHAdam SignSGD Signum Tiger CAME GaLoreAdamW"
    " AdamW8bit Adam8bit Lion8bit PagedAdamW PagedAdamW8bit PagedAdamW32bit AdamW4bit AdEMAMix"
    " ScheduleFreeAdamW AdamWScheduleFree BertAdam AdamWeightDecay RAdamScheduleFree RMSpropTF"
    " AdafactorBigVision AdoptAdam ADOPT Adopt StableAdamW".split()
)

_LEARNING_RATES = {
    "SGD": 1e-3,
    "ASGD": 1e-2,
    "Adam": 1e-3,
    "AdamW": 1e-3,
    "NAdam": 2e-3,
    "RAdam": 1e-3,
    "Adamax": 2e-3,
    "Adagrad": 1e-2,
    "Adadelta": 1.0,
    "RMSprop": 1e-2,
    "Rprop": 1e-2,
    "SparseAdam": 1e-3,
    "LBFGS": 1.0,
    "Muon": 1e-3,
    "Adafactor": 1e-2,
}


def family_of(optimizer: str) -> OptimizerFamily:
    """The family of an optimizer class; LBFGS and what nobody has heard of are unknown."""
    if optimizer in _SGD:
        return OptimizerFamily.SGD
    return OptimizerFamily.ADAM if optimizer in _ADAM else OptimizerFamily.UNKNOWN


def is_optimizer(qualified: str) -> bool:
    """Whether a dotted name is an optimizer class, of torch or one that is known by name."""
    name = qualified.rpartition(".")[2]
    if qualified.startswith("torch.optim."):
        return name[:1].isupper() and ".lr_scheduler." not in qualified and not name.endswith("LR")
    return family_of(name) is not OptimizerFamily.UNKNOWN


def default_learning_rate(optimizer: str) -> float | None:
    """The learning rate of a class in `torch.optim` that is given none (torch's own signatures)."""
    return _LEARNING_RATES.get(optimizer)
