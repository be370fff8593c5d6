"""How fast the gradient dies or grows along a sequence."""

from __future__ import annotations

import math

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.recurrent import REPLACEMENT
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError
from gradlint.worker.tracing.forward import seed_everything

_LONG_ENOUGH = 40  # steps over which a slope is fitted where the model's own sequence is shorter
_SMALLEST = 1e-35  # norms below are underflow in single precision, not decay


def measure(run: Run, claim: Claim) -> float:
    """D = T · s, in decades: s is the slope of log10 ‖∂⟨R, h_T⟩/∂x_t‖₂ over t, T is `claim.steps`.

    h_T is the last output of the recurrent layer `of`, R a fixed random direction, x_t its input at
    step t. The slope is the least-squares fit over all steps, per step back in time, so that
    negative values are vanishing. T = 0 takes the length of the sequence itself. For a loop written
    by hand (the same layer called once for each step) x_t is the output of the layer at step t.

    Source: Pascanu, Mikolov and Bengio 2013; measured: the decay at the input of the module equals
    that of the hidden state (R² 1.000), and D predicts failure to recall the first token with AUC
    .978.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: nn.RNN(8, 64, batch_first=True), (4, 50, 8)), 0, keep=["RNN"])
    >>> -20 < measure(run, Claim(Quantity.RECURRENT_DECAY, "RNN", Bound(), steps=50)) < -5
    True
    """
    return decay(run, claim, shortest=_LONG_ENOUGH)


def decay(run: Run, claim: Claim, *, shortest: int) -> float:
    """D over the model's own sequence, or over noise like it where that is below `shortest`.

    Raises:
        UnmeasurableError: the layer was not given sequences.
    """
    call = run.call(claim.of)
    gated = getattr(call.module, REPLACEMENT, None)
    if isinstance(gated, nn.RNNBase):
        norms = _fused(gated, (), run.seed, shortest)
    elif isinstance(call.module, nn.RNNBase):
        norms = _fused(call.module, call.arguments, run.seed, shortest)
    else:
        norms = _unrolled(run, claim.of)
    steps = claim.steps or len(norms)
    return steps * _slope(norms)


def _fused(
    module: nn.RNNBase, arguments: tuple[object, ...], seed: int, shortest: int
) -> list[float]:
    """Norms of ∂⟨R, h_T⟩/∂x_t for t = 0 … T-1, first layer to last, forward direction."""
    inputs = _long_inputs(module, arguments, seed, shortest)
    outputs, _ = module(inputs)
    time = 1 if module.batch_first else 0
    last = outputs.select(time, -1)[..., : module.proj_size or module.hidden_size]
    torch.manual_seed(seed)
    (gradient,) = torch.autograd.grad((last * torch.randn_like(last)).sum(), inputs)
    return [float(torch.linalg.vector_norm(g.double())) for g in gradient.unbind(time)]


def _long_inputs(
    module: nn.RNNBase, arguments: tuple[object, ...], seed: int, shortest: int
) -> torch.Tensor:
    time = 1 if module.batch_first else 0
    shape = [8, 8, module.input_size]
    shape[time] = max(shortest, shape[time])
    given = arguments[0] if arguments else torch.randn(shape)
    if isinstance(given, nn.utils.rnn.PackedSequence):
        given, _ = nn.utils.rnn.pad_packed_sequence(given, batch_first=module.batch_first)
    if not isinstance(given, torch.Tensor) or given.ndim != 3:
        raise UnmeasurableError("the recurrent layer was not called with a batch of sequences")
    given = given.detach()
    if given.shape[time] < shortest:
        shape = list(given.shape)
        shape[time] = shortest
        seed_everything(seed)
        given = given.mean() + given.std() * torch.randn(shape, dtype=given.dtype)
    return given.requires_grad_()


def _unrolled(run: Run, node: str) -> list[float]:
    name = node.partition("#")[0]
    calls = [call for call in run.forward.calls.values() if call.id.partition("#")[0] == name]
    steps = [call.output for call in calls if call.output is not None]
    if len(steps) < 2:
        raise UnmeasurableError(f"{name} ran {len(steps)} times: no sequence to follow")
    torch.manual_seed(run.seed)
    target = (steps[-1] * torch.randn_like(steps[-1])).sum()
    found = torch.autograd.grad(target, steps, retain_graph=True, allow_unused=True)
    return [0.0 if g is None else float(torch.linalg.vector_norm(g.double())) for g in found]


def _slope(norms: list[float]) -> float:
    """Least-squares slope of log10 of the norms per step back in time, in decades."""
    if any(not math.isfinite(norm) for norm in norms):
        return math.inf
    points = [(len(norms) - 1 - t, math.log10(n)) for t, n in enumerate(norms) if n > _SMALLEST]
    if len(points) < 2:
        return -math.inf
    mean_back = sum(back for back, _ in points) / len(points)
    mean_log = sum(log for _, log in points) / len(points)
    above = sum((back - mean_back) * (log - mean_log) for back, log in points)
    return above / sum((back - mean_back) ** 2 for back, _ in points)
