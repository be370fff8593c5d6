"""What one argument of a forward pass looks like: values with named sizes, drawn at will."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from gradlint.worker.inputs.passing import PassThrough

Dim = int | str
Key = str | tuple[str, ...]
Shape = tuple[Dim, ...]
SPATIAL = (("length",), ("height", "width"), ("depth", "height", "width"))
"""The names of the spatial sizes of signals, images and volumes."""
PACKED: Shape = ("batch*patches",)
"""The dimension in which the patches of all images of a batch stand in one row."""


@dataclass(frozen=True, slots=True)
class Normal:
    """A floating-point or complex tensor of normally distributed values, N(0, 1) by default."""

    shape: Shape
    dtype: str = "float32"
    mean: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Whole:
    """An int64 tensor, uniform over low … high − 1; `high` may be the name of a size."""

    shape: Shape
    high: Dim
    low: int = 0


@dataclass(frozen=True, slots=True)
class Filled:
    """A tensor of one value, such as a mask that masks nothing."""

    shape: Shape
    value: float
    dtype: str = "bool"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths of the sequences of a batch: int64, falling from the full `of` to half of it."""

    shape: Shape
    of: Dim = "time"


@dataclass(frozen=True, slots=True)
class Sets:
    """To which of the samples of a batch each row belongs: int64, rising, as many rows in each."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Ring:
    """The adjacency matrix of a ring with self-loops, each row summing to 1; perhaps sparse."""

    shape: Shape
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes in an image as (left, top, right, bottom), in pixels: float32, shape (…, 4)."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Grid:
    """How many patches each image has along (time, height, width), the last `columns` of these.

    An int64 tensor of shape (batch, columns); each image has as many as the size `patches`.
    """

    columns: int = 3


@dataclass(frozen=True, slots=True)
class Cells:
    """The column and the row of each patch of a square image: int64, shape (…, patches, 2)."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Extents:
    """The height and the width of each image of a batch: int64, shape (batch, 2)."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Words below `high` with a run of placeholders for each of `runs`: a token, and how many.

    An int64 tensor; the runs stand behind the first word, one word apart.
    """

    shape: Shape
    high: Dim
    runs: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """1 where a prompt has its placeholders for `images`, its first run, 0 elsewhere: int64."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Size:
    """A Python integer: one of the named sizes."""

    dim: Dim


@dataclass(frozen=True, slots=True)
class Constant:
    """A Python value: None, a flag, a number, a string or a type of numbers."""

    value: bool | int | float | str | torch.dtype | None


@dataclass(frozen=True, slots=True)
class Group:
    """Several values as a `tuple` or `list`, or with `keys` as a `dict` or `namespace`."""

    kind: str
    items: tuple[Spec, ...]
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed sequence of full length, batch first: shape (batch, time, features)."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is called on what the model computed; it hands its first argument on."""


Spec = (
    Function
    | Normal
    | Whole
    | Filled
    | Lengths
    | Ring
    | Sets
    | Boxes
    | Grid
    | Cells
    | Extents
    | Prompt
    | Kinds
    | Size
    | Constant
    | Group
    | Packed
)
Shaped = Normal | Whole | Filled | Lengths | Sets | Ring | Boxes | Packed | Prompt | Kinds | Cells
Sizes = Mapping[str, int]


def draw(spec: Spec, sizes: Sizes) -> object:
    """A value of this kind, drawn from torch's current random state."""
    match spec:
        case Constant(value):
            return value
        case Function():
            return PassThrough()
        case Size(dim):
            return size_of(dim, sizes)
        case Grid(columns):
            side = math.isqrt(sizes["patches"])
            return torch.tensor([[1, side, side]] * sizes["batch"])[:, -columns:]
        case Extents():
            return torch.tensor([[sizes["height"], sizes["width"]]] * sizes["batch"])
        case Group(kind, items, keys):
            return _grouped(kind, keys, [draw(item, sizes) for item in items])
        case _:
            return _tensor(spec, tuple(size_of(dim, sizes) for dim in spec.shape), sizes)


