"""What a failed assertion of a model's own says about the sizes it wanted."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping

from gradlint.worker.inputs.case import Case, Repair, reshape, resize
from gradlint.worker.inputs.guesses import Guess
from gradlint.worker.inputs.specs import Shape
from gradlint.worker.running.attempt import sources_of, tried


def _asserted(case: Case) -> Iterator[Guess]:
    """An assertion that two sizes are equal, or one divisible: computed where it failed."""
    frame = case.failure.user_frame()
    if not isinstance(case.failure.error, AssertionError) or frame is None:
        return
    parsed = tried(lambda: ast.parse(frame.text.strip()).body[0])
    match parsed.value:
        case ast.Assert(
            test=ast.Compare(
                left=ast.BinOp(left=left, op=ast.Mod(), right=right),
                ops=[ast.Eq()],
                comparators=[ast.Constant(value=0)],
            )
        ):
            have, divisor = (_number(side, frame.variables) for side in (left, right))
            if have and divisor > 1:
                yield from _multiple(case, have, divisor * math.ceil(have / divisor))
        case ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right])):
            have, want = (_number(side, frame.variables) for side in (left, right))
            if have and want:
                yield from resize(case, case.blamed(), have, want)
                yield from resize(case, case.blamed(), want, have)


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


def _number(side: ast.expr, variables: Mapping[str, object]) -> int:
    """The whole number that plain arithmetic on the variables of a frame gives, 0 for any other."""
    allowed = (*_ARITHMETIC, ast.Load, ast.UnaryOp, ast.USub)
    if not all(isinstance(node, allowed) for node in ast.walk(side)):
        return 0
    text = ast.unparse(side)
    outcome = tried(lambda: eval(text, {"__builtins__": {}}, dict(variables)))
    return outcome.value if type(outcome.value) is int else 0


ASSERTIONS: tuple[Repair, ...] = (_asserted, _shallow)
"""The repairs, the most specific first."""
