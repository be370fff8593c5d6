"""What the error of a constructor says about the arguments it wanted."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate
from gradlint.worker.building.demands import DEMANDS
from gradlint.worker.building.refusals import (
    VARIADIC,
    Construction,
    mentioned,
    suspects,
    whole_numbers,
)
from gradlint.worker.building.sources import evaluated
from gradlint.worker.building.typed import annotations_of, of_argument
from gradlint.worker.loading.lacking import HOLDER, extended, supplied
from gradlint.worker.loading.standin import StandIn
from gradlint.worker.loading.usual import usual
from gradlint.worker.running.attempt import frames_of, tried
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.offline import NoWeights

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
GUESSED = frozenset({BuiltFrom.NAMES, BuiltFrom.DEFAULTS})
"""The sources of arguments that are ours to change, because the user gave none."""


def by_signature(name: str, target: object) -> Candidate | None:
    """A candidate for a class that the source never constructs, by what its parameters are called.

    None where a parameter without a default is neither a size or a rate by its name nor of a type
    that says what it holds.
    """
    outcome = tried(lambda: inspect.signature(cast(Callable[..., object], target)))
    if not isinstance(outcome.value, inspect.Signature):
        return None
    hints = annotations_of(target)
    arguments = []
    for key, parameter in outcome.value.parameters.items():
        if parameter.default is parameter.empty and parameter.kind not in VARIADIC:
            value = of_argument(target, key, hints) or _sized(key)
            if value is None:
                return None
            arguments.append(f"{key}={value}" if parameter.kind is not _POSITIONAL else value)
    return Candidate(BuiltFrom.NAMES, f"{name}({', '.join(arguments)})")


def open_call(name: str, target: object) -> str:
    """A construction with dots for each argument that must be given, "" where none is known."""
    outcome = tried(lambda: inspect.signature(cast(Callable[..., object], target)))
    if not isinstance(outcome.value, inspect.Signature):
        return ""
    needed = (
        key
        for key, parameter in outcome.value.parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in VARIADIC
    )
    return f"{name}({', '.join(f'{key}=...' for key in needed)})"


def refuse_missing(target: object) -> None:
    """Say that a class takes something of a package that is not installed.

    Raises:
        UserError: at stage `build`, where the annotation of an argument that must be given does.
    """
    for annotation in _needed(target):
        refused = tried(annotation).error if isinstance(annotation, StandIn) else None
        if refused is not None:
            raise UserError("build", refused)


def lacking_type(model: nn.Module) -> ImportError | None:
    """Why no input of a type can be made that a forward must be given, None where each can.

    Because a class that stands for one of a package which is not installed says so when it is made.
    """
    for annotation in _needed(model.forward):
        if isinstance(annotation, type) and not issubclass(annotation, torch.Tensor):
            refused = tried(annotation).error
            if isinstance(refused, ImportError):
                return refused
    return None


def _needed(target: object) -> Iterator[object]:
    """The annotations of the arguments that must be given."""
    outcome = tried(lambda: inspect.signature(cast(Callable[..., object], target)))
    signature = outcome.value
    known = signature.parameters if isinstance(signature, inspect.Signature) else {}
    yield from (p.annotation for p in known.values() if p.default is p.empty)


def _sized(name: str) -> str | None:
    return (
        "64"
        if re.search(r"dim|size|hidden|feat|chan|width|units|planes|^[a-z]_?(in|out)$", name)
        else None
    )


def repaired(
    candidate: Candidate, error: Exception, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """Other arguments for a constructor that raised, the most specific change first.

    Arguments that the source gives are the user's: only guessed ones are changed, and what is
    lacking is supplied.
    """
    yield from supplied(candidate, error)
    if candidate.built_from not in GUESSED or isinstance(error, ImportError):
        return
    parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval").body)
    if not isinstance(parsed.value, ast.Call):
        return
    call = _failing(parsed.value, error)
    target = tried(lambda: evaluated(ast.unparse(call.func), namespace))
    case = Construction(candidate, call, target.value, error, namespace)
    for repair in _REPAIRS:
        yield from repair(case)


def _failing(call: ast.Call, error: Exception) -> ast.Call:
    """The call that failed: this one, or one inside of it that makes one of its arguments."""
    frames = [f for f in frames_of(error) if f.function == "__init__" and f.users]
    name = type(frames[0].variables.get("self")).__name__ if frames else ""
    named = re.match(r"(\w+)\.__init__\(\) missing", str(error))
    name = name or (named[1] if named else "")
    for inner in ast.walk(call):
        if isinstance(inner, ast.Call) and inner is not call:
            written = ast.unparse(inner.func)
            if name and (written == name or written.endswith(f".{name}")):
                return inner
    return call


def _missing(case: Construction) -> Iterator[Candidate]:
    """Required arguments were left out."""
    if "missing" in case.text and "required" in case.text and _is_ours(case):
        lacking = re.findall(r"'(\w+)'", case.text)
        yield case.having_all({name: _wanted(case, name) for name in lacking})


def _wanted(case: Construction, name: str) -> str:
    """A value for a keyword, which may be handed on to a class that its error is about."""
    owner = re.match(r"(\w+)\.__init__\(\)", case.text)
    target = case.classes.get(owner[1], case.target) if owner else case.target
    return of_argument(target, name, annotations_of(target)) or usual(name)


def _is_ours(case: Construction) -> bool:
    """Whether the call itself raised the error, or one that its keywords are handed on to."""
    return case.takes_all() or not any(frame.users for frame in frames_of(case.error))


def _unexpected(case: Construction) -> Iterator[Candidate]:
    found = re.search(r"unexpected keyword argument '(\w+)'", case.text)
    if found and found[1] in case.given():
        yield case.having(found[1], None)


def _unfetched(case: Construction) -> Iterator[Candidate]:
    """Published weights are not only loaded: without them, what asks for them is told not to."""
    if NoWeights.__name__ in case.text:
        for name, parameter in case.parameters().items():
            if "pretrained" in name and parameter.default is True and name not in case.given():
                yield case.having(name, "False")


_NOT_A_LIST = re.compile(
    r"'(int|float)' object is not (iterable|subscriptable)|object of type '(int|float)' has no len|"
    r"can only concatenate (list|tuple) \(not \"(int|float)|"
    r"'(int|float)' object has no attribute '(index|append|pop|copy|insert)'|"
    r"not iterable|must be an? (list|tuple|iterable)"
)


def _sequences(case: Construction) -> Iterator[Candidate]:
    """A number was given where a list is wanted."""
    if _NOT_A_LIST.search(case.text):
        for name in suspects(case, int):
            value = ast.unparse(case.given()[name]) if name in case.given() else usual(name)
            for form in (f"[{value}, {value}]", f"[{', '.join([value] * 4)}]", f"[{value}] * 3"):
                yield case.having(name, form)
            yield case.having(name, f"({value}, 32, 32)")


_UNRANKED = re.compile(r"input to conv(?:_transpose)?([123])d, but got input of size")


def _shapes(case: Construction) -> Iterator[Candidate]:
    """A list of sizes is the shape of an image, which the constructor runs through its layers."""
    if found := _UNRANKED.search(case.text):
        shape = ", ".join(["3", *["32"] * int(found[1])])
        for name, value in case.given().items():
            if isinstance(value, ast.List):
                yield case.having(name, f"({shape})")


def _single(case: Construction) -> Iterator[Candidate]:
    """A list was given where a number, or a tuple, is wanted."""
    lists = {
        n: v for n, v in case.given().items() if isinstance(v, (ast.List, ast.Tuple)) and v.elts
    }
    lists = {name: lists[name] for name in (*mentioned(case), *lists) if name in lists}
    if re.search(r"'(list|tuple)' object|got (list|tuple)|'list' and|and 'list'", case.text):
        for name, value in lists.items():
            yield case.having(name, ast.unparse(value.elts[0]))
    if "tuple" in case.text:
        for name in [name for name in mentioned(case) if name in lists] or lists:
            elements = ", ".join(map(ast.unparse, lists[name].elts))
            yield case.having(name, f"({elements},)")
    for length in re.findall(r"(?:expected|length|len|tuple of|list of)\D{0,20}(\d+)", case.text):
        for name in lists:
            yield case.having(
                name, f"[{', '.join([ast.unparse(lists[name].elts[0])] * int(length))}]"
            )


def _callables(case: Construction) -> Iterator[Candidate]:
    """A value was given where a class or a module is wanted."""
    if re.search(r"object is not callable|is not a Module subclass|unhashable", case.text):
        for name in suspects(case, object):
            for kind in _kinds(case, name):
                yield case.having(name, kind)
            yield case.having(name, "PassThrough()")


_NOT_A_MODULE = re.compile(
    r"is not a Module subclass|should be called with an iterable|"
    r"has no attribute '(parameters|named_\w+|modules|children|state_dict|train|eval)'"
)


def _modules(case: Construction) -> Iterator[Candidate]:
    """A module, or a list of them, is wanted: of the class that is named alike, or any."""
    if not _NOT_A_MODULE.search(case.text):
        return
    for name in suspects(case, object):
        listed = re.search(rf"ModuleList\((self\.)?{name}\)", case.innermost())
        for kind in [*_kinds(case, name.rstrip("s")), "PassThrough"]:
            made = kind if kind.endswith(")") else f"{kind}()"
            yield case.having(name, f"[{made}, {made}]" if listed else made)


_TORCH_NAMES = {
    "norm": "LayerNorm",
    "act": "GELU",
    "nonlin": "ReLU",
    "conv": "Conv2d",
    "linear": "Linear",
}


def _kinds(case: Construction, name: str) -> Iterator[str]:
    """Classes for a parameter: module classes of the file that are named alike, torch's usual."""
    words = [word for word in re.split(r"[_\d]+", name.lower()) if len(word) > 3]
    alike = {
        key: sum(word in key.lower() for word in words)
        for key, value in case.classes.items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value is not case.target
    }
    yield from sorted(filter(alike.get, alike), key=lambda key: -alike[key])
    usual = next((kind for key, kind in _TORCH_NAMES.items() if key in name.lower()), "Identity")
    yield f"__import__('torch').nn.{usual}"
    yield f"__import__('torch').nn.{usual}()"


