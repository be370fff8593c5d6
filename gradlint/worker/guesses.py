"""The first guess at a model's inputs, from `forward`'s signature and text and the model's layers."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from torch import nn

from gradlint.worker.attempt import tried
from gradlint.worker.facts import Facts, channels_of, spatial_of
from gradlint.worker.specs import (
    Constant,
    Dim,
    Filled,
    Group,
    Lengths,
    Normal,
    Ring,
    Shape,
    Size,
    Spec,
    Whole,
    draw,
)

SPATIAL = (("length",), ("height", "width"), ("depth", "height", "width"))
_SIZES = {"batch": 2, "time": 32, "source": 32, "length": 64, "depth": 16, "height": 32, "width": 32}
_SIZES |= {"nodes": 32, "edges": 96, "features": 16}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of `forward`: positional unless `keyword`; `others` are further ideas for it."""

    name: str
    spec: Spec
    others: tuple[Spec, ...] = ()
    keyword: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """Inputs to try: arguments over named sizes."""

    arguments: tuple[Argument, ...]
    sizes: tuple[tuple[str, int], ...]

    @property
    def size(self) -> Mapping[str, int]:
        """The named sizes."""
        return dict(self.sizes)

    def spec(self, name: str) -> Spec | None:
        """What is passed for the argument `name`, None where it is left out."""
        return next((item.spec for item in self.arguments if item.name == name), None)

    def having(self, name: str, spec: Spec) -> Guess:
        """The same guess with another value for one argument."""
        changed = tuple(
            replace(item, spec=spec) if item.name == name else item for item in self.arguments
        )
        return replace(self, arguments=changed)

    def adding(self, argument: Argument) -> Guess:
        """The same guess with one more argument."""
        return replace(self, arguments=(*self.arguments, argument))

    def sized(self, **sizes: int) -> Guess:
        """The same guess with other sizes."""
        return replace(self, sizes=tuple({**self.size, **sizes}.items()))

    def drawn(self) -> tuple[tuple[object, ...], dict[str, object]]:
        """Positional and keyword arguments, drawn from torch's current random state."""
        values = [(item, draw(item.spec, self.size)) for item in self.arguments]
        positional = tuple(value for item, value in values if not item.keyword)
        return positional, {item.name: value for item, value in values if item.keyword}


def first_guess(facts: Facts, sequence_length: int) -> Guess:
    """What `forward` most likely takes; only what it requires."""
    forward = Forward.of(facts.model)
    arguments = tuple(
        argument_for(facts, forward, name, index) for index, name in enumerate(forward.required)
    )
    sizes = dict(_SIZES)
    if sequence_length:
        sizes |= {"time": sequence_length, "source": sequence_length, "length": sequence_length}
    sides = facts.sides()
    if sides:
        names = SPATIAL[min(len(sides), 3) - 1] if len(sides) > 1 else ("height", "width")
        sizes |= dict(zip(names, sides[-len(names) :] * 2, strict=False))
    guess = Guess(arguments, tuple(sizes.items()))
    if arguments or not forward.optional:
        return guess
    main = forward.main
    keyword = replace(argument_for(facts, forward, main, 0), keyword=True)
    return guess.adding(keyword)


