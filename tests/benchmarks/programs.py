"""Ordinary training programs drawn from a seed: a network, its data and its training loop."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

ACTIVATIONS = "ReLU LeakyReLU Tanh Sigmoid GELU SiLU ELU SELU Softplus Hardtanh Mish".split()
INITIALISATIONS = {
    "default": "",
    "he": "kaiming_normal_(module.weight)",
    "lecun": 'kaiming_normal_(module.weight, nonlinearity="linear")',
    "xavier": "xavier_uniform_(module.weight)",
    "orthogonal": "orthogonal_(module.weight)",
    "small": "normal_(module.weight, std=0.01)",
    "bert": "normal_(module.weight, std=0.02)",
    "large": "normal_(module.weight)",
}
KINDS = ("plain", "convolutional", "residual", "transformer", "recurrent")
RATES = {"SGD": (0.1, 0.03, 0.01), "Adam": (3e-3, 1e-3, 3e-4)}
CELLS = ("tanh", "relu", "loop", "GRU", "LSTM", "remembering")


@dataclass(frozen=True, slots=True)
class Design:
    """What a program is made of; `skip` counts for residual networks and transformers only.

    `norm` is "none", "batch" or "layer"; for transformers "none", "before" or "after". `steps` is
    the length of the sequence that a recurrent network has to remember the start of.
    """

    seed: int
    kind: str
    depth: int
    width: int
    activation: str
    initialisation: str
    norm: str
    skip: bool
    optimizer: str
    rate: float
    images: bool = True
    cell: str = ""
    steps: int = 0


def design(seed: int) -> Design:
    """The design that belongs to a seed."""
    draw = random.Random(seed)
    kind = KINDS[seed // 2 % len(KINDS)]  # because even seeds and odd ones are two halves
    optimizer = draw.choice(list(RATES))
    deepest, widths = {
        "plain": (40, (16, 32, 64, 128)),
        "convolutional": (16, (8, 16)),
        "residual": (24, (16, 32, 64)),
        "transformer": (10, (16, 32)),
        "recurrent": (1, (32, 64)),
    }[kind]
    return Design(
        seed=seed,
        kind=kind,
        depth=_log_uniform(draw, 2, deepest) if deepest > 1 else 1,
        width=draw.choice(widths),
        activation=draw.choice(ACTIVATIONS),
        initialisation=draw.choice(list(INITIALISATIONS)),
        norm=draw.choice(_norms(kind)),
        skip=kind == "residual" or draw.random() < 0.8,
        optimizer=optimizer,
        rate=draw.choice(RATES[optimizer]),
        images=draw.random() < 0.5,
        cell=draw.choice(CELLS) if kind == "recurrent" else "",
        steps=_log_uniform(draw, 5, 50) if kind == "recurrent" else 0,
    )


def _norms(kind: str) -> Sequence[str]:
    return {
        "transformer": ("none", "before", "before", "after", "after"),
        "residual": ("none", "batch", "layer"),
    }.get(kind, ("none", "none", "batch", "layer"))


def _log_uniform(draw: random.Random, low: int, high: int) -> int:
    return round(math.exp(draw.uniform(math.log(low), math.log(high))))


def program(d: Design) -> str:
    """The source of a design: `train()` trains the network, `score(model)` says what it learnt.

    The score is 0 for what can be said without a look at the input and 1 for perfection.
    """
    parts = {
        "plain": _plain,
        "convolutional": _convolutional,
        "residual": _residual,
        "transformer": _transformer,
        "recurrent": _recurrent,
    }[d.kind](d)
    return _HEAD + parts


_HEAD = '''"""Trains a small network and prints how much of its task it has learnt."""

import torch
from torch import nn

'''

_DIGITS = """
def load():
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    images = torch.tensor(digits, dtype=torch.float32)
    images = ((images - images.mean()) / images.std()).reshape(-1, {shape})
    return images, torch.tensor(labels)


