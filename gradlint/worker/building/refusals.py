"""A constructor call that failed, and the single changes that can be made to it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from gradlint.protocol.wire import Candidate
from gradlint.worker.building.sources import evaluated
from gradlint.worker.running.attempt import Frame, frames_of, tried

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
"""The kinds of parameters that take what no other does."""


@dataclass(frozen=True)
class Construction:
    """A failed constructor call: the candidate, the call, what it calls, and the error.

    The call may stand inside of another in the candidate's text. `classes` are what the names of
    the user's module mean.
    """

    candidate: Candidate
    call: ast.Call
    target: object
    error: BaseException
    classes: Mapping[str, object]

    @property
    def text(self) -> str:
        """The message of the error on one line."""
        return " ".join(str(self.error).split())

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters of what is called."""
        return self._signature.parameters

    @cached_property
    def _signature(self) -> inspect.Signature:
        outcome = tried(lambda: inspect.signature(cast(Callable[..., object], self.target)))
        signature = outcome.value
        return signature if isinstance(signature, inspect.Signature) else inspect.Signature()

    @cached_property
    def _frames(self) -> tuple[Frame, ...]:
        return frames_of(self.error)

    def given(self) -> dict[str, ast.expr]:
        """The arguments of the call by parameter name."""
        names = list(self.parameters())
        values = dict(zip(names, self.call.args, strict=False))
        values.update({word.arg: word.value for word in self.call.keywords if word.arg})
        return values

    def having(self, name: str, value: str | None) -> Candidate:
        """The candidate with another value for one argument, or without it."""
        return self.having_all({name: value})

    def having_all(self, changes: Mapping[str, str | None]) -> Candidate:
        """The candidate with other values for some arguments; None leaves one out."""
        values = {key: ast.unparse(item) for key, item in self.given().items()} | dict(changes)
        kinds = self.parameters()
        bare = [key for key in values if key in kinds and kinds[key].kind is _POSITIONAL]
        kept = {key: item for key, item in values.items() if item is not None}
        parts = [kept[key] for key in bare if key in kept]
        parts += [f"{key}={item}" for key, item in kept.items() if key not in bare]
        return self._rewritten(f"{ast.unparse(self.call.func)}({', '.join(parts)})")

    def _rewritten(self, call: str) -> Candidate:
        """The candidate with `call` in place of the one that failed."""
        whole = ast.unparse(ast.parse(self.candidate.constructor.strip(), mode="eval"))
        new = whole.replace(ast.unparse(self.call), call, 1)
        return replace(self.candidate, constructor=new)

    def takes_all(self) -> bool:
        """Whether it takes keywords that it does not name."""
        return any(p.kind is p.VAR_KEYWORD for p in self.parameters().values())

    def line(self) -> str:
        """The line of the constructor that failed, as far as it is known."""
        frame = self.frame()
        return frame.text if frame else ""

    def innermost(self) -> str:
        """The innermost line of the user's own code, perhaps in the constructor of a part."""
        lines = [frame.text for frame in self._frames if frame.users]
        return lines[-1] if lines else ""

    def frame(self) -> Frame | None:
        """The level of the stack in which the constructor of the model itself ran.

        That of its base where it hands on keywords that it does not name.
        """
        own = [f for f in self._frames if f.function == "__init__" and f.users]
        same = [f for f in own if f.variables.get("self") is own[0].variables.get("self")]
        return same[-1 if self.takes_all() else 0] if own else None


def refused(
    candidate: Candidate, error: BaseException, namespace: dict[str, object]
) -> Construction | None:
    """The call that a candidate is as a whole, None where it is something else."""
    parsed = tried(lambda: ast.parse(candidate.constructor.strip(), mode="eval").body).value
    if not isinstance(parsed, ast.Call):
        return None
    target = tried(evaluated, ast.unparse(parsed.func), namespace).value
    return Construction(candidate, parsed, target, error, namespace)


def whole_numbers(case: Construction) -> dict[str, int]:
    """The whole numbers among the arguments, defaults included."""
    values: dict[str, object] = {name: p.default for name, p in case.parameters().items()}
    values |= {n: v.value for n, v in case.given().items() if isinstance(v, ast.Constant)}
    return {name: value for name, value in values.items() if type(value) is int and value >= 0}


def mentioned(case: Construction) -> list[str]:
    """Parameters that the failing lines or the message name, those on the innermost line first."""
    known = (n for n, p in case.parameters().items() if p.kind not in VARIADIC)
    names = (*case.given(), *known)
    lines = (case.innermost(), f"{case.line()} {case.text}")
    found = [name for line in lines for name in names if re.search(rf"\b{name}\b", line)]
    return list(dict.fromkeys(found))


def suspects(case: Construction, kind: type) -> list[str]:
    """Arguments of a kind, which may have been wrong: those on the failing line if any are."""
    frame = case.frame()
    values = frame.variables if frame else {}
    given = [name for name in case.given() if isinstance(values.get(name), kind)]
    named = [name for name in mentioned(case) if name in given]
    return named or [name for name in _through_self(case) if name in given] or given


def _through_self(case: Construction) -> list[str]:
    """Parameters read as `self.name` on the failing line."""
    return re.findall(r"self\.(\w+)", case.line())