@dataclass(frozen=True, slots=True)
class Forward:
    """The signature and the text of a model's `forward`."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    annotations: Mapping[str, str]
    tree: ast.AST | None
    main: str = ""

    @staticmethod
    def of(model: nn.Module) -> Forward:
        """Read `forward`; a `*args` counts as one required argument if there is no other."""
        outcome = tried(lambda: inspect.signature(model.forward))
        if outcome.error is not None:
            return Forward(("x",), (), {}, None)
        parameters = list(cast(inspect.Signature, outcome.value).parameters.values())
        usual = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        required = tuple(p.name for p in usual if p.default is p.empty)
        if not usual:
            required = tuple(p.name for p in parameters if p.kind is p.VAR_POSITIONAL)
        optional = tuple(p.name for p in usual if p.default is not p.empty)
        texts = {p.name: _annotation(p.annotation) for p in parameters}
        return Forward(required, optional, texts, _tree(model), _main(model, optional))

    def unpacked(self, name: str) -> tuple[str, ...]:
        """The names that `a, b = name` gives to the parts of an argument, if `forward` does that."""
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Name(id=found)) if (
                    found == name
                ):
                    names = [part.id for part in parts if isinstance(part, ast.Name)]
                    return tuple(names) if len(names) == len(parts) else ()
        return ()

    def keys(self, name: str) -> tuple[str, ...]:
        """The texts by which `forward` indexes an argument, as in `batch["image"]`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Subscript(value=ast.Name(id=base), slice=ast.Constant(value=str(key))) if (
                    base == name
                ):
                    found[key] = None
        return tuple(found)

    def choices(self, name: str) -> tuple[str, ...]:
        """The texts that `forward` compares an argument with, as in `mode == "train"`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Compare(left=ast.Name(id=left), comparators=[ast.Constant(value=str(text))]) if (
                    left == name
                ):
                    found[text] = None
        return tuple(found)

    def shape_names(self, name: str) -> tuple[str, ...]:
        """The names that `b, c, h, w = x.shape` gives to the sizes of an argument, or ()."""
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=value) if (
                    ast.unparse(value) in (f"{name}.shape", f"{name}.size()")
                ):
                    return tuple(part.id if isinstance(part, ast.Name) else "_" for part in parts)
        return ()

    def _nodes(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree) if self.tree is not None else iter(())


def _annotation(annotation: object) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        return annotation
    dims = getattr(annotation, "dim_str", None)
    if isinstance(dims, str):
        kinds = ",".join(str(kind) for kind in getattr(annotation, "dtypes", ()))
        return f'{"Int" if "int" in kinds and "float" not in kinds else "Float"}[Tensor, "{dims}"]'
    return inspect.formatannotation(annotation)


def _tree(model: nn.Module) -> ast.AST | None:
    source = tried(lambda: inspect.getsource(model.forward))
    if not isinstance(source.value, str):
        return None
    parsed = tried(lambda: ast.parse(textwrap.dedent(cast(str, source.value))))
    return parsed.value if isinstance(parsed.value, ast.AST) else None


_MAIN = re.compile(r"x|inputs?|input_ids|pixel_values(_videos)?|input_values|input_features|images?|img")


def _main(model: nn.Module, optional: tuple[str, ...]) -> str:
    """The argument that matters where all have defaults."""
    told = getattr(model, "main_input_name", None)
    if isinstance(told, str) and told in optional:
        return told
    return next((name for name in optional if _MAIN.fullmatch(name)), optional[0] if optional else "")


def argument_for(facts: Facts, forward: Forward, name: str, index: int) -> Argument:
    """The best idea for one argument and further ones, by annotation, use in `forward` and name."""
    ideas = list(_ideas(facts, forward, name, index))
    unique = list(dict.fromkeys(ideas))
    return Argument(name, unique[0], tuple(unique[1:]))


def _ideas(facts: Facts, forward: Forward, name: str, index: int) -> Iterator[Spec]:
    annotation = forward.annotations.get(name, "")
    yield from _annotated(facts, forward, name, annotation)
    keys = forward.keys(name)
    if keys:
        yield Group("dict", tuple(_named(facts, forward, key, index) for key in keys), keys)
    if forward.choices(name):
        yield from (Constant(choice) for choice in forward.choices(name))
    parts = forward.unpacked(name)
    if len(parts) > 1:
        hidden = tuple(hidden_ideas(facts)) if _HIDDEN.fullmatch(name) else ()
        pairs = [idea for idea in hidden if isinstance(idea, Group)]
        yield from pairs[:1]
        yield Group("tuple", tuple(_named(facts, forward, part, i) for i, part in enumerate(parts)))
    yield from by_name(facts, forward, name, index)


def _named(facts: Facts, forward: Forward, name: str, index: int) -> Spec:
    return next(by_name(facts, forward, name, index))


_JAXTYPING = re.compile(r"^\s*(?:jaxtyping\.)?(\w+)\[[^\"']*[\"']([^\"']*)[\"']\]")
_SCALARS: tuple[tuple[str, Spec], ...] = (
    (r"bool", Constant(False)),
    (r"float", Constant(0.5)),
    (r"str", Constant("")),
)


def _annotated(facts: Facts, forward: Forward, name: str, annotation: str) -> Iterator[Spec]:
    jaxtyping = _JAXTYPING.match(annotation)
    if jaxtyping and jaxtyping[1] != "Literal":
        yield _jaxtyped(facts, jaxtyping[1], jaxtyping[2].split())
        return
    bare = re.sub(r"\b(torch|typing|t|nn|jaxtyping)\.", "", annotation).strip()
    for pattern, spec in _SCALARS:
        if re.fullmatch(pattern, bare) and not forward.choices(name):
            yield spec
    if bare == "int":
        yield _whole_number(name)
    if literal := re.match(r"Literal\[\s*(?:'([^']*)'|\"([^\"]*)\"|(-?\d+))", bare):
        yield Constant(int(literal[3]) if literal[3] else literal[1] or literal[2])
    if re.match(r"(Optional\[|None\s*\|)|.*\|\s*None$", bare) and name in forward.required:
        yield Constant(None)
    if "LongTensor" in bare or "IntTensor" in bare:
        if not any(isinstance(idea, Whole) for idea in by_name(facts, forward, name, 0)):
            yield Whole(("batch", "time"), facts.tokens() or 2)
    if group := re.match(r"(tuple|list|dict|sequence|iterable)\[(.*)\]$", bare, re.IGNORECASE):
        yield from _grouped(facts, forward, name, group[1].lower(), group[2])


def _grouped(facts: Facts, forward: Forward, name: str, kind: str, inner: str) -> Iterator[Spec]:
    if kind == "dict":
        return
    plain = next(by_name(facts, forward, re.sub(r"s$", "", name), 0))
    count = inner.count("Tensor") if kind == "tuple" and "..." not in inner else 0
    if "Tensor" in inner:
        yield Group("tuple" if kind == "tuple" else "list", (plain,) * (count or 2))
    elif re.fullmatch(r"int(\s*,\s*(int|\.\.\.))*", inner):
        yield Group("tuple", (Size("height"), Size("width")))


_BATCH = re.compile(r"b|bs|n|batch(_?size)?|bsz|\.\.\.|\*\w+", re.IGNORECASE)
_TIME = re.compile(r"t|s|l|seq(_?len(gth)?)?|time|tokens?|len(gth)?|num_tokens", re.IGNORECASE)
_SPACE = {"h": "height", "w": "width", "height": "height", "width": "width", "d": "depth"}


def _jaxtyped(facts: Facts, kind: str, tokens: list[str]) -> Spec:
    shape: list[Dim] = []
    for token in tokens:
        name = token.lstrip("#?_").split("=")[-1]
        if name.isdigit():
            shape.append(int(name))
        elif _BATCH.fullmatch(name or "...") and "batch" not in shape:
            shape.append("batch")
        elif _TIME.fullmatch(name) and "time" not in shape:
            shape.append("time")
        else:
            shape.append(_SPACE.get(name.lower(), "") if len(tokens) > 3 else "")
        if shape[-1] == "":
            shape[-1] = _features(facts, len(tokens))
    if kind.lower().startswith(("int", "long", "uint")):
        return Whole(tuple(shape), facts.tokens() or 2)
    if kind == "Bool":
        return Filled(tuple(shape), 1.0)
    return Normal(tuple(shape), "complex64" if kind.lower().startswith("complex") else "float32")


def _features(facts: Facts, rank: int) -> int:
    layer = facts.first(nn.Conv2d, nn.Conv1d, nn.Conv3d) if rank > 3 else facts.layer()
    if layer is None:
        return 16
    main = main_spec(facts)
    sizes = [dim for dim in main.shape if isinstance(dim, int)] if isinstance(main, Normal) else []
    return sizes[0] if sizes else channels_of(layer)


_HIDDEN = re.compile(r"h|hx|h_?0|hc|c_?0|hidden\w*|states?|h_prev|prev_\w+|c_prev|h_t|mems?|carry|rnn_h\w*")
_LENGTHS = re.compile(r".*(lengths?|_lens?|_len)|lens?")
_MASK = re.compile(r".*mask.*|attn_bias")
_STEP = re.compile(r"ts?|time_?(step)?s?|steps?|noise_levels?|sigmas?|timesteps?|diffusion_steps?")
_FLAG = re.compile(r"(return|is|use|do|output|with|need|force|apply|should)_\w+|train(ing)?|verbose|debug")
_COUNT = re.compile(r"(max_|num_|n_|min_)?(len(gth)?|steps?|iters?|samples?|batch_size|seq_len|\w+_size)")
_RATE = re.compile(r".*(ratio|prob|rate|factor|temperature|tau|alpha|lambd\w*|beta|eps|scale)")
_CLASS = re.compile(r"y|labels?|targets?|class(es)?(_?(labels?|ids?))?|cls|gt\w*|label_ids")
_TEXT = re.compile(
    r".*(input_ids|token|tokens|ids|indices|idx|text|caption|captions|word|words|sentence|sequence|seq)s?"
    r"|src|tgt|trg|source|target|dec(oder)?_inputs?|enc(oder)?_inputs?|src_seq|trg_seq|x|inputs?|input_seq"
)
_ITEM = re.compile(r"(users?|items?|movies?|heads?|tails?|relations?|products?|nodes?)(_?(ids?|idx|index|indices))?")
_EDGES = re.compile(r"edge_index\w*|edges|edge_list")
_ADJACENCY = re.compile(r"adj\w*|a_hat|laplacian|graph|support")
_NOISE = re.compile(r"z|noise|latents?|z_\w+|eps")
_IMAGE = re.compile(r"(\w*_)?(images?|imgs?|pixel_values|pixels|picture|photo)(_?\w)?")
_ACTION = re.compile(r"actions?|act|a|u")


def by_name(facts: Facts, forward: Forward, name: str, index: int) -> Iterator[Spec]:
    """Ideas for an argument by what such a name stands for, the usual meaning first."""
    lower = name.lower().strip("_")
    main = main_spec(facts)
    for pattern, ideas in _ROLES:
        if pattern.fullmatch(lower):
            yield from ideas(facts, main, index, lower)
    if index and any(_EDGES.fullmatch(other) or _ADJACENCY.fullmatch(other) for other in forward.required):
        yield main
    elif not index and len(forward.required) > 1 and _is_graph(forward):
        yield Normal(("nodes", _last(main)))
    yield main
    yield from others(facts, main)


def _is_graph(forward: Forward) -> bool:
    return any(_EDGES.fullmatch(name) or _ADJACENCY.fullmatch(name) for name in forward.required)


def _last(main: Spec) -> Dim:
    return main.shape[-1] if isinstance(main, Normal) and isinstance(main.shape[-1], int) else 16


def main_spec(facts: Facts) -> Spec:
    """What the model's first layer takes."""
    layer = facts.layer()
    match layer:
        case nn.Embedding():
            return Whole(("batch", "time"), _vocabulary(facts, layer))
        case nn.EmbeddingBag():
            return Whole(("batch", "time"), layer.num_embeddings)
        case nn.ConvTranspose2d() | nn.ConvTranspose1d() | nn.ConvTranspose3d():
            side = 1 if sum(map(int, layer.padding)) == 0 and layer.kernel_size[0] > 2 else 8
            return Normal(("batch", layer.in_channels, *(side,) * spatial_of(layer)))
        case nn.RNNBase():
            return recurrent(layer)
        case nn.RNNCellBase():
            return Normal(("batch", layer.input_size))
        case nn.Bilinear():
            return Normal(("batch", layer.in1_features))
        case nn.Linear():
            sequence = facts.first(nn.MultiheadAttention, nn.LayerNorm) is not None
            return Normal(("batch", *(("time",) if sequence else ()), layer.in_features))
        case nn.LayerNorm():
            return Normal(("batch", "time", *layer.normalized_shape))
        case nn.MultiheadAttention():
            return _sequence(layer.batch_first, layer.embed_dim)
        case nn.BatchNorm1d():
            return Normal(("batch", layer.num_features))
        case nn.GroupNorm():
            return Normal(("batch", layer.num_channels, *SPATIAL[facts.spatial() - 1]))
        case nn.Module() if hasattr(layer, "in_channels") or hasattr(layer, "num_features"):
            return Normal(("batch", channels_of(layer), *SPATIAL[spatial_of(layer) - 1]))
        case nn.Module():
            return _transformer(facts)
    return _from_attributes(facts)


