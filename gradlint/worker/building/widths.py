"""How a model that is too large is made narrower at its true depth."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.inlining import inlined
from gradlint.worker.building.sources import evaluated
from gradlint.worker.inputs.facts import SPECIAL_TOKEN
from gradlint.worker.running.attempt import tried

_HEAD = 16
_WIDTH = 256
_WORDS = 1000
_WIDTHS = (
    "hidden_size",
    "d_model",
    "model_dim",
    "n_embd",
    "dim",
    "embed_dim",
    "embedding_size",
    "embedding_dim",
    "emb_dim",
    "word_embed_proj_dim",
)
_INNER = re.compile(
    r"(\w+_)?(intermediate_size(_mlp)?|d_?ff|dim_ff|ff_dim|ffn_(dim|size|hidden_size)|n_inner|mlp_dim"
    r"|mlp_hidden_size|feed_?forward_(dim|size|hidden_size)|dim_feedforward|expert_dim"
    r"|moe_hidden_size|lora_rank|lora_dim)"
)
_HEADS = re.compile(r"(\w+_)?(num_attention_heads|num_heads|n_?heads?|attention_heads)|heads")
_TAKEN = re.compile(
    r"(\w+_)?(out|output|in|input|text|audio|condition|projection|projector|llm|lm)"
    r"_(hidden_size|dim|size)|hidden_size_\w+|(\w+_)?groups"
)
"""Widths of another part: of the text that takes what a vision tower made of an image.

