"""What an argument of `forward` is for, by its annotation, its use and its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

from torch import nn

from gradlint.worker.facts import Facts, channels_of
from gradlint.worker.forwards import Forward
from gradlint.worker.layers import last_size, others, spec_of
from gradlint.worker.role import Role
from gradlint.worker.specs import (
    Boxes,
    Constant,
    Dim,
    Extents,
    Filled,
    Function,
    Grid,
    Group,
    Kinds,
    Lengths,
    Normal,
    Shape,
    Size,
    Spec,
    Whole,
    reshaped,
)
from gradlint.worker.states import own_states
from gradlint.worker.vision import IMAGES, KINDS, VISION, is_image, packed_patches
from gradlint.worker.wiring import WIRING, features, graph, is_wiring


def ideas_for(facts: Facts, forward: Forward, name: str, index: int) -> tuple[Spec, ...]:
    """What an argument may be, the likeliest first; at least one idea."""
    return tuple(dict.fromkeys(_ideas(Role(facts, forward, name, index))))


def _ideas(role: Role) -> Iterator[Spec]:
    told = tuple(_annotated(role, role.forward.annotations.get(role.name, "")))
    if any(isinstance(idea, Group) for idea in told):
        yield from told
        return  # because a tensor in place of a list has the list's length for its batch
    yield from _remarked(role)
    yield from told
    if role.forward.calls(role.name):
        yield Function()
    keys = role.forward.keys(role.name)
    if keys:
        yield Group("dict", tuple(_part(role, key, i) for i, key in enumerate(keys)), keys)
    yield from (Constant(choice) for choice in role.forward.choices(role.name))
    yield from features(role)
    inward = role.inward()
    parts = () if is_wiring(role.lower) else inward.forward.unpacked(inward.name)
    if any(is_wiring(part.lower()) for part in parts):
        yield graph(inward, parts)
    if len(parts) > 1:
        hidden = _hidden(role) if _HIDDEN.fullmatch(role.lower) else ()
        yield from (idea for idea in hidden if isinstance(idea, Group))
        yield Group("tuple", tuple(_part(inward, part, i) for i, part in enumerate(parts)))
    yield from _by_name(role)


def _part(role: Role, name: str, index: int) -> Spec:
    """One entry of a batch or of a tuple, by its own name."""
    return next(_by_name(Role(role.facts, role.forward, name, index)))


# Annotations.

_JAXTYPING = re.compile(r"^\s*(?:jaxtyping\.)?(\w+)\[[^\"']*[\"']([^\"']*)[\"']\]")
_PREFIX = re.compile(r"\b(torch|typing|t|nn|jaxtyping|collections\.abc)\.")
_OPTIONAL = re.compile(r"(Optional\[|None\s*\|)|.*\|\s*None$|Union\[.*None")
_LITERAL = re.compile(r"Literal\[\s*(?:'([^']*)'|\"([^\"]*)\"|(-?\d+))")


def _annotated(role: Role, annotation: str) -> Iterator[Spec]:
    jaxtyping = _JAXTYPING.match(annotation)
    if jaxtyping and jaxtyping[1] != "Literal":
        yield _jaxtyped(role, jaxtyping[1], jaxtyping[2].split())
        return
    bare = _PREFIX.sub("", annotation).strip()
    if literal := _LITERAL.match(bare):
        yield Constant(int(literal[3]) if literal[3] else literal[1] or literal[2])
    elif bare in _SCALARS and not role.forward.choices(role.name):
        yield _SCALARS[bare] if bare != "int" else _whole_number(role)
    if _OPTIONAL.match(bare) and role.name in role.forward.required:
        yield Constant(None)
    if "LongTensor" in bare or "IntTensor" in bare:
        ideas = (idea for idea in _by_name(role) if isinstance(idea, (Whole, Kinds, Grid, Extents)))
        yield next(ideas, Whole(("batch", "time"), role.facts.tokens() or 2))
    inside = re.sub(r"^Optional\[(.*)\]$|\s*\|\s*None$", r"\1", bare)
    if group := re.match(r"(tuple|list|sequence|iterable)\[(.*)\]$", inside, re.IGNORECASE):
        yield from _grouped(role, group[1].lower(), group[2])
    elif re.match(r"(ordered|default)?dict\[str,\s*Tensor\]$", inside, re.IGNORECASE):
        yield Group("dict", (_of_group(role),) * len(_KEYS), _KEYS)


_SCALARS: dict[str, Spec] = {
    "bool": Constant(False),
    "float": Constant(0.5),
    "str": Constant(""),
    "int": Constant(4),
}


def _grouped(role: Role, kind: str, inner: str) -> Iterator[Spec]:
    if kind != "tuple" and re.match(r"(dict|Dict)\[str", inner) and role.lower == "targets":
        found: dict[str, Spec] = {"boxes": Boxes((3, 4)), "labels": Whole((3,), 2, 1)}
        yield Group("list", (Group("dict", tuple(found.values()), tuple(found)),) * 2)
    elif "Tensor" in inner:
        count = inner.count("Tensor") if kind == "tuple" and "..." not in inner else 2
        plain = _of_group(role)
        if kind != "tuple" and is_image(role.lower):
            plain = Normal((3, "height", "width"))  # because the list is the batch
        yield Group("tuple" if kind == "tuple" else "list", (plain,) * count)
    elif inner == "str" and kind != "tuple":
        yield Group("list", tuple(map(Constant, _KEYS)))
    elif re.fullmatch(r"int(\s*,\s*(int|\.\.\.))*", inner):
        yield Group("tuple", (Size("height"), Size("width")))


_KEYS = ("0", "1")
"""The names of feature maps, as torchvision's backbones give them."""


