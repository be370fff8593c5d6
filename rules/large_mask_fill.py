"""The rule `large-mask-fill`: masked scores filled with a number that half precision lacks."""

from __future__ import annotations

from collections.abc import Iterator

from gradlint.rule import (
    Bound,
    Claim,
    Family,
    Hypothesis,
    Layer,
    LayerGraph,
    Limit,
    LoopRule,
    Quantity,
    Remedy,
    TrainingLoop,
    name_of,
    site,
)

_LARGEST = 65504.0  # of float16
_INFINITE = 1e29  # which a mask may well hold, and which fits every type
_NONE = Bound(at_most=0)
_FILLS = frozenset({"masked_fill", "where", "add"})


class LargeMaskFill(LoopRule):
    """A mask that fills scores with a number such as -1e9, in a model that computes in float16.

    Why it is bad:
        The largest number of float16 is 65504. Filling a float16 tensor with -1e9 raises "value
        cannot be converted to type at::Half without overflow"; adding it gives minus infinity, and
        a row that is masked as a whole then becomes NaN in the softmax, which spreads to all
        weights with the first gradient.

    How it is measured:
        The model runs in single precision, and the share of the finite elements of the masked
        scores that lie beyond 65504 is counted. A mask that covers nothing fills nothing and is
        refuted.

    What to do:
        Fill with `torch.finfo(scores.dtype).min`, which fits every type, or compute the scores and
        the softmax in float32. With bfloat16 the number fits.

    Known limitations:
        Half precision is seen where the loop opens an autocast to float16 or the file converts the
        model. Fills inside libraries, and masks made from tensors in a function of their own, are
        seen only if they run in the traced forward pass.
    """

    family = Family.LOSS
    references = (
        "https://docs.pytorch.org/docs/stable/amp.html",
        "https://github.com/huggingface/transformers/pull/17306",
    )

    def check(self, loop: TrainingLoop, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each large fill of a model that is trained in float16."""
        for layer in graph.layers if loop.half else ():
            value = _fill(layer)
            if name_of(layer) in _FILLS and value > _LARGEST:
                yield Hypothesis(
                    span=layer.span or site([layer]),
                    layer=layer.id,
                    message=f"scores masked with a number of size {value:.3g}, in float16",
                    claims=(Claim(Quantity.HALF_OVERFLOW, layer.id, _NONE, error=_NONE),),
                    region=(layer.id,),
                    remedies=(
                        Remedy(
                            "fill with torch.finfo(scores.dtype).min",
                            (Limit((layer.id,), _LARGEST),),
                        ),
                    ),
                    definite=True,
                )

    examples = (
        """
import torch
from torch import nn

class Attention(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, 2)

    def forward(self, x):  # x: (batch, time, 16)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(1, 2) / 4
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, -1e9)  # confirmed
        return self.out((scores.softmax(-1) @ v).mean(1))

def train(loader):
    model = Attention()
    scaler = torch.amp.GradScaler("cuda")
    optimizer = torch.optim.AdamW(model.parameters())
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

if __name__ == "__main__":
    train([(torch.randn(8, 6, 16), torch.randint(0, 2, (8,)))])
""",
        """
import torch
from torch import nn

class Padded(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.score = nn.Linear(width, 1)
        self.out = nn.Linear(width, 2)

    def forward(self, x, padding):  # x: (batch, time, 16), padding: (batch, time)
        scores = self.score(x).squeeze(-1)
        weights = scores.masked_fill(padding, -1e9).softmax(-1)  # refuted
        return self.out((weights[..., None] * x).sum(1))

def train(loader):
    model = Padded()
    scaler = torch.cuda.amp.GradScaler()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, padding, y in loader:
        with torch.cuda.amp.autocast():
            loss = nn.functional.cross_entropy(model(x, padding), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

if __name__ == "__main__":
    x, padding = torch.randn(8, 6, 16), torch.zeros(8, 6, dtype=torch.bool)
    train([(x, padding, torch.randint(0, 2, (8,)))])
    Padded()(x, padding)
""",
        """
import torch
from torch import nn

class Wide(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.score = nn.Linear(width, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x):  # x: (batch, 16)
        mask = torch.tensor([False, False, False, True])
        return self.out(self.score(x).masked_fill(mask, -1e9).softmax(-1))

def train(loader):
    model = Wide()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

if __name__ == "__main__":
    train([(torch.randn(8, 16), torch.randint(0, 2, (8,)))])
""",
    )


def _fill(layer: Layer) -> float:
    """The size of the largest constant that a call was given, a number or a constant tensor."""
    known = [(n, abs(v)) for n, v in layer.settings if isinstance(v, int | float)]
    sizes = [v**0.5 if n.endswith(".square") else v for n, v in known if not n.endswith(".mean")]
    return max((v for v in sizes if v < _INFINITE), default=0.0)
