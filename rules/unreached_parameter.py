"""The rule `unreached-parameter`: weights at which no gradient can arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradlint.rule import (
    SWITCHES,
    Bypass,
    Family,
    GraphRule,
    Hypothesis,
    Layer,
    LayerGraph,
    LetThrough,
    Parameter,
    Remedy,
    Severity,
    Span,
    Stop,
    arrival_claims,
    effects,
    listing,
    name_of,
    parts,
    site,
    stops_of,
    takers_of,
    unreached,
)

_FLAT = frozenset("round floor ceil trunc fix sign sgn".split())  # derivative zero everywhere
_CUTS = frozenset({"detach", "data"})
_SPOKEN = {
    "data": "`.data` takes it without its history",
    "sample": "`.sample()` draws without a gradient",
    "numpy": "`.numpy()` turns it into an array",
    "array": "it is turned into an array",
}
_NUMBERS = frozenset({"item", "tolist", "float", "int", "index"})


class UnreachedParameter(GraphRule):
    """Trainable weights that no gradient reaches, because the way to them is cut or never taken.

    Why it is bad:
        A weight without gradient keeps the random value that it started with. A layer whose output
        is detached, turned into a number, or replaced by the place of its maximum is noise that the
        rest of the model has to live with; one that is never called, or whose output is thrown
        away, is mostly a slip of the pen. No optimizer complains about either.

    How it is measured:
        One backward pass, for several seeds: the share of the trainable numbers of the part in
        question that get a gradient other than zero, at the start or after one step. It is an error
        where the source cuts the way to the loss, and a warning where a layer is not used.

    What to do:
        Where the gradient is cut: stay in torch and leave out `detach`, `.data` and `.item()`, draw
        by `rsample()`, and round by a straight-through estimator, x + (x.round() - x).detach().
        Where a layer is not used: call it, use what it gives, or delete it.

    Known limitations:
        Silent for frozen parameters, for copies of others (momentum encoders), for codebooks that
        the forward pass rewrites, for parts whose name says that they are held still, and where
        the model returns or keeps the value; of a module that the constructor is handed more may
        be used than this model takes of it. A layer that is never called is reported only if no
        code but constructors names it, and not inside a list of which others were called: experts
        and dropped layers look like that. Dead units are left to `dead-relu`.
    """

    family = Family.TOPOLOGY
    references = (
        "https://docs.pytorch.org/docs/stable/notes/autograd.html",
        "https://arxiv.org/abs/1308.3432",
    )

    def check(self, graph: LayerGraph) -> Iterator[Hypothesis]:
        """Yield one suspicion for each place at which the gradient of parameters ends."""
        stopped: dict[tuple[str, Span | None], list[tuple[Parameter, Stop]]] = {}
        unused: dict[Layer, list[Parameter]] = {}
        uncalled: dict[str, list[Parameter]] = {}
        for parameter in unreached(graph):
            stops = stops_of(graph, parameter)
            dead_ends = effects(graph, parameter)
            if stops:
                stopped.setdefault((stops[0].cause, stops[0].span), []).append(
                    (parameter, stops[0])
                )
            elif dead_ends and not (parameter.handed or _is_taken(graph, parameter)):
                unused.setdefault(dead_ends[-1], []).append(parameter)
            elif not dead_ends and not parameter.named:
                uncalled.setdefault(parameter.holder, []).append(parameter)
        for (cause, span), cut in stopped.items():
            if cause not in SWITCHES:
                yield _stopped(graph, cause, span, cut)
        yield from (_unused(graph, end, found) for end, found in unused.items())
        yield from (_uncalled(graph, holder, found) for holder, found in uncalled.items())
        yield from _flattened(graph)

    examples = (
        """
import torch
from torch import nn
import torch.nn.functional as F

class TwoStage(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.fc1 = nn.Linear(12, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 12)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x)).detach()  # confirmed
        return self.fc3(x)

def demo():
    return TwoStage()(torch.randn(16, 12))