def _of_group(role: Role) -> Spec:
    """One of the tensors in a list or a mapping, by the name of one of them."""
    one = Role(role.facts, role.forward, re.sub(r"s$", "", role.name), 0)
    tensors = (idea for idea in _by_name(one) if not isinstance(idea, (Constant, Group)))
    return next(tensors, role.main())


_BATCH = re.compile(r"b|bs|n|batch(_?size)?|bsz|\.\.\.|\*\w+", re.IGNORECASE)
_TIME = re.compile(r"t|s|l|seq(_?len(gth)?)?|time|tokens?|len(gth)?|num_tokens", re.IGNORECASE)
_SPACE = {"h": "height", "w": "width", "height": "height", "width": "width", "d": "depth"}


def _remarked(role: Role) -> Iterator[Spec]:
    """What the name stands for, of the shape that a remark gives; one that leaves none open."""
    first, *sizes = role.forward.said_shape(role.name) or ("",)
    if _BATCH.fullmatch(first) and sizes and all(size.isdigit() for size in sizes):
        shape: Shape = ("batch", *map(int, sizes))
        yield reshaped(next(_by_name(role)), shape)


def _jaxtyped(role: Role, kind: str, tokens: list[str]) -> Spec:
    shape = _jaxtyped_shape(role, tokens)
    if kind.lower().startswith(("int", "long", "uint")):
        return Whole(shape, role.facts.tokens() or 2)
    if kind == "Bool":
        return Filled(shape, 1.0)
    return Normal(shape, "complex64" if kind.lower().startswith("complex") else "float32")


def _jaxtyped_shape(role: Role, tokens: list[str]) -> Shape:
    shape: list[Dim] = []
    for token in tokens:
        name = token.lstrip("#?_").split("=")[-1]
        space = _SPACE.get(name.lower(), "") if len(tokens) > 3 else ""
        if name.isdigit():
            shape.append(int(name))
        elif _BATCH.fullmatch(name or "...") and "batch" not in shape:
            shape.append("batch")
        elif _TIME.fullmatch(name) and "time" not in shape:
            shape.append("time")
        else:
            shape.append(space or _features(role, len(tokens)))
    return tuple(shape)


def _features(role: Role, rank: int) -> int:
    layer = role.facts.first(nn.Conv2d, nn.Conv1d, nn.Conv3d) if rank > 3 else None
    if layer is not None:
        return channels_of(layer)
    main = role.main()
    sizes = [dim for dim in main.shape if isinstance(dim, int)] if isinstance(main, Normal) else []
    return sizes[0] if sizes else 16


# Names.