def _configuration(case: Construction) -> Iterator[Candidate]:
    """An object with attributes, or a mapping, was expected, or has too few entries."""
    attribute = re.search(r"'([\w.]+)' object has no attribute '(\w+)'", case.text)
    key = case.error.args[0] if isinstance(case.error, KeyError) and case.error.args else None
    name = attribute[2] if attribute else key
    if not isinstance(name, str) or not name.isidentifier():
        return
    for parameter, value in case.given().items():
        text = ast.unparse(value)
        if (attribute and HOLDER.match(text)) or (key and text.startswith("dict(")):
            yield case.having(parameter, extended(text, [name]))
    if attribute and attribute[1] in ("int", "float", "str", "NoneType", "dict", "type"):
        yield from _nested(case, name)
        for parameter in suspects(case, object):
            yield case.having(parameter, f"SimpleNamespace({name}={usual(name)})")
    if re.search(r"'(int|NoneType|float)' object is not subscriptable", case.text):
        for parameter in suspects(case, object):
            yield case.having(parameter, "dict()")


def _nested(case: Construction, name: str) -> Iterator[Candidate]:
    """A part of a configuration was given as a number and is itself one."""
    owner = re.search(rf"(\w+)\.{name}\b", case.innermost())
    for parameter, value in case.given().items():
        text = ast.unparse(value)
        if owner and HOLDER.match(text) and f"{owner[1]}=" in text:
            inner = f"{owner[1]}=SimpleNamespace({name}={usual(name)})"
            yield case.having(parameter, re.sub(rf"\b{owner[1]}=[^,()]+", inner, text, count=1))