def train(steps={steps}):
    images, labels = load()
    model = Net()
    optimizer = {optimizer}
    criterion = nn.CrossEntropyLoss()
    for _ in range(steps):
        batch = torch.randint(1400, (64,))
        optimizer.zero_grad()
        loss = criterion(model(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
    return model


def score(model):
    images, labels = load()
    with torch.no_grad():
        model.eval()
        right = model(images[1400:]).argmax(1) == labels[1400:]
    return (right.float().mean().item() - 0.1) / 0.9


if __name__ == "__main__":
    print(score(train()))
"""

_TEXT = """
def load():
    import argparse
    import inspect

    text = inspect.getsource(argparse).encode("ascii", "replace")
    return torch.tensor(list(text)).clamp(9, 127)


def batch(text, size=16, length=24):
    starts = torch.randint(len(text) - length - 1, (size, 1))
    chunk = text[starts + torch.arange(length + 1)]
    return chunk[:, :-1], chunk[:, 1:]


def train(steps=300):
    text = load()
    model = Net()
    optimizer = {optimizer}
    for _ in range(steps):
        tokens, following = batch(text)
        logits = model(tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def score(model):
    text = load()
    counts = torch.bincount(text).float()
    single = torch.distributions.Categorical(counts).entropy()
    pairs = torch.bincount(128 * text[:-1] + text[1:]).float()
    double = torch.distributions.Categorical(pairs).entropy() - single
    with torch.no_grad():
        model.eval()
        tokens, following = batch(text, 128)
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
    return ((single - loss) / (single - double)).item()


if __name__ == "__main__":
    print(score(train()))
"""

_MEMORY = """
def train(steps={updates}):
    model = Net()
    optimizer = {optimizer}
    criterion = nn.CrossEntropyLoss()
    for _ in range(steps):
        symbols = torch.randint(0, 4, (32, {length}))
        loss = criterion(model(symbols), symbols[:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def score(model):
    with torch.no_grad():
        model.eval()
        symbols = torch.randint(0, 4, (512, {length}))
        right = model(symbols).argmax(1) == symbols[:, 0]
    return (right.float().mean().item() - 0.25) / 0.75


if __name__ == "__main__":
    print(score(train()))
"""


def _optimizer(d: Design) -> str:
    momentum = ", momentum=0.9" if d.optimizer == "SGD" else ""
    return f"torch.optim.{d.optimizer}(model.parameters(), lr={d.rate:g}{momentum})"


def _initialised(d: Design, kinds: str) -> str:
    call = INITIALISATIONS[d.initialisation]
    if not call:
        return ""
    return f"""
        for module in self.modules():
            if isinstance(module, {kinds}):
                nn.init.{call}
                nn.init.zeros_(module.bias)
"""


def _norm(d: Design, width: str = "width") -> str:
    if d.norm == "none":
        return ""
    if d.images and d.kind in ("convolutional", "residual"):
        return {"batch": f"nn.BatchNorm2d({width}), ", "layer": f"nn.GroupNorm(1, {width}), "}[
            d.norm
        ]
    return {"batch": f"nn.BatchNorm1d({width}), ", "layer": f"nn.LayerNorm({width}), "}[d.norm]


def _plain(d: Design) -> str:
    norm, activation = _norm(d), f"nn.{d.activation}()"
    return f"""
class Net(nn.Module):
    def __init__(self, width={d.width}, depth={d.depth}):
        super().__init__()
        layers = [nn.Linear(64, width), {norm}{activation}]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), {norm}{activation}]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)
{_initialised(d, "nn.Linear")}
    def forward(self, x):  # x: (batch, 64)
        return self.head(self.body(x))

""" + _digits(d, "64")


def _digits(d: Design, shape: str) -> str:
    return _DIGITS.format(shape=shape, steps=300, optimizer=_optimizer(d))


def _convolutional(d: Design) -> str:
    norm = {
        "none": "",
        "batch": "nn.BatchNorm2d(width), ",
        "layer": "nn.GroupNorm(1, width), ",
    }[d.norm]
    activation = f"nn.{d.activation}()"
    return f"""
class Net(nn.Module):
    def __init__(self, width={d.width}, depth={d.depth}):
        super().__init__()
        layers = [nn.Conv2d(1, width, 3, stride=2, padding=1), {norm}{activation}]
        for _ in range(depth - 1):
            layers += [nn.Conv2d(width, width, 3, padding=1), {norm}{activation}]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.classifier = nn.Linear(16 * width, 10)
{_initialised(d, "(nn.Conv2d, nn.Linear)")}
    def forward(self, images):  # images: (batch, 1, 8, 8)
        return self.classifier(self.features(images))

""" + _digits(d, "1, 8, 8")


def _residual(d: Design) -> str:
    norm, activation = _norm(d), f"nn.{d.activation}()"
    layer = "nn.Conv2d({}, {}, 3, padding=1)" if d.images else "nn.Linear({}, {})"
    inner = layer.format("width", "width")
    if d.images:
        stem, head = "nn.Conv2d(1, width, 3, stride=2, padding=1)", "x.mean((2, 3))"
        width = min(d.width, 16)
    else:
        stem, head, width = "nn.Linear(64, width)", "x", d.width
    return f"""
class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential({norm}{activation}, {inner}, {norm}{activation}, {inner})

    def forward(self, x):
        return x + self.body(x)


class Net(nn.Module):
    def __init__(self, width={width}, depth={d.depth}):
        super().__init__()
        self.stem = {stem}
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
{_initialised(d, "(nn.Conv2d, nn.Linear)" if d.images else "nn.Linear")}
    def forward(self, x):  # x: (batch, {"1, 8, 8" if d.images else "64"})
        x = self.blocks(self.stem(x))
        return self.head({head})

""" + _digits(d, "1, 8, 8" if d.images else "64")


def _transformer(d: Design) -> str:
    attention, feed = {
        "none": ("self.attend({})", "self.feed({})"),
        "before": ("self.attend(self.norm1({}))", "self.feed(self.norm2({}))"),
        "after": ("self.attend({})", "self.feed({})"),
    }[d.norm]
    lines = []
    for place, branch in enumerate((attention, feed), 1):
        new = ("x + " if d.skip else "") + branch.format("x")
        lines.append(f"x = self.norm{place}({new})" if d.norm == "after" else f"x = {new}")
    norms = (
        ""
        if d.norm == "none"
        else "\n        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)"
    )
    final = "nn.LayerNorm(width)" if d.norm == "before" else "nn.Identity()"
    length, classes = (8, 10) if d.images else (24, 128)
    embed = "nn.Linear(8, width)" if d.images else "nn.Embedding(128, width)"
    pooled = ".mean(1)" if d.images else ""
    block = f"""
class Block(nn.Module):
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.{d.activation}(), nn.Linear(2 * width, width)
        ){norms}

    def attend(self, x):
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal={not d.images})
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x):  # x: (batch, {length}, width)
        {lines[0]}
        {lines[1]}
        return x