A convolution by channels has as many groups.
"""
_HEAD_SIZES = ("head_dim", "attention_head_dim", "dim_head")
_KEYS = re.compile(r"(\w+_)?num_(key_value|kv|key|value)_heads")
_EXPERTS = (
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_num_experts",
    "zero_expert_num",
)
_EXPERT_GROUPS = ("n_group", "num_expert_group")
_EXPERTS_TAKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k")
_FEW_EXPERTS = 8
_VOCABULARY = re.compile(r"(\w+_)?vocab(_size(_per_layer_input)?)?")


def reduced(
    candidate: Candidate, namespace: dict[str, object], *, defaults: bool
) -> Iterator[Candidate]:
    """The candidate with its configuration objects made narrower; layers are never taken away.

    Knows configurations in the manner of Hugging Face: an argument that is a call and gives an
    object with a `hidden_size`, or one that holds such objects. Sizes shrink together, so that
    heads still divide the width. Where there are none, and `defaults` may be overruled, the
    defaults of the constructor's own parameters are such sizes.
    """
    parsed = tried(lambda: ast.parse(inlined(candidate).strip(), mode="eval").body)
    if not isinstance(parsed.value, ast.Call):
        return
    for node in ast.walk(parsed.value):
        if isinstance(node, ast.Call) and node is not parsed.value:
            outcome = tried(evaluated, ast.unparse(node), namespace)
            sizes = narrower(getattr(outcome.value, "__dict__", {}))
            if sizes:
                kept = [word for word in node.keywords if word.arg not in sizes]
                words = [
                    ast.keyword(name, ast.parse(repr(size), mode="eval").body)
                    for name, size in sizes.items()
                ]
                node.keywords = [*kept, *words]
                yield replace(candidate, constructor=ast.unparse(parsed.value))
                return
    target = tried(lambda: evaluated(ast.unparse(parsed.value.func), namespace)).value  # type: ignore[attr-defined]
    if not parsed.value.args and not parsed.value.keywords:
        values = {name: parameter.default for name, parameter in _parameters(target)}
        changed = narrower(values).items() if defaults else ()
        if text := ", ".join(f"{name}={size!r}" for name, size in changed):
            yield replace(candidate, constructor=f"{ast.unparse(parsed.value.func)}({text})")
        return
    yield from _of_arguments(candidate, parsed.value, target, namespace)


def _of_arguments(
    candidate: Candidate, call: ast.Call, target: object, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """The construction with smaller widths among its own arguments, in proportion to each other."""
    spread = any(isinstance(item, ast.Starred) for item in call.args)
    names = [name for name, each in _parameters(target) if each.kind in _BY_PLACE]
    if spread or len(call.args) > len(names) or any(word.arg is None for word in call.keywords):
        return
    words = dict(zip(names, call.args, strict=False))
    words |= {word.arg: word.value for word in call.keywords if word.arg}
    values = {
        name: tried(evaluated, ast.unparse(value), namespace).value for name, value in words.items()
    }
    for sizes in (narrower(values), *_thinner(values)):
        texts = {name: ast.unparse(value) for name, value in words.items()}
        texts |= {name: repr(size) for name, size in sizes.items() if name in words}
        thin = (f"{name}={text}" for name, text in texts.items())
        if sizes:
            yield replace(candidate, constructor=f"{ast.unparse(call.func)}({', '.join(thin)})")


_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_THICK = re.compile(
    r"(\w+_)?(width|hidden\w*|units|neurons|channels|filters|embd?|dims?|features)(_size|_dims?)?"
    r"|d_\w+|dim_\w+|n[gd]f|n_(hidden|embd|filters|units)|(num|n)_(channels|filters|units)"
    r"|(layer|hidden)_(sizes?|dims?)"
)
_OUTSIDE = re.compile(r"(in|input|out|output|img|image|obs|state|action|act|latent|z)_?\w*")
"""Sizes of what goes in and comes out, which a narrower network has as well."""


def _thinner(values: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The sizes of layers in proportion, thinner each time, because later layers may have more."""
    thick = {
        name: value
        for name, value in values.items()
        if _is_thick(name, values) and _sizes_in(value)
    }
    most = max((size for value in thick.values() for size in _sizes_in(value)), default=0)
    for width in (_WIDTH, _WIDTH // 4, _HEAD):
        if width < most:
            thin = {
                name: [min(_in_proportion(size, most, width), size) for size in _sizes_in(value)]
                for name, value in thick.items()
            }
            yield {
                name: sizes if isinstance(thick[name], (list, tuple)) else sizes[0]
                for name, sizes in thin.items()
            }


def _is_thick(name: str, values: Mapping[str, object]) -> bool:
    """Whether an argument is called a size of layers; the width of what has a height is none."""
    sized = bool(_THICK.fullmatch(name)) and not _OUTSIDE.fullmatch(name)
    return sized and name.replace("width", "height") not in values.keys() - {name}


def _sizes_in(value: object) -> list[int]:
    """The sizes that an argument gives: itself, or each of a sequence."""
    many = value if isinstance(value, (list, tuple)) else [value]
    sizes = [size for size in many if type(size) is int and size > 0]
    return sizes if len(sizes) == len(many) else []


def _parameters(target: object) -> Iterator[tuple[str, inspect.Parameter]]:
    """The parameters of what is called."""
    outcome = tried(lambda: inspect.signature(cast(Callable[..., object], target)))
    signature = outcome.value
    yield from signature.parameters.items() if isinstance(signature, inspect.Signature) else ()


def narrower(
    values: Mapping[str, object],
    tokens: dict[int, int] | None = None,
    widths: frozenset[int] = frozenset(),
) -> dict[str, object]:
    """Smaller sizes for a configuration, by name; empty where it names no width.

    The configurations of parts, such as `text_config`, become mappings. Special tokens beyond the
    smaller vocabulary move to its end; `tokens` says where those of the whole went, `widths` which
    sizes of other parts become smaller.
    """
    tokens = {} if tokens is None else tokens
    widths = widths or frozenset(_widths(values))
    parts: dict[str, object] = {}
    for name, value in values.items():
        if name.endswith("_config") and hasattr(value, "__dict__"):
            part = narrower(vars(value), tokens, widths)
            kind = getattr(value, "model_type", "")
            if part:
                parts[name] = {**({"model_type": kind} if isinstance(kind, str) else {}), **part}
    own = _narrower(values)
    for name, value in values.items():
        if _TAKEN.fullmatch(name) and type(value) is int and value in widths:
            own[name] = _WIDTH
        if parts and _VOCABULARY.fullmatch(name) and type(value) is int and value > _WORDS:
            own[name] = _WORDS
    moved = _moved(values, tokens) if own or parts else {}
    return {**moved, **own, **parts}


def _moved(values: Mapping[str, object], tokens: dict[int, int]) -> dict[str, object]:
    """New numbers for the tokens that the smaller vocabulary lacks, the same for the same token."""
    return {
        name: tokens.setdefault(value, _WORDS - 1 - len(tokens))
        for name, value in values.items()
        if SPECIAL_TOKEN.fullmatch(name) and type(value) is int and value >= _WORDS
    }


def _widths(values: Mapping[str, object]) -> Iterator[int]:
    """The widths of a configuration and of its parts that become smaller."""
    width, _, _ = _width(values)
    if width > _WIDTH:
        yield width
    for name, value in values.items():
        if name.endswith("_config") and hasattr(value, "__dict__"):
            yield from _widths(vars(value))


def _width(values: Mapping[str, object]) -> tuple[int, int, int]:
    """The width, the number of heads and their size, which may not be told; 0 for no width.

    What differs by stage has none, because it must keep its proportions.
    """
    known = {name: value for name, value in values.items() if type(value) is int and value > 0}
    heads = max((count for name, count in known.items() if _HEADS.fullmatch(name)), default=1)
    head = max((known[name] for name in _HEAD_SIZES if name in known), default=0)
    width = max((known[name] for name in _WIDTHS if name in known), default=heads * head)
    staged = any(
        isinstance(value, (list, tuple)) and (name in _WIDTHS or _HEADS.fullmatch(name))
        for name, value in values.items()
    )
    return (0 if staged else width), heads, head


def _narrower(values: Mapping[str, object]) -> dict[str, object]:
    known = {name: value for name, value in values.items() if type(value) is int and value > 0}
    width, heads, head = _width(values)
    if width <= _WIDTH:
        return {}
    sizes: dict[str, int] = {}
    for name, size in known.items():
        if name in _WIDTHS or _INNER.fullmatch(name):
            sizes[name] = _in_proportion(size, width)
    # because rotations and splits depend on the size of a head; a told one needs no exact share
    inner = _WIDTH * known.get("expand", 1)
    most = max(inner // head, 2) if head else max(inner * heads // width, 1)
    for name, count in known.items():
        if _HEADS.fullmatch(name):
            sizes[name] = _fewer(count, most)
        elif _KEYS.fullmatch(name):  # as many heads share a key as before
            sizes[name] = _fewer(count, max(most * count // heads, 1))
    groups = max((known.get(name, 0) for name in _EXPERT_GROUPS), default=0)
    routed = max((known.get(name, 0) for name in _EXPERTS_TAKEN), default=0)
    chosen = max(2 * groups, routed, _FEW_EXPERTS)
    sizes.update({name: min(known[name], chosen) for name in _EXPERTS if name in known})
    words = {name: min(known[name], _WORDS) for name in known if _VOCABULARY.fullmatch(name)}
    sizes.update(words)
    if "vocab_size" in known:
        padding = values.get("pad_token_id", 0)
        if not isinstance(padding, int) or padding >= _WORDS:
            sizes["pad_token_id"] = 0  # because several sequences cannot be classified without
    listed = {
        name: [_in_proportion(size, width) for size in value]
        for name, value in values.items()
        if _INNER.fullmatch(name) and isinstance(value, (list, tuple))
        if value and all(type(size) is int and size > 0 for size in value)
    }
    return listed | {name: size for name, size in sizes.items() if size != known.get(name)}


def _in_proportion(size: int, width: int, wanted: int = _WIDTH) -> int:
    """The size that belongs to a smaller width, as a multiple that kernels for experts accept."""
    return max(size * wanted // width // _HEAD, 1) * _HEAD


_PARTED = re.compile(r"sum exactly to (\d+) .*split_sizes=\[([\d, ]+)\]")


def with_heads(candidate: Candidate, error: BaseException) -> Iterator[Candidate]:
    """The candidate with more heads in one part, where a head is split into smaller parts."""
    found = _PARTED.search(" ".join(str(error).split()))
    parted = sum(int(size) for size in found[2].split(",")) if found else 0
    if found is None or not parted or int(found[1]) % parted:
        return
    tree = ast.parse(candidate.constructor.strip(), mode="eval")
    for value in [count for node in ast.walk(tree) for count in _heads(node)]:
        before = cast(int, value.value)
        value.value = before * (int(found[1]) // parted)
        yield replace(candidate, constructor=ast.unparse(tree))
        value.value = before


def _heads(node: ast.AST) -> Iterator[ast.Constant]:
    """The numbers of heads among the keywords of a call and the entries of a mapping."""
    for key, value in _entries(node):
        if isinstance(value, ast.Constant) and type(value.value) is int and _HEADS.fullmatch(key):
            yield value


def _entries(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The keywords of a call and the entries of a mapping."""
    match node:
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def _fewer(heads: int, most: int) -> int:
    """The largest power of two up to `most` and to the number of heads."""
    power = 1
    while power * 2 <= min(heads, most):
        power *= 2
    return power
