"""The models of a file that no class of its describes: `model = nn.Sequential(…)` and the like."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradlint.discovery.construction.closing import close
from gradlint.discovery.construction.finishing import finished
from gradlint.discovery.construction.signatures import constructions
from gradlint.discovery.construction.uses import close_call
from gradlint.discovery.knowledge.frameworks import base_kind
from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.expressions import unwrapped
from gradlint.discovery.text.outline import Binding, Called, Scope
from gradlint.protocol.wire import BuiltFrom, Candidate

_DEEPEST = 4
_FACTORIES = (
    "pytorchcv.model_provider.",
    "segmentation_models_pytorch.",
    "timm.create_model",
    "torchvision.models.",
    "transformers.AutoModel",
)


@dataclass(frozen=True, slots=True, eq=False)
class Assembled:
    """The construction of a model and its name.

    `maker` is the expression that gives the finished model where the construction alone does not:
    the function that returns it, or the name of what was filled after it was made. `holder` is the
    class whose instances keep it as their `attribute`.
    """

    name: str
    call: ast.Call
    scope: Scope
    line: int
    maker: str = ""
    holder: str = ""
    attribute: str = ""

    def candidates(self, reading: Reading) -> Iterator[Candidate]:
        """The ways to build it: with the inputs of its calls first, usual values last."""
        for candidate in self._unfinished(reading):
            yield (
                candidate if self.maker or self.holder else finished(reading, self.call, candidate)
            )

    def _unfinished(self, reading: Reading) -> Iterator[Candidate]:
        built = Placed(self.call, self.scope, self.line)
        # Because what takes nothing is seldom whole: its keeper fills it, or changes its head.
        bare = self.holder and not self.call.args
        closed = None if self.maker or bare else close(reading.tracer, built)
        if closed is not None or self.maker:
            for called in reading.instance_calls.get(self.call, ()):
                if (candidate := close_call(reading, built, called, self.maker)) is not None:
                    yield candidate
                    break
        if self.maker:
            yield Candidate(self._made_from, self.maker)
        elif closed is not None:
            yield Candidate(BuiltFrom.USE_IN_FILE, closed.texts[0], None, closed.bindings)
        elif self.holder:
            yield from self._held(reading)
        elif guessed := close(reading.tracer, built, guess=True):
            yield Candidate(BuiltFrom.NAMES, guessed.texts[0], None, guessed.bindings)

    @property
    def _made_from(self) -> BuiltFrom:
        if self.maker.endswith("()"):
            return BuiltFrom.FACTORY
        return BuiltFrom.NAMES if self.maker.endswith(")") else BuiltFrom.USE_IN_FILE

    def _held(self, reading: Reading) -> Iterator[Candidate]:
        """What an instance of its class keeps, made as in the file, then with usual values."""
        for called in reading.outline.calls:
            if isinstance(called.node.func, ast.Name) and called.node.func.id == self.holder:
                made = Placed(called.node, called.scope, called.node.lineno)
                if (closed := close(reading.tracer, made)) is not None:
                    text = f"{closed.texts[0]}.{self.attribute}"
                    yield Candidate(BuiltFrom.USE_IN_FILE, text, None, closed.bindings)
        for construction in constructions(reading, self.holder):
            yield Candidate(BuiltFrom.NAMES, f"{construction.text}.{self.attribute}")


def assembled(reading: Reading) -> list[Assembled]:
    """All models outside the model classes, without the helpers that those call."""
    helpers = {
        reference
        for scope in reading.model_classes.values()
        for inner in scope.inward
        for reference in inner.references
    }
    trained = _trained(reading)
    found: list[Assembled] = []
    for scope in reading.outline.scopes:
        around = scope.class_around
        if around is not None and (around is not scope or around.name in reading.model_classes):
            continue
        if not helpers & {each.name for each in scope.outward}:
            for name, bound in scope.bindings.items():
                found += _bound(reading, name, bound, scope, trained)
            found += _returned(reading, scope)
    makers = [made for each in found if (made := _function(reading, each.call, each.scope))]
    return [each for each in found if not any(scope in makers for scope in each.scope.outward)]


def _trained(reading: Reading) -> Callable[[str, ast.Call], bool]:
    """Whether what a name is bound to is asked for its parameters.

    By its name only where nothing tells which of the values of this name is.
    """
    asked = {
        construction
        for construction, calls in reading.method_calls.items()
        if any(map(_asked, calls))
    }
    known = {holder.name for call in asked for holder in reading.holders.get(call, ())}
    named = {
        ast.unparse(owner)
        for called in reading.outline.calls
        if (owner := _asked(called)) is not None
    }
    return lambda name, call: call in asked or name in named - known


def _asked(called: Called) -> ast.expr | None:
    """What a call asks for its parameters, None where it does something else."""
    match called.node.func:
        case ast.Attribute(value=owner, attr="parameters"):
            return owner
        case _:
            return None


def _bound(
    reading: Reading,
    name: str,
    bound: list[Binding],
    scope: Scope,
    is_trained: Callable[[str, ast.Call], bool],
) -> Iterator[Assembled]:
    attribute = name.removeprefix("self.") if scope.is_class else ""
    qualified = ".".join(filter(None, (scope.name, attribute or name)))
    for binding in bound:
        call = unwrapped(binding.value, reading.imports) if binding.value is not None else None
        inside = binding.scope if attribute else scope
        if not isinstance(call, ast.Call):
            continue
        trained = is_trained(name, call)
        if attribute and not trained:
            continue
        if _is_model(reading, call, inside, trained=trained, finished=True):
            finished = not attribute and _is_finished_later(name, scope)
            if not (finished or trained or call.args):
                continue
            maker = _finished(name, scope) if finished else ""
            holder = scope.name if attribute else ""
            yield Assembled(qualified, call, inside, binding.line, maker, holder, attribute)


def _is_finished_later(name: str, scope: Scope) -> bool:
    """Whether a model is filled, or gets another part, after it was made."""
    if name in scope.mutated:
        return True
    targets = (target for node in scope.nodes(ast.Assign) for target in node.targets)
    return any(
        isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == name
        for target in targets
    )


def _finished(name: str, scope: Scope) -> str:
    """How what a name was bound to is had when it is finished, "" where that cannot be."""
    if scope.is_module:
        return name
    gives = any(isinstance(value, ast.Name) and value.id == name for value in scope.returns)
    return _calling(scope) if gives else ""


def _returned(reading: Reading, scope: Scope) -> Iterator[Assembled]:
    """`def make(): return nn.Sequential(…)`, where the function needs no arguments."""
    making = _calling(scope)
    for value in scope.returns if making else ():
        call = unwrapped(value, reading.imports)
        if isinstance(call, ast.Call) and _is_model(reading, call, scope, trained=False):
            yield Assembled(scope.name, call, scope, value.lineno, making)


def _calling(scope: Scope) -> str:
    """How a function at the top level is called, "" where it needs arguments.

    A trial of a search for hyperparameters is to be had.
    """
    if scope.function is None or scope.parent is None or not scope.parent.is_module:
        return ""
    arguments = scope.function.args
    if [item.arg for item in arguments.args] == ["trial"] and not arguments.defaults:
        return f"{scope.name}({conventional('trial')})"
    return f"{scope.name}()" if scope.needs_nothing else ""


def _is_model(
    reading: Reading,
    call: ast.Call,
    scope: Scope,
    *,
    trained: bool,
    finished: bool = False,
    depth: int = 0,
) -> bool:
    """Whether a construction is a model: a filled Sequential, or what an optimizer is given."""
    name = reading.imports.qualified(call.func)
    if name == "torch.nn.Sequential":
        return bool(call.args) or finished
    if not trained:
        return False
    function = _function(reading, call, scope)
    if function is not None:
        return depth < _DEEPEST and _makes_model(reading, function, depth + 1)
    if name.startswith(_FACTORIES):
        return True
    return base_kind(name).has_forward and name.rpartition(".")[2][:1].isupper()


def _function(reading: Reading, call: ast.Call, scope: Scope) -> Scope | None:
    """The function of the file that a call gives arguments, or the method of the same object."""
    match call.func:
        case ast.Name(id=name) if call.args or call.keywords:
            return reading.functions.get(name)
        case ast.Attribute(value=ast.Name(id="self"), attr=name) if around := scope.class_around:
            return around.method(name)
        case _:
            return None


def _makes_model(reading: Reading, function: Scope, depth: int) -> bool:
    """Whether a function returns a model that is of no class of the file."""
    for value in function.returns:
        for origin in reading.tracer.origins(Placed(value, function, value.lineno)):
            call = origin.expression
            if isinstance(call, ast.Call) and not reading.called_class(call, origin.scope):
                where = origin.scope
                return _is_model(reading, call, where, trained=True, finished=True, depth=depth)
    return False
