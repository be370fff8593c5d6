"""What a constructor demands that was left out, was None or does not match."""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

from torch import nn

from gradlint.protocol.wire import BuiltFrom, Candidate
from gradlint.worker.building.refusals import (
    VARIADIC,
    Construction,
    mentioned,
    suspects,
    whole_numbers,
)
from gradlint.worker.building.sources import evaluated
from gradlint.worker.building.typed import reached
from gradlint.worker.loading.usual import known, usual
from gradlint.worker.running.attempt import frames_of, tried

_DEMAND = re.compile(
    r"([Mm]ust|[Ss]hould|[Nn]eeds? to|[Hh]as to|[Hh]ave to) (also |either )?(be )?"
    r"(passed|provide|provided|supplied|specif\w+|give|given|set|define|defined|pass|populated|filled)\b|required|"
    r"cannot be None|not be None|missing|([Ee]xactly|[Aa]t least|[Ee]ither) one of"
    r"|[Pp]lease (specify|provide|give|set)\b"
)
_ADVICE = re.compile(r"\b([a-z]\w*) ?=+ ?(True|False|None|-?\d+(?:\.\d+)?|'\w+'|\"\w+\")")


def _advised(case: Construction) -> Iterator[Candidate]:
    """The message says what to set, as in "set `add_self_loops=False`"."""
    for name, value in _ADVICE.findall(case.text):
        if name in case.parameters() or case.takes_all():
            yield case.having(name, value)


def advised(
    candidate: Candidate, error: BaseException, namespace: dict[str, object]
) -> Iterator[Candidate]:
    """A guessed construction as the error of a pass advises, be it in a part of the model."""
    parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval")).value
    guessed = candidate.built_from is BuiltFrom.NAMES and _ADVICE.search(str(error))
    for call in ast.walk(parsed) if guessed and isinstance(parsed, ast.Expression) else ():
        if isinstance(call, ast.Call):
            target = tried(evaluated, ast.unparse(call.func), namespace).value
            yield from _advised(Construction(candidate, call, target, error, namespace))


def _demanded(case: Construction) -> Iterator[Candidate]:
    """The message names an argument that must be given."""
    if not _DEMAND.search(case.text):
        return
    taken = [n for n, p in case.parameters().items() if p.kind not in VARIADIC]
    if case.takes_all():
        taken += _handed_on(case)
    quoted = re.findall(r"[`'\"](\w+)[`'\"]", case.text) if case.takes_all() else []
    named = [word for word in re.findall(r"\w+", case.text) if word in taken]
    each = dict.fromkeys((*named, *quoted))
    given = {name for name, value in case.given().items() if ast.unparse(value) != "None"}
    lacking = [name for name in each if name not in given and name.islower()]
    if len(lacking) > 1 and " or " not in case.text:
        yield case.having_all({name: usual(name) for name in lacking})
    for name in lacking:
        yield case.having(name, usual(name))


def _handed_on(case: Construction) -> Iterator[str]:
    """The parameters of the constructors that a construction hands its keywords on to."""
    frames = frames_of(case.error)
    return (n for f in frames if f.users and f.function == "__init__" for n in f.parameters[1:])


def _unset(case: Construction) -> Iterator[Candidate]:
    """An argument that the failing line names is None where that was asserted not to be."""
    frames = [frame for frame in frames_of(case.error) if frame.users]
    if not isinstance(case.error, AssertionError) or not frames:
        return
    words = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", frames[-1].text))
    for name in words:
        of_call = name in case.parameters() or case.takes_all()
        if of_call and frames[-1].variables.get(name, 0) is None:
            yield case.having(name, usual(name))
            yield case.having(name, f"[{usual(name)}] * 3")


_LIST_OF = re.compile(r"\blist of [`'\"]?(\w+)")
_KIND = re.compile(
    r"(?:[Ee]xpected|must be|should be)(?: an?)?(?: instance of)? [`'\"](?:\w+\.)*(\w+)[`'\"]"
)


def _listed(case: Construction) -> Iterator[Candidate]:
    """The message wants a list of what an argument is called: of numbers, or of names."""
    for name in _LIST_OF.findall(case.text):
        if name in case.parameters():
            value = known(name)
            yield case.having(name, f"[{value}, {value}]" if value else "['0', '1']")