class Net(nn.Module):
    def __init__(self, width={d.width}, depth={d.depth}):
        super().__init__()
        self.embed = {embed}
        self.position = nn.Parameter(0.02 * torch.randn({length}, width))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.norm = {final}
        self.head = nn.Linear(width, {classes})
{_initialised(d, "nn.Linear")}
    def forward(self, x):  # x: (batch, {length}{", 8" if d.images else ""})
        x = self.blocks(self.embed(x) + self.position)
        return self.head(self.norm(x{pooled}))

"""
    return block + (_digits(d, "8, 8") if d.images else _TEXT.format(optimizer=_optimizer(d)))


def _recurrent(d: Design) -> str:
    hidden = d.width
    special = d.initialisation in ("orthogonal", "he", "xavier")  # the recurrent weights' own
    if d.cell == "loop":
        made = """self.enter = nn.Linear(16, hidden)
        self.step = nn.Linear(hidden, hidden)"""
        run = """state = torch.zeros(x.shape[0], self.hidden)
        for moment in x.unbind(1):
            state = torch.tanh(self.enter(moment) + self.step(state))"""
        weight = "self.step.weight"
    else:
        kind = {"GRU": "GRU", "LSTM": "LSTM", "remembering": "LSTM"}.get(d.cell, "RNN")
        relu = ', nonlinearity="relu"' if d.cell == "relu" else ""
        made = f"self.rnn = nn.{kind}(16, hidden, batch_first=True{relu})"
        run = "state = self.rnn(x)[0][:, -1]"
        weight = "self.rnn.weight_hh_l0"
    chosen = ""
    if d.cell in ("tanh", "relu", "loop") and special:
        scheme = "eye_" if d.cell == "relu" else "orthogonal_"
        chosen = f"\n        nn.init.{scheme}({weight})"
    if d.cell == "remembering":
        chosen = """
        with torch.no_grad():
            self.rnn.bias_hh_l0[hidden : 2 * hidden] = 3.0"""
    return f"""
class Net(nn.Module):
    def __init__(self, hidden={hidden}):
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Embedding(4, 16)
        {made}
        self.head = nn.Linear(hidden, 4){chosen}

    def forward(self, symbols):  # symbols: (batch, {d.steps})
        x = self.embed(symbols)
        {run}
        return self.head(state)

""" + _MEMORY.format(updates=500, length=d.steps, optimizer=_optimizer(d))