_HIDDEN = re.compile(
    r"h|hx|h_?0|hc|c_?0|cx|cell\w*|hidden\w*|states?|h_prev|prev_\w+|c_prev|h_t|c_t|c|mems?|carry|rnn_h\w*"
)
_ENCODED = re.compile(r"enc(oder|oded)?_(?!in)\w+|memory|annotations")
_LENGTHS = re.compile(r".*(lengths?|_lens?|_len)|lens?")
_MASK = re.compile(r".*mask.*|attn_bias")
_STEP = re.compile(r"ts?|time_?(step)?s?|steps?|noise_levels?|sigmas?|timesteps?|diffusion_steps?")
_FLAG = re.compile(
    r"(return|is|use|do|output|with|need|force|apply|should)_\w+|train(ing)?|verbose|debug"
)
_COUNT = re.compile(
    r"(max_|num_|n_|min_)?(len(gth)?|iters?|samples?|batch_size|seq_len|\w+_size)|(max|num|n)_steps"
)
_RATE = re.compile(r".*(ratio|prob|rate|factor|temperature|tau|alpha|lambd\w*|beta|eps|scale)")
_CLASS = re.compile(
    r"y|labels?|targets?|class(es)?(_?(labels?|ids?))?|cls|gt\w*|label_ids|lang(uage)?_ids?|cond(ition)?|c"
)
_TEXT = re.compile(
    r".*(input_ids|token|ids|indices|idx|text|caption|word|sentence|sequence|seq)s?"
    r"|src|tgt|trg|source|target|dec(oder)?_inputs?|enc(oder)?_inputs?|x|inputs?|input_seq|segment\w*"
)
_ITEM = re.compile(
    r"(users?|items?|movies?|heads?|tails?|relations?|products?|nodes?)(_?(ids?|idx|index|indices))?"
)
_ACTION = re.compile(r"actions?|act|a|u")


def _by_name(role: Role) -> Iterator[Spec]:
    """Ideas by what such a name stands for, the usual meaning first; then every usual rank."""
    consumer, main = role.consumer(), role.main()
    direct = consumer is not None and not _STEP.fullmatch(role.lower)
    if direct and isinstance(main, Whole):
        yield from _looked_up(role, main)
    yield from packed_patches(role)
    for pattern, ideas in _ROLES:
        if pattern.fullmatch(role.lower):
            yield from ideas(role)
    if is_wiring(role.lower):
        return
    yield main
    yield from others(role.facts, main)


def _looked_up(role: Role, main: Whole) -> Iterator[Spec]:
    """Indices into a table: one for each sample where the name says so, else one for each step."""
    one = Whole(("batch",), main.high)
    single = (
        _CLASS.fullmatch(role.lower) or _ITEM.fullmatch(role.lower) or _ACTION.fullmatch(role.lower)
    )
    yield from (one, main) if single else (main, one)


def _hidden(role: Role) -> Iterator[Spec]:
    """Hidden states: left to the model first, then in the form of its recurrent layer."""
    if not role.index and not re.match(r"h|hidden|cell", role.lower):
        return
    yield from (state for state in own_states(role.facts.model) if state != Constant(None))
    layer = role.facts.first(nn.RNNBase, nn.RNNCellBase)
    if role.lower == "c" and layer is None:
        return
    states = [name for name in role.forward.required if _HIDDEN.fullmatch(name.lower())]
    apart = len(states) > 1
    if not apart:
        yield Constant(None)
    size = role.facts.hidden()
    flat = Normal(("batch", size))
    pair = Group("tuple", (flat, flat))
    if isinstance(layer, nn.RNNBase):
        layers = layer.num_layers * (2 if layer.bidirectional else 1)
        deep = Normal((layers, "batch", layer.proj_size or size))
        cell = Normal((layers, "batch", size))
        whole = Group("tuple", (deep, cell))
        yield from (whole, deep) if isinstance(layer, nn.LSTM) and not apart else (deep,)
    yield from (pair, flat) if isinstance(layer, nn.LSTMCell) and not apart else (flat, pair)
    yield Normal(("batch", "time", size))


def _encoded(role: Role) -> Iterator[Spec]:
    """What an encoder made of a sequence."""
    main = role.main()
    consumer = role.consumer()
    own = last_size(main) if consumer is not None and isinstance(main, Normal) else None
    sizes: list[Dim] = [size for size in (own, role.facts.hidden()) if size is not None]
    for size in dict.fromkeys(sizes):
        yield Normal(("batch", "time", size))
        yield Normal(("time", "batch", size))


def _lengths(role: Role) -> Iterator[Spec]:
    main = Role(role.facts, role.forward, next(iter(role.forward.required), ""), 0).main()
    text = isinstance(main, Whole) or "time" in getattr(main, "shape", ())
    dim = "time" if text else "length"
    if role.lower.startswith("max") or role.lower in ("seq_len", "seq_length"):
        yield Size(dim)
    yield Lengths(("batch",), dim)
    yield Size(dim)