def _expected(case: Construction) -> Iterator[Candidate]:
    """The message names the class of modules of which an argument should be."""
    found = _KIND.search(case.text)
    seen = [frame.variables for frame in frames_of(case.error) if frame.users]
    for scope in (*reversed(seen), case.classes, vars(nn)) if found else ():
        kind = scope.get(found[1]) if found else None
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            for name in suspects(case, nn.Module):
                yield case.having(name, _instance(case, kind))
            return


_CHAINED = re.compile(r"\b[a-z]\w*(?: == [a-z]\w*)+\b")


def _chained(case: Construction) -> Iterator[Candidate]:
    """The message says which arguments are to be equal, as in `groups == channels`."""
    for chain in _CHAINED.findall(case.text):
        names = [name for name in chain.split(" == ") if name in case.parameters()]
        sizes = [value for name, value in whole_numbers(case).items() if name in names]
        if len(names) > 1 and len(set(sizes)) > 1:
            yield case.having_all(dict.fromkeys(names, str(max(sizes))))


_EQUATION = re.compile(
    r"\b([a-z]\w*) (?:==|(?:must|should) (?:be )?equal(?: to)?) (\w+(?: ?(?:\*\*?|//|[+-]) ?\w+)*)"
)


def _equated(case: Construction) -> Iterator[Candidate]:
    """The message says what a size must be, as in `in_channels == 2 * out_channels`."""
    numbers = whole_numbers(case)
    for name, text in _EQUATION.findall(case.text):
        value = tried(evaluated, text, dict[str, object](numbers)).value
        if name in numbers and type(value) is int and value != numbers[name]:
            yield case.having(name, str(value))


_LETTERED = re.compile(r"\(([A-Z](?:, ?[A-Z])+)\)")


def _lettered(case: Construction) -> Iterator[Candidate]:
    """The message tells how many sides a size has, as in `input_size must be (H, W)`."""
    for letters in _LETTERED.findall(case.text):
        sides = ", ".join(["32"] * len(letters.split(",")))
        for name in mentioned(case):
            if name in case.text:
                yield case.having(name, f"({sides})")


_ALIKE = re.compile(r"match|same (length|number|size)|equal|\blen\b|length|index out of range")


def _matching(case: Construction) -> Iterator[Candidate]:
    """Lists of different lengths that must have the same."""
    lists = {
        name: value.elts
        for name, value in case.given().items()
        if isinstance(value, (ast.List, ast.Tuple)) and value.elts
    }
    if not _ALIKE.search(f"{case.text} {case.line()}"):
        return
    lengths = {len(items) for items in lists.values()}
    for name, items in lists.items():
        for length in sorted(lengths | {size - 1 for size in lengths} | {max(lengths) + 1}):
            if 0 < length != len(items):
                texts = [ast.unparse(item) for item in [*items, *items[-1:] * length][:length]]
                yield case.having(name, f"[{', '.join(texts)}]")


def _floating(case: Construction) -> Iterator[Candidate]:
    """A whole number was given where a fraction is wanted."""
    if re.search("floating point|must be float|expected float|'int' object.*float", case.text):
        for name in mentioned(case):
            text = ast.unparse(case.given()[name]) if name in case.given() else ""
            if re.fullmatch(r"[\[\]\d, ()]+", text):
                yield case.having(name, re.sub(r"\d+", "1.0", text))


_BETWEEN = re.compile(r"between (-?\d+(?:\.\d+)?) and (-?\d+(?:\.\d+)?)")


def _within(case: Construction) -> Iterator[Candidate]:
    """A number is outside of the range that the message names: the middle of it."""
    found = _BETWEEN.search(case.text)
    if found:
        middle = (float(found[1]) + float(found[2])) / 2.0
        for name in mentioned(case):
            yield case.having(name, f"{middle:g}")


_TOO_SMALL = re.compile(
    r"more than 1 value per channel|greater than actual input size|[Oo]utput size is too small"
)
_SIDE = re.compile(r"\b(\w*(?:image|img|input|crop)_?size|resolution)=(\d+)\b")
_SHAPE = re.compile(r", 32, 32\)")


def _enlarged(case: Construction) -> Iterator[Candidate]:
    """The constructor runs its layers on an image, of which nothing is left."""
    if _TOO_SMALL.search(case.text):
        for side in (64, 224):
            new = _SIDE.sub(rf"\1={side}", case.candidate.constructor)
            new = _SHAPE.sub(f", {side}, {side})", new)
            yield replace(case.candidate, constructor=new)