def _tensor(spec: Shaped, shape: tuple[int, ...], sizes: Sizes) -> object:
    match spec:
        case Normal(_, dtype, mean, scale):
            values = torch.randn(shape, dtype=getattr(torch, dtype))
            return values if (mean, scale) == (0.0, 1.0) else values * scale + mean
        case Whole(_, high, low):
            return torch.randint(low, max(size_of(high, sizes), low + 1), shape)
        case Filled(_, value, dtype):
            return torch.full(shape, value, dtype=getattr(torch, dtype))
        case Lengths(_, of):
            full = size_of(of, sizes)
            return torch.linspace(full, max(full // 2, 1), shape[0]).round().long()
        case Prompt(_, high, runs):
            return _prompt(shape, size_of(high, sizes), runs, sizes)
        case Kinds():
            places = torch.arange(shape[-1])
            return ((places > 0) & (places <= sizes["images"])).long().expand(shape).clone()
        case Cells():
            side, places = math.isqrt(shape[-2]), torch.arange(shape[-2])
            return torch.stack([places % side, places // side], -1).expand(shape).clone()
        case Sets():
            rows = torch.arange(shape[0])
            return rows * min(sizes["batch"], shape[0]) // max(shape[0], 1)
        case Ring(_, sparse):
            eye = torch.eye(shape[-1])
            ring = (eye + eye.roll(1, 0) + eye.roll(-1, 0)).clamp(max=1)
            rows = (ring / ring.sum(-1, keepdim=True)).expand(shape).clone()
            return rows.to_sparse() if sparse else rows
        case Boxes():
            corner = torch.rand((*shape[:-1], 2)) * 8
            return torch.cat([corner, corner + 4 + torch.rand_like(corner) * 12], -1)
        case Packed():
            lengths = torch.full((shape[0],), shape[1])
            values = torch.randn(shape)
            return torch.nn.utils.rnn.pack_padded_sequence(values, lengths, batch_first=True)


def _prompt(
    shape: tuple[int, ...], high: int, runs: tuple[tuple[int, str], ...], sizes: Sizes
) -> torch.Tensor:
    special = {token for token, _ in runs}
    word = next(number for number in range(len(special) + 1) if number not in special)
    words = torch.randint(0, high, shape)
    start = 1
    for token, count in runs:
        words = torch.where(words == token, word, words)
        words[..., start : start + sizes[count]] = token
        start += sizes[count] + 1
    return words


def size_of(dim: Dim, sizes: Sizes) -> int:
    """The number that a dimension stands for; `batch*patches` is a product of named sizes."""
    if isinstance(dim, str):
        return math.prod(sizes[name] for name in dim.split("*"))
    return int(dim)  # because a layer may have been given a number of numpy's


class Record(types.SimpleNamespace):
    """An object with attributes, as a batch of graphs is one: it can be copied and moved."""

    def clone(self) -> Record:
        """Another with the same values."""
        return Record(**vars(self))

    def to(self, *_: object) -> Record:
        """The same, because all values are on the processor."""
        return self


def _grouped(kind: str, keys: tuple[Key, ...], values: list[object]) -> object:
    if kind == "tuple":
        return tuple(values)
    if kind == "list":
        return values
    entries = dict(zip(keys, values, strict=True))
    return entries if kind == "dict" else Record(**{str(key): entries[key] for key in keys})


def volume(spec: Spec, sizes: Sizes) -> int:
    """How many numbers a value of this kind holds."""
    if isinstance(spec, Group):
        return sum(volume(item, sizes) for item in spec.items)
    return math.prod(size_of(dim, sizes) for dim in getattr(spec, "shape", ()))


def reshaped(spec: Spec, shape: Shape) -> Spec:
    """The same kind of value with another shape; values without a shape stay as they are."""
    if isinstance(spec, Ring) and shape[-1:] != shape[-2:-1]:
        return Normal(shape)  # because an adjacency is square
    return replace(spec, shape=shape) if isinstance(spec, Shaped) else spec


def described(value: object) -> str:
    """How a report writes a value: `float32[8,3,32,32]`, `(float32[2,8], int64[8])`, `None`."""
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"{dtype}[{','.join(map(str, value.shape))}]"
    if type(value).__name__ == "ndarray":
        return f"numpy.{described(torch.as_tensor(value))}"
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return f"PackedSequence({described(value.data)})"
    if isinstance(value, tuple):
        inner = ", ".join(described(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(described(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {described(item)}' for key, item in value.items())}}}"
    if isinstance(value, types.SimpleNamespace):
        return ", ".join(f"{key}: {described(item)}" for key, item in vars(value).items())
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__}(…)"
