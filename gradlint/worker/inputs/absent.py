"""Arguments of `forward` that were left out: the None that they are, followed through the calls."""

from __future__ import annotations

import ast
import itertools
import linecache
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from gradlint.worker.inputs.case import Case
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import Argument, Guess, argument_for
from gradlint.worker.inputs.layers import is_of_keys
from gradlint.worker.inputs.role import Role
from gradlint.worker.inputs.roles import ideas_for
from gradlint.worker.inputs.specs import Constant, Normal, Spec
from gradlint.worker.running.attempt import Frame, tried

_IDEAS = 4
_ABOVE = 20  # lines


def absent(case: Case) -> Iterator[Guess]:
    """None where a value is needed: the optional argument that it is, by whatever name it came.

    What it is tell the layers behind it where it was met, then its own name.
    """
    users = [frame for frame in case.failure.frames if frame.users]
    spoken = re.search(r"None|'bool' object has no attribute", case.failure.text)
    missing = nones(users, case.facts.model) if spoken else {}
    for name, met in missing.items():
        made_of = case.forward.assigned_from(name), case.forward.assigned_given(name)
        for own in (name, *itertools.chain(*made_of)):
            if _is_left_out(case, own):
                argument = argument_for(case.facts, case.forward, own, len(case.guess.arguments))
                ideas = (*_ideas_where_met(users[-1], met), argument.spec, *argument.others)
                yield from _given(case, argument, ideas[:_IDEAS])


def turned_off(case: Case) -> Iterator[Guess]:
    """For what was left out, `forward` went another way than in training, as to generate freely."""
    own = next((frame for frame in case.failure.frames if frame.users), None)
    if own is None or own.variables.get("self") is not case.facts.model:
        return
    for name in case.forward.missed_at(own.text):
        if _is_left_out(case, name):
            argument = argument_for(case.facts, case.forward, name, len(case.guess.arguments))
            yield from _given(case, argument, (argument.spec, *argument.others)[:_IDEAS])


_CONDITION = re.compile(r"enc(oder|oded)?_\w+|context\w*|memory|cond\w*|(text|image|prompt)_?\w*")


def conditioned_on(case: Case) -> Iterator[Guess]:
    """Keys are made of what an encoder gave, which was left out, so that attention met itself."""
    layer = next(iter(case.failure.modules()), None)
    if not isinstance(layer, nn.Linear) or not is_of_keys(case.facts, layer):
        return
    users = [frame for frame in case.failure.frames if frame.users]
    names = [nones(users[:depth], case.facts.model) for depth in range(len(users), 0, -1)]
    for name in dict.fromkeys(itertools.chain(*names)):
        if _CONDITION.fullmatch(name) and _is_left_out(case, name):
            argument = argument_for(case.facts, case.forward, name, len(case.guess.arguments))
            yield from _given(case, argument, (Normal(("batch", "source", layer.in_features)),))


def _is_left_out(case: Case, name: str) -> bool:
    return name in case.forward.optional and case.guess.spec(name) is None


def _given(case: Case, argument: Argument, ideas: Sequence[Spec]) -> Iterator[Guess]:
    """The guess with one more argument, after each of these ideas but None."""
    for spec in dict.fromkeys(idea for idea in ideas if idea != Constant(None)):
        yield case.guess.adding(replace(argument, spec=spec, keyword=True))


def _ideas_where_met(frame: Frame, name: str) -> tuple[Spec, ...]:
    """What a parameter of the part is that met it, by the layer that takes it there."""
    part = frame.variables.get("self")
    if not isinstance(part, nn.Module) or name not in frame.parameters:
        return ()
    role = Role(Facts(part), Forward.of(part), name, 1)
    return ideas_for(role.facts, role.forward, name, 1)[:1] if role.consumer() is not None else ()


def nones(frames: Sequence[Frame], model: nn.Module) -> dict[str, str]:
    """The parameters of the model's own method that are None where the innermost frame reads them.

    By their names there, those that the line knows them by. A frame is of the model if its `self`
    is; `frames` are given outermost first.
    """
    inner = frames[-1] if frames else Frame("", "", "", {})
    words = dict.fromkeys(_read(inner.text))
    compared = [word for word in words if inner.variables.get(word) is False]
    words |= dict.fromkeys(itertools.chain(*(_compared(inner, word) for word in compared)))
    followed = {
        word: _followed(frames, model, word)
        for word in words
        if inner.variables.get(word, 0) is None
    }
    return {name: word for word, name in followed.items() if name is not None}


def _read(statement: str) -> list[str]:
    """The names in a line but for what it assigns to."""
    return re.findall(r"[A-Za-z_]\w*", re.sub(r"^\w+ = ", "", statement))


def _compared(frame: Frame, name: str) -> list[str]:
    """The names in the statement above a frame's line that compared something for a variable.

    Because nothing equals None, as in `mask = tokens == self.image_token` without tokens.
    """
    for number in range(frame.line - 1, max(frame.line - _ABOVE, 0), -1):
        line = linecache.getline(frame.file, number).strip()
        if line.startswith(f"{name} = ") and "==" in line:
            return _read(line)
    return []


def _followed(frames: Sequence[Frame], model: nn.Module, name: str) -> str | None:
    """The name of a variable of the innermost frame in the model's own method, if it is passed."""
    current: str | None = name
    for caller, callee in zip(reversed(frames[:-1]), reversed(frames), strict=False):
        if callee.variables.get("self") is model or current is None:
            break
        current = _argument(caller, callee, current)
    return current


def _argument(caller: Frame, callee: Frame, name: str) -> str | None:
    """The variable of the caller that it passes for a parameter, None where it passes no variable.

    A wrapper that passes on all that it was given hands on the same name.
    """
    if name not in callee.parameters:
        return name if name not in callee.variables else None
    place = callee.parameters.index(name) - ("self" in callee.parameters[:1])
    for call in _calls(caller.text):
        if any(word.arg is None for word in call.keywords):
            return name
        keyed = (word.value for word in call.keywords if word.arg == name)
        value = next(keyed, call.args[place] if place < len(call.args) else None)
        if isinstance(value, ast.Name) and caller.variables.get(value.id, 0) is None:
            return value.id
    return None


def _calls(text: str) -> list[ast.Call]:
    """The calls in a line, whose statement may go on below it."""
    parsed = tried(lambda: ast.parse(text if not text.endswith(":") else f"{text} pass"))
    tree = parsed.value if isinstance(parsed.value, ast.AST) else ast.Module([], [])
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
