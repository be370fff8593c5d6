"""What an argument of `forward` is for, by its name and by the layers behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import nn

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.layers import last_size, others, spec_of
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.specs import (
    Constant,
    Dim,
    Filled,
    Group,
    Lengths,
    Normal,
    Shape,
    Size,
    Spec,
    Whole,
    reshaped,
)
from gradlint.worker.inputs.states import own_states
from gradlint.worker.inputs.vision import (
    CELLS,
    IMAGES,
    KINDS,
    VISION,
    counts_patches,
    packed_patches,
    takes_images,
)
from gradlint.worker.inputs.wiring import WIRING, is_wiring

HIDDEN = re.compile(
    r"h|hx|h_?0|hc|c_?0|cx|cell\w*|hidden\w*|states?|h_prev|prev_\w+|c_prev|h_t|c_t|c|mems?|carry|rnn_h\w*"
)
_ENCODED = re.compile(r"enc(oder|oded)?_(?!in)\w+|memory|annotations")
_LENGTHS = re.compile(r".*(lengths?|_lens?|_len)|lens?")
_MASK = re.compile(r"(?!masked_).*mask.*|attn_bias")
_PAIRS = re.compile(r"pairs|pair_?(repr\w*|features?|act|emb\w*|states?|bias)")
_STEP = re.compile(
    r"ts?|time_?(step)?s?|steps?|noise_levels?|sigmas?|timesteps?|diffusion_steps?"
    r"|(time_?step|noise)_(ratio|fraction)"
)
_DURATIONS = re.compile(r"(\w+_)?durations?(_(labels?|targets?|gt))?")
_EMBEDDED_STEP = re.compile(r"emb|temb|(t|time|timesteps?)_?emb(edding)?s?")
_FLAG = re.compile(
    r"(return|is|use|do|output|with|need|force|apply|should)_\w+|train(ing)?|verbose|debug"
)
_COUNT = re.compile(
    r"(max_|num_|n_|min_)?(len(gth)?|iters?|samples?|batch_size|seq_len|\w+_size)|(max|num|n)_steps"
)
_RATE = re.compile(r".*(ratio|prob|rate|factor|temperature|tau|alpha|lambd\w*|beta|eps|scale)")
_CLASS = re.compile(
    r"y|(\w+_)?(labels?|targets?|tags)|class(es)?(_?(labels?|ids?))?|cls|gt\w*|label_ids|lang(uage)?_ids?|cond(ition)?|c"
)
_LOSS = re.compile(r"Loss|Criterion")
_TEXT = re.compile(
    r".*(input_ids|token|ids|indices|idx|text|caption|word|sentence|sequence|seq)s?"
    r"|src|tgt|trg|source|target|dec(oder)?_inputs?|enc(oder)?_inputs?|x|inputs?|input_seq|segment\w*"
)
_ITEM = re.compile(
    r"(users?|items?|movies?|heads?|tails?|relations?|products?|nodes?)(_?(ids?|idx|index|indices))?"
    r"|rel(ation)?_types?"
)
_ACTION = re.compile(r"actions?|act|a|u")
_SETTINGS = re.compile(r"(\w+_)?kwargs")
_DTYPE = re.compile(r"(\w+_)?dtype")
_INDICATOR = re.compile(r"(\w+_)?indicator")
_POOLED = re.compile(r"pooled_\w+|\w+_pooled")


def by_name(role: Role) -> Iterator[Spec]:
    """Ideas by what such a name stands for, the usual meaning first; then every usual rank."""
    consumer, main = role.consumer(), role.main()
    other = role.lower.startswith("edge_") or bool(_STEP.fullmatch(role.lower))
    if _LENGTHS.fullmatch(role.lower) and not isinstance(consumer, nn.Embedding):
        other = True  # because a part takes the lengths of a text beside the text
    other = other or counts_patches(role.lower) or takes_images(role)  # and images beside it
    direct = consumer is not None and not other
    if direct and isinstance(main, Whole):
        yield from _looked_up(role, main)
    yield from packed_patches(role)
    for pattern, ideas in _ROLES:
        if pattern.fullmatch(role.lower):
            yield from ideas(role)
    if is_wiring(role.lower):
        return
    yield from _told(role, main)
    yield main
    yield from others(role.facts, main)


_ALIKE = {
    "action": ("action", "act"),
    "state": ("state", "obs", "observation", "input"),
}
_NAMED = {"act": "action", "a": "action", "obs": "state", "observation": "state", "s": "state"}
_SIZES = ("{}_dim", "{}_size", "{}_features", "dim_{}", "num_{}s", "n_{}s")


def _told(role: Role, main: Spec) -> Iterator[Spec]:
    """What no layer takes directly has the features that a size named after it says."""
    stem = role.lower.removesuffix("s")
    stem = _NAMED.get(stem, stem)
    names = (form.format(name) for name in _ALIKE.get(stem, (stem,)) for form in _SIZES)
    size = role.facts.number(*names) if stem and role.consumer() is None else None
    if size and isinstance(main, Normal) and isinstance(main.shape[-1], int):
        yield reshaped(main, (*main.shape[:-1], size))


def _looked_up(role: Role, main: Whole) -> Iterator[Spec]:
    """Indices into a table: one for each sample where the name says so, else one for each step."""
    one = Whole(("batch",), main.high)
    single = (
        _CLASS.fullmatch(role.lower) or _ITEM.fullmatch(role.lower) or _ACTION.fullmatch(role.lower)
    )
    yield from (one, main) if single else (main, one)


def hidden(role: Role) -> Iterator[Spec]:
    """Hidden states: left to the model first, then in the form of its recurrent layer."""
    if not role.index and not re.match(r"h|hidden|cell", role.lower):
        return
    yield from (state for state in own_states(role.facts.model) if state != Constant(None))
    layer = role.facts.first(nn.RNNBase, nn.RNNCellBase)
    if role.lower == "c" and layer is None:
        return
    if role.lower == "hidden_states" and layer is None:
        yield role.main()
    states = [name for name in role.forward.required if HIDDEN.fullmatch(name.lower())]
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


_OF_MASKS = re.compile(r"_?(attention|attn|key|padding|pad)?_?masks?$")


def _masked(role: Role) -> Spec:
    """What a mask is for: the argument that its name begins with, else the first of all."""
    names = (*role.forward.required, *role.forward.optional)
    stem = _OF_MASKS.sub("", role.name)
    others = (name for name in names if stem and stem in name and "mask" not in name)
    owner = next(others, next(iter(role.forward.required), role.forward.main))
    if owner in role.forward.optional:
        return next(by_name(Role(role.facts, role.forward, owner, 1)))
    main = Role(role.facts, role.forward, owner, 0)
    return next(packed_patches(main), main.main())


def _places_of(spec: Spec) -> Shape:
    """The sizes of a value without its samples and their features: an image has two, a text one."""
    shape: Shape = spec.shape if isinstance(spec, Normal) else ()
    if len(shape) == 4:
        return shape[2:]
    if len(shape) == 3 and shape[1] == "patches":
        return ("patches",)
    return shape[-1:] if len(shape) == 3 and shape[-1] == "length" else ("time",)


def _pairs(role: Role) -> Iterator[Spec]:
    """What is known of each pair of places of a sequence."""
    main = role.main()
    if isinstance(main, Normal) and len(main.shape) < 4:
        yield Normal(("batch", "time", "time", last_size(main)))


def _selecting(role: Role) -> Iterator[Spec]:
    """A mask by which `forward` selects of another argument: all of its rows."""
    for name in role.forward.selected_by(role.name):
        if name in role.forward.required and name != role.name:
            owner = next(by_name(Role(role.facts, role.forward, name, 1)))
            shape: Shape = getattr(owner, "shape", ())
            yield Filled(shape if isinstance(owner, Whole) else shape[:-1], 1.0)


def _mask(role: Role) -> Iterator[Spec]:
    yield from _selecting(role)
    if "pair" in role.lower:
        yield Filled(("batch", "time", "time"), 1.0, "int64")
    if role.index and "attention_mask" not in role.lower:
        yield Constant(None)
    keeps = "pad" not in role.lower or role.forward.multiplies(role.name)
    value = 1.0 if keeps else 0.0
    grid = _places_of(_masked(role))
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


def _embedded_step(role: Role) -> Iterator[Spec]:
    """What was made of the step of a diffusion: one vector for each sample."""
    if role.index:
        layers = role.facts.model.named_modules()
        taking = (part for path, part in layers if "emb" in path and isinstance(part, nn.Linear))
        layer = next(taking, None)
        yield Normal(("batch", layer.in_features if layer else last_size(role.main())))


def _step(role: Role) -> Iterator[Spec]:
    """A step of a diffusion, one for each sample; the first of several inputs is something else."""
    consumer = role.consumer()
    if role.index or (consumer is None and len(role.forward.required) == 1):
        known = spec_of(Facts(consumer)) if consumer is not None else None
        if isinstance(known, Normal) and last_size(known) == 1:
            yield Normal(("batch", 1))
        if re.search("ratio|fraction", role.lower):
            yield Normal(("batch",))
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


def _durations(role: Role) -> Iterator[Spec]:
    """How many frames each step of a text lasts."""
    if role.index:
        yield Filled(("batch", "time"), 1, "int64")


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
    if _LOSS.search(type(role.facts.model).__name__) and isinstance(main, Normal):
        yield Whole(main.shape, 2)  # because what is compared with a map is one as well
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


def _settings(role: Role) -> Iterator[Spec]:
    """Keywords for another function, of which it needs none."""
    yield Constant(None)
    yield Group("dict", ())


def _dtype(role: Role) -> Iterator[Spec]:
    yield Constant(torch.float32)


def _indicator(role: Role) -> Iterator[Spec]:
    """Which of the frames of one video, which the batch is, are single images: none."""
    yield Filled((1, "batch"), 0.0)


def _pooled(role: Role) -> Iterator[Spec]:
    """What was made of a whole sequence: one vector for each sample."""
    if role.index:
        yield Normal(("batch", last_size(role.main())))


def _flag(role: Role) -> Iterator[Spec]:
    yield Constant(False)


def _count(role: Role) -> Iterator[Spec]:
    if role.index:
        yield whole_number(role)


def _rate(role: Role) -> Iterator[Spec]:
    if role.index:
        yield Constant(0.5 if re.search("ratio|prob|rate", role.lower) else 1.0)


def whole_number(role: Role) -> Spec:
    """What an argument annotated with `int` counts, by its name."""
    if "batch" in role.lower:
        return Size("batch")
    if re.search(r"len|seq", role.lower):
        return Size("time")
    sides = {"height": "height", "h": "height", "width": "width", "w": "width"}
    if "height" in (*role.forward.required, *role.forward.optional):
        sides |= {"num_frames": "depth", "frames": "depth", "depth": "depth"}
    return Size(sides[role.lower]) if role.lower in sides else Constant(4)


_ROLES: tuple[tuple[re.Pattern[str], Callable[[Role], Iterator[Spec]]], ...] = (
    KINDS,
    (_SETTINGS, _settings),
    (_DTYPE, _dtype),
    (_INDICATOR, _indicator),
    (_POOLED, _pooled),
    (_MASK, _mask),
    (_PAIRS, _pairs),
    *WIRING,
    (_LENGTHS, _lengths),
    (_STEP, _step),
    (_EMBEDDED_STEP, _embedded_step),
    (_DURATIONS, _durations),
    (_ENCODED, _encoded),
    (HIDDEN, hidden),
    (_FLAG, _flag),
    (_COUNT, _count),
    (_RATE, _rate),
    (_ITEM, _item),
    IMAGES,
    CELLS,
    (_CLASS, _class),
    (_TEXT, _text),
    *VISION,
    (_ACTION, _action),
)