_SPREAD = re.compile(r"\b(?:(\w+)_)?(?:kwargs|args|params|config|cfg|opts)\b")


def _keyed(case: Construction) -> Iterator[Candidate]:
    """A keyword is missing among those taken without being named, which a prefix may sort.

    As in `Encoder(**enc_kwargs)`, where a `depth` that is demanded has to be called `enc_depth`.
    """
    if not case.takes_all():
        return
    lines = " ".join(frame.text for frame in frames_of(case.error) if frame.users)
    prefixes = dict.fromkeys(found[1] for found in _SPREAD.finditer(lines))
    for key in _lacking(case):
        for name in (f"{prefix}_{key}" if prefix else key for prefix in prefixes):
            if name not in case.given():
                yield case.having(name, usual(key))


def _lacking(case: Construction) -> list[str]:
    """The keywords that the error says are missing."""
    key = case.error.args[0] if isinstance(case.error, KeyError) and case.error.args else None
    if isinstance(key, str):
        return [key] if key.isidentifier() else []
    quoted = re.findall(r"[`'\"](\w+)[`'\"]", case.text) if _DEMAND.search(case.text) else []
    return [name for name in quoted if name.islower()]


def _typed(case: Construction) -> Iterator[Candidate]:
    """A number was given for an argument that is annotated with a class of modules."""
    if not re.search(r"'(int|float|str|NoneType)' object has no attribute", case.text):
        return
    signature = tried(lambda: inspect.signature(_callable(case.target), eval_str=True)).value
    found = signature.parameters if isinstance(signature, inspect.Signature) else {}
    for name, parameter in found.items():
        kind, given = parameter.annotation, case.given().get(name)
        particular = (
            isinstance(kind, type) and issubclass(kind, nn.Module) and kind is not nn.Module
        )
        if particular and given is not None and not isinstance(given, ast.Call):
            yield case.having(name, _instance(case, kind))


def _particular(case: Construction) -> Iterator[Candidate]:
    """The message names a subclass of a class that is constructed."""
    words = {word.lower() for word in re.findall(r"\w+", case.text)}
    whole = ast.parse(case.candidate.constructor.strip(), mode="eval")
    for call in (node for node in ast.walk(whole) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        kind = tried(evaluated, function, {**case.classes}).value
        below: list[type] = type.__subclasses__(kind) if isinstance(kind, type) else []
        for other in (other for other in below if other.__name__.lower() in words):
            new = ast.unparse(call).replace(function, _reached(case, other), 1)
            text = ast.unparse(whole).replace(ast.unparse(call), new, 1)
            yield replace(case.candidate, constructor=text)


def _enumerated(case: Construction) -> Iterator[Candidate]:
    """A text is none of those that an enumeration holds."""
    found = re.search(r"('.*?'|-?\d+) is not a valid (\w+)$", case.text)
    kinds = (frame.variables.get("cls") for frame in frames_of(case.error)) if found else ()
    for kind in kinds:
        if found and isinstance(kind, enum.EnumMeta) and kind.__name__ == found[2]:
            wrong = [n for n, value in case.given().items() if ast.unparse(value) == found[1]]
            members: list[enum.Enum] = list(kind)
            yield from (case.having(n, repr(m.value)) for n in wrong for m in members)
            return


def _reached(case: Construction, kind: type) -> str:
    """How the module of the candidate reaches a class."""
    return kind.__name__ if case.classes.get(kind.__name__) is kind else reached(kind)


def _instance(case: Construction, kind: type) -> str:
    """A construction of a class with usual values for what it must be given."""
    signature = tried(lambda: inspect.signature(kind)).value
    needs = signature.parameters if isinstance(signature, inspect.Signature) else {}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = (n for n, p in needs.items() if p.default is p.empty and p.kind in plain)
    words = ", ".join(f"{word}={usual(word)}" for word in needed)
    return f"{_reached(case, kind)}({words})"


def _callable(target: object) -> Callable[..., object]:
    return cast(Callable[..., object], target)


DEMANDS: tuple[Callable[[Construction], Iterator[Candidate]], ...] = (
    _chained,
    _equated,
    _advised,
    _enlarged,
    _keyed,
    _enumerated,
    _listed,
    _expected,
    _demanded,
    _typed,
    _particular,
    _unset,
    _floating,
    _within,
    _lettered,
    _matching,
)
"""The repairs, the most specific first."""