def _vocabulary(facts: Facts, layer: nn.Embedding) -> int:
    named = facts.number("vocab_size", "n_vocab", "vocab", "num_tokens", "ntoken", "src_vocab_size")
    return min(layer.num_embeddings, named) if named else layer.num_embeddings


def recurrent(layer: nn.RNNBase) -> Spec:
    """The input of an RNN, LSTM or GRU."""
    return _sequence(layer.batch_first, layer.input_size)


def _sequence(batch_first: bool, features: int) -> Spec:
    return Normal(("batch", "time", features) if batch_first else ("time", "batch", features))


def _transformer(facts: Facts) -> Spec:
    attention = facts.first(nn.MultiheadAttention)
    if isinstance(attention, nn.MultiheadAttention):
        return _sequence(attention.batch_first, attention.embed_dim)
    return Normal(("batch", "time", "features"))


def _from_attributes(facts: Facts) -> Spec:
    """Without a layer of torch's own: by the shapes of the model's own parameters."""
    channels = facts.number("in_channels", "in_chans", "channels", "num_channels")
    features = facts.number("in_features", "input_size", "input_dim", "in_dim", "dim", "embed_dim")
    if channels and not features:
        return Normal(("batch", channels, *SPATIAL[facts.spatial() - 1]))
    for parameter in facts.model.parameters():
        if parameter.dim() >= 3:
            return Normal(("batch", parameter.shape[1], *SPATIAL[min(parameter.dim() - 3, 2)]))
        if parameter.dim() == 2:
            return Normal(("batch", features or parameter.shape[-1]))
        if parameter.dim() == 1 and parameter.numel() > 1:
            return Normal(("batch", "time", parameter.numel()))
    return Normal(("batch", features) if features else ("batch", 3, "height", "width"))


