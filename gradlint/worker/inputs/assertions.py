"""What an assertion or a refusal of a model's own says about the sizes it wanted."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from gradlint.worker.inputs.case import Case, Repair, reshape, resize, usual_shapes, with_shape
from gradlint.worker.inputs.conditions import Wanted, assigned, wanted
from gradlint.worker.inputs.guesses import Argument, Guess
from gradlint.worker.inputs.specs import Shape
from gradlint.worker.running.attempt import sources_of, tried


def _refused(case: Case) -> Iterator[Guess]:
    """A condition of two sizes: computed where it failed."""
    frame = case.failure.user_frame()
    variables = frame.variables if frame is not None else {}
    for want in wanted(case.failure):
        have, right = (_number(side, variables) for side in (want.left, want.right))
        if have and right and not _RANKED.fullmatch(ast.unparse(want.left)):
            yield from _sized(case, want, variables, have, right + want.step)


def _alike(case: Case) -> Iterator[Guess]:
    """Two tensors must have the same shape: what one of them was given is what the other gets."""
    frame = case.failure.user_frame()
    variables = frame.variables if frame is not None else {}
    for want in wanted(case.failure):
        names = [_WHOLE.fullmatch(ast.unparse(side)) for side in (want.left, want.right)]
        values = [variables.get(name[1]) if name else None for name in names]
        if want.order == "==" and all(map(sources_of, values)):
            one, other = (case.blamed(value)[0] for value in values)
            yield from reshape(case, other, getattr(one.spec, "shape", ()))
            yield from reshape(case, one, getattr(other.spec, "shape", ()))


_WHOLE = re.compile(r"(\w+)\.(?:shape|size\(\))")


def _ranked(case: Case) -> Iterator[Guess]:
    """A condition of the number of dimensions, on either side and by whatever name."""
    frame = case.failure.user_frame()
    variables = frame.variables if frame is not None else {}
    known = assigned(frame) if frame is not None else {}
    for want in wanted(case.failure):
        for side, count in ((want.left, want.right), (want.right, want.left)):
            whose = _RANKED.fullmatch(_written_out(side, known))
            if whose is None or want.order != "==":
                continue
            value = variables.get(whose[1] or whose[2])
            rank = _number(count, variables) - int((whose[3] or "0").replace(" ", ""))
            for item in case.blamed(value) if rank > 0 and sources_of(value) else ():
                for shape in usual_shapes(case, item, rank):
                    yield from _all_alike(case, item, shape)
                    yield with_shape(case, item, shape)


def _all_alike(case: Case, item: Argument, shape: Shape) -> Iterator[Guess]:
    """An argument with another shape, and with it those that had the same as it."""
    guess = case.guess
    before: Shape = getattr(item.spec, "shape", ())
    for other in case.guess.arguments:
        if getattr(other.spec, "shape", None) == before:
            guess = next(reshape(replace(case, guess=guess), other, shape), guess)
    yield guess


_RANKED = re.compile(r"(?:(\w+)\.(?:dim\(\)|ndim)|len\((\w+)\.(?:shape|size\(\))\))( [+-] \d+)?")
_FOLLOWED = 3


def _written_out(side: ast.expr, known: Mapping[str, ast.expr]) -> str:
    """An expression with the names in it that were assigned but once as they were assigned."""
    text = ast.unparse(side)
    for _ in range(_FOLLOWED):
        text = re.sub(
            r"(?<![\w.])[A-Za-z_]\w*(?![\w.(])",
            lambda name: ast.unparse(known[name[0]]) if name[0] in known else name[0],
            text,
        )
    return text


_ONE_SIZE = re.compile(r"(\w+)\.(?:shape\[(-?\d)\]|size\((-?\d)\))(?: [+-] \d+)?")


def _sized(
    case: Case, want: Wanted, variables: Mapping[str, object], have: int, right: int
) -> Iterator[Guess]:
    """The left side of what is wanted is `have`, the right side what it is compared with."""
    if want.order == "%" and right > 1:
        yield from _multiple(case, have, right * math.ceil(have / right))
    elif want.order == "==" or (have > right) == (want.order == "<="):
        yield from resize(case, case.blamed(), have, right)
        yield from resize(case, case.blamed(), right, have)
        for side, more in ((want.left, right - have), (want.right, have - right)):
            yield from _longer(case, side, more, variables)


def _longer(
    case: Case, side: ast.expr, more: int, variables: Mapping[str, object]
) -> Iterator[Guess]:
    """One size of an argument, as in `x.shape[1] + 1`, is larger by so much."""
    found = _ONE_SIZE.fullmatch(ast.unparse(side))
    value = variables.get(found[1]) if found else None
    for item in case.blamed(value) if found and sources_of(value) else ():
        dims, sizes = list(getattr(item.spec, "shape", ())), case.shape(item.spec)
        index = int(found[2] or found[3]) if found else 0
        same = isinstance(value, torch.Tensor) and sizes == tuple(value.shape)
        if same and dims[index] != "batch" and sizes[index] + more > 0:
            dims[index] = sizes[index] + more
            yield from reshape(case, item, tuple(dims))


_READ = re.compile(r"\b(\w+)\.(?:shape\[|size\()(\d)")


def _shallow(case: Case) -> Iterator[Guess]:
    """A dimension was asked for that an argument lacks: one more, of a single element."""
    frame = case.failure.user_frame()
    if frame is None or case.failure.text != "tuple index out of range":
        return
    for name, index in _READ.findall(frame.text):
        value = frame.variables.get(name)
        for item in case.blamed(value) if sources_of(value) else ():
            dims: Shape = getattr(item.spec, "shape", ())
            if 0 < len(dims) == int(index):
                yield from reshape(case, item, (*dims, 1))


def _multiple(case: Case, have: int, want: int) -> Iterator[Guess]:
    if have == case.guess.size["batch"]:
        yield case.guess.sized(batch=want)
    yield from resize(case, case.blamed(), have, want)


_ARITHMETIC = (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.Constant, ast.operator)
_SIZES = re.compile(r"\w+\.(size|dim)")


def _number(side: ast.expr, variables: Mapping[str, object]) -> int:
    """The whole number that plain arithmetic on the variables of a frame gives, 0 for any other."""
    allowed = (*_ARITHMETIC, ast.Load, ast.UnaryOp, ast.USub)
    if not all(isinstance(node, allowed) or _is_size(node) for node in ast.walk(side)):
        return 0
    text = ast.unparse(side)
    outcome = tried(lambda: eval(text, {"__builtins__": {}}, dict(variables)))
    return outcome.value if type(outcome.value) is int else 0


def _is_size(node: ast.AST) -> bool:
    """Whether a part of an expression asks a tensor for a size, as in `x.size(1)`."""
    return isinstance(node, ast.Call) and bool(_SIZES.fullmatch(ast.unparse(node.func)))


ASSERTIONS: tuple[Repair, ...] = (_alike, _refused, _shallow)
"""The repairs, the most specific first."""
RANKS: tuple[Repair, ...] = (_ranked,)
"""Those for which a message may say more."""