def _tensors(case: Construction) -> Iterator[Candidate]:
    """A number was given where a tensor is wanted."""
    found = re.search(r"'(?:int|float|bool|NoneType)' object has no attribute '(\w+)'", case.text)
    if found and hasattr(torch.Tensor, found[1]):
        for name in suspects(case, object):
            yield case.having(name, "__import__('torch').randn(64)")


def _mapped(case: Construction) -> Iterator[Candidate]:
    """A number was indexed by a text or spread: it should be a mapping, with all that is taken."""
    spread = re.findall(r"\*\*(?:self\.)?(\w+)", case.innermost())
    if "missing" in case.text and "required" in case.text:
        lacking = re.findall(r"'(\w+)'", case.text)
        for name, value in case.given().items():
            if name in spread and (text := ast.unparse(value)).startswith("dict("):
                yield case.having(name, extended(text, lacking))
    if re.search(r"must be a mapping, not (int|NoneType)", case.text):
        for parameter in suspects(case, object):
            yield case.having(parameter, "dict()")
    if re.search(r"'(int|NoneType|float)' object is not subscriptable", case.text):
        for key in re.findall(r"\[['\"](\w+)['\"]\]", case.line()):
            for parameter in suspects(case, object):
                yield case.having(parameter, f"dict({key}={usual(key)})")


