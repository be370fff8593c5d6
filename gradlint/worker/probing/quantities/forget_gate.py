"""How much of its memory an LSTM keeps from one step to the next."""

from __future__ import annotations

import torch
from torch import nn

from gradlint.protocol.claim import Claim
from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError


def measure(run: Run, claim: Claim) -> float:
    """F = mean σ(W_f x_t + b_f), in (0, 1), over the batch, all inputs x_t and all units.

    It is the forget gate of the first layer of LSTM `of` where the hidden state is 0, as at the
    first step. 1 keeps everything; PyTorch's own initialisation gives .5.

    Raises:
        UnmeasurableError: the layer is no LSTM, or was not called with a plain tensor.

    Source: Gers, Schmidhuber and Cummins, "Learning to forget", 2000; Jozefowicz, Zaremba and
    Sutskever, "An empirical exploration of recurrent network architectures", 2015.

    >>> from gradlint.protocol.claim import Bound, Claim
    >>> from gradlint.protocol.quantity import Quantity
    >>> from gradlint.worker.probing.quantities import Example
    >>> run = Run(Example(lambda: nn.LSTM(8, 64, batch_first=True), (4, 10, 8)), 0, keep=["LSTM"])
    >>> 0.45 < measure(run, Claim(Quantity.FORGET_GATE, "LSTM", Bound())) < 0.55
    True
    """
    call = run.call(claim.of)
    if not isinstance(call.module, nn.LSTM | nn.LSTMCell):
        raise UnmeasurableError(f"{claim.of} is no LSTM")
    given = call.arguments[0] if call.arguments else None
    if isinstance(given, nn.utils.rnn.PackedSequence):
        given = given.data
    if not isinstance(given, torch.Tensor):
        raise UnmeasurableError(f"{claim.of} was not called with a tensor")
    own = dict(call.module.named_parameters())
    last = "_l0" if isinstance(call.module, nn.LSTM) else ""
    size = call.module.hidden_size
    forget = slice(size, 2 * size)
    with torch.no_grad():
        signal = given.detach() @ own[f"weight_ih{last}"][forget].T
        biases = (own[name] for name in (f"bias_ih{last}", f"bias_hh{last}") if name in own)
        signal = sum((bias[forget] for bias in biases), signal)
        return float(torch.sigmoid(signal).double().mean())
