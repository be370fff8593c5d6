"""The keys of the mappings of tensors that a model takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from torch import nn

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.specs import Key

_MOST = 16
"""Keys of one mapping, because a longer one is a vocabulary."""
_EDGE = ("source", "relation", "destination")
_ANY = ("0", "1")
"""The names of feature maps, as torchvision's backbones give them."""


def keys_of(facts: Facts, kind: str) -> tuple[Key, ...]:
    """The keys of a mapping, which have a type such as `str` or `tuple[str, str]`.

    They are those by which the model knows its own parts, or which it was constructed with, because
    of any others it can make nothing.
    """
    count = kind.lower().count("str") if kind.lower().startswith("tuple[") else 0
    plain = kind.lower() == "str"
    known = tuple(_known(facts))
    ends = tuple(_ends(keys) for keys in known) if plain else ()
    for keys in (*known, *ends):
        lengths = {len(key) if isinstance(key, tuple) else 0 for key in keys}
        if lengths == {count} if count or plain else len(lengths) == 1:
            return keys
    return tuple((key,) * count if count else key for key in _ANY)


def _ends(keys: tuple[Key, ...]) -> tuple[Key, ...]:
    """The kinds of nodes between which edges of these kinds, such as (man, owns, dog), lead."""
    triples = (key for key in keys if isinstance(key, tuple) and len(key) == len(_EDGE))
    return tuple(dict.fromkeys(end for key in triples for end in (key[0], key[-1])))


def _known(facts: Facts) -> Iterator[tuple[Key, ...]]:
    """What may be the keys of a mapping: of its modules, its attributes, what it was given."""
    for module in facts.model.modules():
        if isinstance(module, (nn.ModuleDict, nn.ParameterDict)):
            yield from _keys(module)
    own = (value for name, value in vars(facts.model).items() if not name.startswith("_"))
    values = (*own, *facts.given.values())
    inner = (item for value in values if isinstance(value, (tuple, list)) for item in value)
    for value in itertools.chain(values, inner):
        yield from _keys(value)


def _keys(value: object) -> Iterator[tuple[Key, ...]]:
    """The keys of a mapping, or the items of a list, where all are texts or tuples of texts."""
    items: tuple[Key, ...] = ()
    if isinstance(value, (Mapping, nn.ModuleDict, nn.ParameterDict)):
        items = tuple(value.keys())
    elif isinstance(value, list):
        items = tuple(value)
    if 0 < len(items) <= _MOST and all(map(_is_key, items)):
        yield items


def _is_key(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(part, str) for part in value)
    return isinstance(value, str)
