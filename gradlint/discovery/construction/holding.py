"""What holds settings: constants, and classes with the values that their attributes begin with."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from gradlint.discovery.construction.usage import Usage
from gradlint.discovery.project.evidence import whole_word
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Binding, Scope

_NAMED = re.compile(r"(Config|Cfg|Args|Params|Options|Settings)$")
_FEWEST = 4
"""Attributes that a class must have in common with what is read; three are a coincidence."""
_MOST_NAMES = 60


def holders(reading: Reading, names: Collection[str]) -> tuple[Scope, ...]:
    """The classes that say what a setting is: those of the file that are called so, then one other.

    That is the class of the project which sets most of the attributes `names`, if it sets more than
    half of them, as with `model = Tagger(data)` where `data` holds the options beside the data.
    """
    called = [scope for scope in reading.outline.classes if _NAMED.search(scope.name)]
    wanted = frozenset(names)
    others = _others(reading, wanted) if len(wanted) >= _FEWEST else ()
    best = max(others, key=lambda scope: len(wanted & _attributes(scope)), default=None)
    common = len(wanted & _attributes(best)) if best is not None else 0
    enough = best is not None and common >= _FEWEST and 2 * common > len(wanted)
    return (*called, best) if best is not None and enough and best not in called else (*called,)


def constant(reading: Reading, names: Collection[str]) -> str | None:
    """The constant that has all of these attributes: the last of this file, else of another.

    That is an object which was made with all of them as keywords, as with `DARTS = Genotype(…)`,
    where a class reads what its `genotype` holds.
    """
    own = list(_made_with(reading.outline.module, names))
    if own:
        return own[-1][0]
    written = max(names, key=len)
    for file in reading.project.naming(rf"{whole_word(written)}\s*=(?!=)", all_count=False):
        for _, call in reversed(list(_made_with(file.outline.module, names))):
            words = [f"{word.arg}={ast.unparse(word.value)}" for word in call.keywords]
            if all(_is_literal(word.value) for word in call.keywords):
                return f"__import__('types').SimpleNamespace({', '.join(words)})"
    return None


def _made_with(module: Scope, names: Collection[str]) -> Iterator[tuple[str, ast.Call]]:
    for name, bound in module.bindings.items():
        match bound[-1].value:
            case ast.Call(func=ast.Name(), args=[], keywords=words) as call:
                if set(names) <= {word.arg for word in words}:
                    yield name, call


def _others(reading: Reading, names: frozenset[str]) -> Iterator[Scope]:
    yield from (s for s in reading.outline.classes if s.name not in reading.model_classes)
    written = "|".join(sorted(names)[:_MOST_NAMES])
    for file in reading.project.naming(rf"^\s+(self\.)?({written})\b[^=\n]*=(?!=)"):
        # because a model has its sizes under the same names
        yield from (scope for scope in file.outline.classes if scope.method("forward") is None)


def _attributes(scope: Scope) -> frozenset[str]:
    return frozenset(name.removeprefix("self.") for name in scope.bindings)


def held(scope: Scope, name: str, usage: Usage) -> str | None:
    """What a class gives an attribute at first, None where that says nothing of a model.

    So with nothing, which data fill later; though a loop may well run over nothing.
    """
    value = _first(scope, name)
    match value:
        case ast.IfExp(orelse=orelse):  # because the other holds where files that are not here are
            value = orelse
        case ast.Call(func=ast.Name(id="len"), args=[ast.Attribute(attr=attr)]):
            inner = _first(scope, attr)
            value = ast.Constant(len(inner.elts)) if isinstance(inner, ast.List) else None
    text = ast.unparse(value) if value is not None and _is_literal(value) else None
    if text in ("None", "..."):
        return "None" if usage.optional else None
    filled = text not in ("0", "[]", "()", "''")
    return text if filled or usage.counted or usage.listed else None


def _first(scope: Scope, name: str) -> ast.expr | None:
    """The value that an instance is made with, or the last that the class gives it."""
    bound = scope.bindings.get(f"self.{name}", []) or scope.bindings.get(name, [])
    made = [binding for binding in bound if _is_made(binding)] or bound
    return made[-1].value if made else None


def _is_made(binding: Binding) -> bool:
    scope = binding.scope
    return scope.is_class or scope.name.endswith("__init__")


def _is_literal(value: ast.expr) -> bool:
    return all(
        isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Load, ast.UnaryOp, ast.USub))
        for node in ast.walk(value)
    )