def _mask(role: Role) -> Iterator[Spec]:
    if role.index and "attention_mask" not in role.lower:
        yield Constant(None)
    value = 0.0 if "pad" in role.lower else 1.0
    main = Role(role.facts, role.forward, next(iter(role.forward.required), ""), 0).main()
    grid: Shape = main.shape[2:] if isinstance(main, Normal) and len(main.shape) == 4 else ("time",)
    yield Filled(("batch", *grid), value, "bool" if value == 0 else "int64")
    shapes: tuple[Shape, ...] = (
        ("batch", *grid),
        ("time", "time"),
        ("batch", "time", "time"),
        ("batch", 1, 1, "time"),
        ("batch", 1, *grid),
    )
    yield from (Filled(shape, value) for shape in shapes)
    yield Filled(("time", "time"), 0.0, "float32")
    yield Normal(("batch", 1, *grid))


def _step(role: Role) -> Iterator[Spec]:
    if role.index:
        consumer = role.consumer()
        known = spec_of(Facts(consumer)) if consumer is not None else None
        if isinstance(known, Normal) and last_size(known) == 1:
            yield Normal(("batch", 1))
        steps = (
            role.facts.number("num_timesteps", "timesteps", "n_steps", "T", "noise_steps") or 1000
        )
        yield Whole(("batch",), known.high if isinstance(known, Whole) else steps)
        yield Normal(("batch",))
        yield Normal(("batch", 1))
        yield Constant(0.5)
    elif role.lower == "t" and len(role.forward.required) > 1:
        yield Normal(())
        yield Constant(0.5)
        yield Normal(("batch", 1))


def _class(role: Role) -> Iterator[Spec]:
    if not role.index:
        return
    main = role.main()
    names = ("num_classes", "n_classes", "num_labels", "nclass", "class_num")
    classes = role.facts.number(*names) or 2
    one = Whole(("batch",), classes)
    text = Whole(("batch", "time"), role.facts.tokens() or classes)
    paired = role.lower == "y" and role.facts.first(nn.Embedding) is None
    if (
        isinstance(main, Whole)
        and role.lower.startswith(("label", "target"))
        and len(role.forward.required) < 4
    ):
        yield from (
            (text, one) if "batch" in main.shape[:1] and role.consumer() is None else (one, text)
        )
    yield from (main, one) if paired else (one, main)
    yield text
    yield Normal(("batch", classes))


def _text(role: Role) -> Iterator[Spec]:
    tokens = role.facts.tokens()
    main = role.main()
    ambiguous = role.lower in ("x", "input", "inputs", "source", "target", "src", "tgt", "trg")
    if tokens and not isinstance(main, Whole) and not ambiguous:
        yield Whole(("batch", "time"), tokens)
    elif isinstance(main, Whole) and not ambiguous:
        yield main
        yield Whole(("time",), main.high)


def _item(role: Role) -> Iterator[Spec]:
    tables = [m for m in role.facts.model.named_modules() if isinstance(m[1], nn.Embedding)]
    stem = re.sub(r"(_?(ids?|idx|index|indices)|s)$", "", role.lower)
    named = [module for path, module in tables if stem and stem in path]
    for module in named or [module for _, module in tables]:
        yield Whole(("batch",), cast(nn.Embedding, module).num_embeddings)


def _action(role: Role) -> Iterator[Spec]:
    if role.index:
        names = ("action_dim", "act_dim", "n_actions", "num_actions", "action_size")
        size = role.facts.number(*names) or 2
        yield Normal(("batch", size))
        yield Whole(("batch",), size)


def _flag(role: Role) -> Iterator[Spec]:
    yield Constant(False)


def _count(role: Role) -> Iterator[Spec]:
    if role.index:
        yield _whole_number(role)


def _rate(role: Role) -> Iterator[Spec]:
    if role.index:
        yield Constant(0.5 if re.search("ratio|prob|rate", role.lower) else 1.0)


def _whole_number(role: Role) -> Spec:
    if "batch" in role.lower:
        return Size("batch")
    if re.search(r"len|seq", role.lower):
        return Size("time")
    sides = {"height": "height", "h": "height", "width": "width", "w": "width"}
    return Size(sides[role.lower]) if role.lower in sides else Constant(4)


_ROLES: tuple[tuple[re.Pattern[str], Callable[[Role], Iterator[Spec]]], ...] = (
    (_MASK, _mask),
    *WIRING,
    (_LENGTHS, _lengths),
    (_STEP, _step),
    (_ENCODED, _encoded),
    (_HIDDEN, _hidden),
    (_FLAG, _flag),
    (_COUNT, _count),
    (_RATE, _rate),
    (_ITEM, _item),
    IMAGES,
    KINDS,
    (_CLASS, _class),
    (_TEXT, _text),
    *VISION,
    (_ACTION, _action),
)