def others(facts: Facts, main: Spec) -> Iterator[Spec]:
    """What else a model's main input may be, of every usual rank."""
    size = _last(main)
    if isinstance(main, Normal):
        size = next((dim for dim in main.shape if isinstance(dim, int)), size)
    tokens = facts.tokens()
    if tokens:
        yield Whole(("batch", "time"), tokens)
        yield Whole(("batch",), tokens)
    convolution = facts.first(nn.Conv2d, nn.Conv1d, nn.Conv3d)
    if convolution is not None:
        yield Normal(("batch", channels_of(convolution), *SPATIAL[spatial_of(convolution) - 1]))
    yield Normal(("batch", "time", size))
    yield Normal(("batch", size))
    yield Normal(("batch", size, "height", "width"))
    yield Normal(("batch", size, "length"))
    yield Normal(("batch", 3, "height", "width"))
    yield Normal(("batch", "time", size, "height", "width"))
    yield Whole(("batch", "time"), tokens or 2)


Ideas = Callable[[Facts, Spec, int, str], Iterator[Spec]]


def _hidden(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index or re.match(r"h|hidden", name):
        yield from hidden_ideas(facts)


def hidden_ideas(facts: Facts) -> Iterator[Spec]:
    """Hidden states: left to the model where it allows, else in the form of its recurrent layer."""
    yield Constant(None)
    layer = facts.first(nn.RNNBase, nn.RNNCellBase)
    size = facts.hidden()
    flat = Normal(("batch", size))
    pair = Group("tuple", (flat, flat))
    if isinstance(layer, nn.RNNBase):
        layers = layer.num_layers * (2 if layer.bidirectional else 1)
        deep = Normal((layers, "batch", layer.proj_size or size))
        cell = Normal((layers, "batch", size))
        yield from (Group("tuple", (deep, cell)), deep) if isinstance(layer, nn.LSTM) else (deep,)
    yield from (pair, flat) if isinstance(layer, nn.LSTMCell) else (flat, pair)
    yield Normal(("batch", "time", size))


def _lengths(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    text = isinstance(main, Whole) or "time" in getattr(main, "shape", ())
    dim = "time" if text else "length"
    if name.startswith("max") or name in ("seq_len", "seq_length"):
        yield Size(dim)
    yield Lengths(("batch",), dim)
    yield Size(dim)


def _mask(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index and "attention_mask" not in name:
        yield Constant(None)
    value = 0.0 if "pad" in name else 1.0
    grid = main.shape[2:] if isinstance(main, Normal) and len(main.shape) == 4 else ("time",)
    yield Filled(("batch", *grid), value, "bool" if value == 0 else "int64")
    for shape in (("batch", 1, 1, "time"), ("time", "time"), ("batch", "time", "time"), ("batch", 1, *grid)):
        yield Filled(shape, value)
    yield Filled(("time", "time"), 0.0, "float32")
    yield Normal(("batch", 1, *grid))


def _step(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index:
        yield Whole(("batch",), facts.number("num_timesteps", "timesteps", "n_steps", "T") or 1000)
        yield Normal(("batch",))
        yield Normal(("batch", 1))
        yield Constant(0.5)
    elif name == "t":
        yield Normal(())
        yield Constant(0.5)
        yield Normal(("batch", 1))


def _class(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if not index:
        return
    classes = facts.number("num_classes", "n_classes", "num_labels", "nclass", "class_num") or 2
    paired = isinstance(main, Whole) or name == "y" and not facts.first(nn.Embedding)
    choices = [Whole(("batch",), classes), main, Whole(("batch", "time"), facts.tokens() or classes)]
    if paired:
        choices = [choices[1], choices[0], choices[2]]
    yield from choices
    yield Normal(("batch", classes))


def _text(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    tokens = facts.tokens()
    if tokens and (isinstance(main, Whole) or name not in ("x", "input", "inputs", "source", "target")):
        yield Whole(("batch", "time"), _text_tokens(facts, name) or tokens)


def _text_tokens(facts: Facts, name: str) -> int | None:
    """The smallest vocabulary where there are several, because any of them may be looked up."""
    large = [m.num_embeddings for m in facts.model.modules() if isinstance(m, nn.Embedding)]
    first = next(iter(large), None)
    return first if name.startswith(("src", "source", "x", "input")) else min(large, default=None)


def _item(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    tables = [m for m in facts.model.named_modules() if isinstance(m[1], nn.Embedding)]
    stem = re.sub(r"(_?(ids?|idx|index|indices)|s)$", "", name)
    named = [module for path, module in tables if stem and stem in path]
    for module in named or [module for _, module in tables]:
        yield Whole(("batch",), cast(nn.Embedding, module).num_embeddings)


def _image(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    layer = facts.first(nn.Conv2d)
    if layer is not None:
        yield Normal(("batch", channels_of(layer), "height", "width"))


def _action(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index:
        size = facts.number("action_dim", "act_dim", "n_actions", "num_actions", "action_size") or 2
        yield Normal(("batch", size))
        yield Whole(("batch",), size)


def _adjacency(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    yield Ring(("nodes", "nodes"))
    yield Ring(("batch", "time", "time"))


def _edges(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    yield Whole((2, "edges"), "nodes")


def _noise(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    size = facts.number("latent_dim", "z_dim", "nz", "noise_dim", "latent_size", "zdim", "z_size")
    layer = facts.layer()
    if not index and size and isinstance(layer, nn.Linear):
        yield Normal(("batch", layer.in_features))


def _flag(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if name != "use":
        yield Constant(False)


def _count(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index:
        yield _whole_number(name)


def _rate(facts: Facts, main: Spec, index: int, name: str) -> Iterator[Spec]:
    if index:
        yield Constant(0.5 if re.search("ratio|prob|rate", name) else 1.0)


def _whole_number(name: str) -> Spec:
    lower = name.lower()
    if "batch" in lower:
        return Size("batch")
    if re.search(r"len|seq", lower):
        return Size("time")
    return Constant({"height": 32, "width": 32, "h": 32, "w": 32}.get(lower, 4))


_ROLES: tuple[tuple[re.Pattern[str], Ideas], ...] = (
    (_MASK, _mask),
    (_EDGES, _edges),
    (_ADJACENCY, _adjacency),
    (_LENGTHS, _lengths),
    (_STEP, _step),
    (_HIDDEN, _hidden),
    (_FLAG, _flag),
    (_COUNT, _count),
    (_RATE, _rate),
    (_ITEM, _item),
    (_IMAGE, _image),
    (_CLASS, _class),
    (_TEXT, _text),
    (_NOISE, _noise),
    (_ACTION, _action),
)