""",
        """
import torch
from torch import nn

class Quantised(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.encoder = nn.Linear(12, width)
        self.decoder = nn.Linear(width, 12)

    def forward(self, x):  # x: (batch, 12)
        code = torch.round(4 * torch.sigmoid(self.encoder(x)))  # confirmed
        return self.decoder(code)

def demo():
    return Quantised()(torch.randn(16, 12))
""",
        """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self, vocabulary=30, kinds=6, width=24):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.guess = nn.Linear(width, kinds)
        self.kinds = nn.Embedding(kinds, width)
        self.out = nn.Linear(2 * width, 5)

    def forward(self, tokens):  # tokens: (batch, time)
        x = self.words(tokens)
        kind = self.guess(x).argmax(-1)  # confirmed
        return self.out(torch.cat([x, self.kinds(kind)], -1))

def demo():
    return Tagger()(torch.randint(0, 30, (8, 10)))
""",
        """
import torch
from torch import nn
import torch.nn.functional as F

class Copied(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)  # confirmed
        self.fc = nn.Linear(8, 10)

    def forward(self, x):  # x: (batch, 1, height, width)
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc(x.mean((2, 3)))

class Overwritten(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(6, 16)
        self.out = nn.Linear(16, 2)

    def forward(self, x):  # x: (batch, 6)
        h = F.relu(self.fc1(x))  # confirmed
        h = F.relu(self.fc2(x))
        return self.out(h)

def demo():
    return Copied()(torch.randn(8, 1, 12, 12)), Overwritten()(torch.randn(8, 6))
""",
        """
import torch
from torch import nn
from torch.autograd import Function

class Rounded(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient

class Binary(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.encoder = nn.Linear(12, width)
        self.decoder = nn.Linear(width, 12)

    def forward(self, x):  # x: (batch, 12)
        code = torch.sigmoid(self.encoder(x))
        code = code + (code.round() - code).detach()
        return self.decoder(Rounded.apply(code))

class Vectors(nn.Module):
    def __init__(self, width=8, codes=16):
        super().__init__()
        self.encode = nn.Linear(12, width)
        self.table = nn.Embedding(codes, width)
        self.decode = nn.Linear(width, 12)

    def forward(self, x):  # x: (batch, 12)
        z = self.encode(x)
        nearest = torch.cdist(z, self.table.weight).argmin(-1)
        q = self.table(nearest)
        loss = ((q - z.detach()) ** 2).mean() + 0.25 * ((q.detach() - z) ** 2).mean()
        return self.decode(z + (q - z).detach()), loss

class ManyTasks(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.body = nn.Linear(12, width)
        self.heads = nn.ModuleDict({"age": nn.Linear(width, 1), "kind": nn.Linear(width, 5)})
        self.pool = nn.Linear(width, width)

    def pooled(self, x):
        return self.pool(self.body(x))

    def forward(self, x, task="age"):  # x: (batch, 12)
        return self.heads[task](torch.relu(self.body(x)))

def demo():
    x = torch.randn(16, 12)
    return Binary()(x), Vectors()(x), ManyTasks()(x)
""",
        """
import torch
from torch import nn

class Late(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.first = nn.Linear(8, width)
        self.last = nn.Linear(width, 2)
        self.step = 0

    def forward(self, x):  # x: (batch, 8)
        self.step += 1
        x = torch.relu(self.first(x))
        return self.last(x.detach() if self.step == 1 else x)  # refuted

def demo():
    return Late()(torch.randn(16, 8))
""",
        """
import torch
from torch import nn

class Reader(nn.Module):
    def __init__(self, width=16, words=40):
        super().__init__()
        self.body = nn.Linear(width, width)
        self.words = nn.Linear(width, words)

    def forward(self, x):  # x: (batch, 16)
        hidden = torch.tanh(self.body(x))
        return self.words(hidden), hidden

class Summary(nn.Module):
    def __init__(self, reader, width=16):
        super().__init__()
        self.reader = reader
        self.out = nn.Linear(width, 4)

    def forward(self, x):  # x: (batch, 16)
        words, hidden = self.reader(x)
        return self.out(hidden)

def demo():
    return Summary(Reader())(torch.randn(16, 16))
""",
    )


def _is_taken(graph: LayerGraph, parameter: Parameter) -> bool:
    """Whether a stop takes the effect of `parameter` on, to no loss but perhaps to a report."""
    behind = graph.behind_all([parameter.id])
    return any(behind.intersection(stop.takes) for stop in graph.stops)


def _hypothesis(
    graph: LayerGraph,
    found: Iterable[Parameter],
    span: Span,
    message: str,
    advice: str,
    remedies: tuple[Remedy, ...] = (),
    severity: Severity = Severity.ERROR,
    region: tuple[str, ...] = (),
) -> Hypothesis:
    paths = parts(graph, tuple(found))
    return Hypothesis(
        span=span,
        layer=paths[0],
        message=message,
        claims=tuple(arrival_claims(paths)),
        region=region,  # empty where it is true whatever else is wrong with these layers
        remedies=remedies,
        advice=advice,
        severity=severity,
        definite=True,
    )


def _stopped(
    graph: LayerGraph, cause: str, span: Span | None, cut: list[tuple[Parameter, Stop]]
) -> Hypothesis:
    parameters = [parameter for parameter, _ in cut]
    return _hypothesis(
        graph,
        parameters,
        span or site([]),
        f"no gradient arrives at {listing(parts(graph, parameters))}: {_spoken(cause)}",
        "keep the value in the graph, or freeze what shall not learn by requires_grad_(False)",
        (Remedy(f"compute it without {cause}", (LetThrough(),)),) if cause in _CUTS else (),
    )


def _spoken(cause: str) -> str:
    usual = (
        f"`.{cause}()` turns it into a number" if cause in _NUMBERS else f"`{cause}` cuts it off"
    )
    return _SPOKEN.get(cause, usual)


def _unused(graph: LayerGraph, end: Layer, found: list[Parameter]) -> Hypothesis:
    first = graph.takers(found[0])[0]
    return _hypothesis(
        graph,
        found,
        first.span or site([first]),
        f"no gradient arrives at {listing(parts(graph, found))}: nothing uses what {end.id} gives",
        "use the output of the layer, or delete the layer",
        severity=Severity.WARNING,
    )


def _uncalled(graph: LayerGraph, holder: str, found: list[Parameter]) -> Hypothesis:
    return _hypothesis(
        graph,
        found,
        found[0].constructed or site([]),
        f"no gradient arrives at {holder}: nothing but its constructor names it",
        "use it in forward, or delete it",
        severity=Severity.WARNING,
    )


def _flattened(graph: LayerGraph) -> Iterator[Hypothesis]:
    """Parameters all of whose ways to the loss lead through steps."""
    steps = [layer for layer in graph.layers if name_of(layer) in _FLAT]
    if not steps:
        return
    felt = graph.felt() - graph.felt(avoiding=steps)
    cut: dict[Layer, list[Parameter]] = {}
    for parameter in graph.parameters:
        if parameter.id in felt and parameter.requires_grad:
            behind = graph.behind_all([parameter.id])
            nearest = next(step for step in steps if step.id in behind & felt)
            cut.setdefault(nearest, []).append(parameter)
    for step, found in cut.items():
        name = name_of(step)
        yield _hypothesis(
            graph,
            found,
            step.span or site([step]),
            f"no gradient arrives at {listing(parts(graph, found))}: the derivative of {name} "
            "is zero everywhere",
            f"let the gradient pass {name} unchanged",
            (
                Remedy(
                    f"pass the gradient by {name} (a straight-through estimator)",
                    (Bypass(tuple(step.id for step in steps)),),
                ),
            ),
            region=(step.id, *takers_of(graph, found)),
        )