def _divisible(case: Construction) -> Iterator[Candidate]:
    """Sizes that must divide each other, or be even."""
    line = f"{case.text} {case.line()}"
    if not re.search(r"divis|multiple|divided|% |evenly|even number|must be even", line):
        return
    numbers = {name: value for name, value in whole_numbers(case).items() if value > 0}
    named = [name for name in numbers if re.search(rf"\b{name}\b", line)] or list(numbers)
    for name in sorted(named, key=lambda name: numbers[name]):
        for divisor in (8, 4, 2, 1, 64):
            if divisor != numbers[name]:
                yield case.having(name, str(divisor))
        yield case.having(name, str(numbers[name] * 2))


_QUOTED = re.compile(r"['\"]([\w.\-]+)['\"]")


def _choices(case: Construction) -> Iterator[Candidate]:
    """The message, or the failing line, lists what is allowed."""
    if isinstance(case.error, (AttributeError, TypeError)):
        return  # because what these quote are types and attributes
    texts = {n: v.value for n, v in case.given().items() if isinstance(v, ast.Constant)}
    lists = re.search(
        r"(?:in|one of|choose from|expected|supported\w*|available|be|either)\W+(.*)",
        f"{case.text} {case.line()}",
    )
    named = (case.classes.get(word) for word in re.findall(r"[A-Za-z_]\w*", case.line()))
    listed = re.search(r"(?:one of|choose from|available\W+(?:\w+\W+)?)[\s:]+(.*)", case.text)
    options = _QUOTED.findall(f"{case.text} {case.line()}")
    options += re.findall(r"(?<![\w.\-])\w[\w.\-]*(?=,|$)", listed[1]) if listed else []
    options += [value for value in named if isinstance(value, str) and value]
    numbers = re.findall(r"\b\d+\b", lists[1]) if lists else []
    bad = [n for n, v in texts.items() if isinstance(v, str) and (v in case.text or n in case.text)]
    for name in bad or mentioned(case):
        for option in options[:8]:
            if option != texts.get(name) and option not in texts:
                yield case.having(name, repr(option))
        for number in numbers[:6]:
            if number != str(texts.get(name)):
                yield case.having(name, number)


_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 224)


def _equal(case: Construction) -> Iterator[Candidate]:
    """Assertions about sizes: make the ones that the failing line names alike, or near to that."""
    if not isinstance(case.error, (AssertionError, ValueError, RuntimeError)):
        return
    numbers = whole_numbers(case)
    named = [name for name in numbers if re.search(rf"\b{name}\b", f"{case.text} {case.line()}")]
    for name in named:
        for other in named:
            if numbers[name] != numbers[other] > 0:
                yield case.having(name, str(numbers[other]))
    for name in named:
        for value in sorted(_SIZES, key=lambda size: abs(math.log(size / (numbers[name] or 1)))):
            if value != numbers[name]:
                yield case.having(name, str(value))


def _nothing(case: Construction) -> Iterator[Candidate]:
    """None was used as a value."""
    if "NoneType" in case.text:
        for name in mentioned(case):
            yield case.having(name, usual(name))


_REPAIRS: tuple[Callable[[Construction], Iterator[Candidate]], ...] = (
    _missing,
    _unexpected,
    _unfetched,
    *DEMANDS,
    _mapped,
    _tensors,
    _sequences,
    _shapes,
    _single,
    _modules,
    _configuration,
    _callables,
    _divisible,
    _choices,
    _nothing,
    _equal,
)


def model_in(value: object) -> nn.Module | None:
    """The model that an expression gave: itself, or the first one in a tuple or list."""
    if isinstance(value, nn.Module):
        return value
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, nn.Module)), None)
    return None
