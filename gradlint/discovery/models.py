"""The models of a file: classes, and expressions such as `model = nn.Sequential(…)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gradlint.discovery.bindings import Placed
from gradlint.discovery.candidates import Candidates
from gradlint.discovery.closing import close
from gradlint.discovery.expressions import free_names, unwrapped
from gradlint.discovery.frameworks import base_kind
from gradlint.discovery.outline import Binding, Scope
from gradlint.discovery.reading import Reading
from gradlint.discovery.source import Source
from gradlint.discovery.structure import direct_builds, roots
from gradlint.discovery.uses import close_call
from gradlint.program import ModelDefinition
from gradlint.protocol.span import Span
from gradlint.protocol.wire import BuiltFrom, Candidate

_FACTORIES = (
    "pytorchcv.model_provider.",
    "segmentation_models_pytorch.",
    "timm.create_model",
    "torchvision.models.",
    "transformers.AutoModel",
)


@dataclass(frozen=True, slots=True)
class Models:
    """The models in source order; `of_expression` names the one that an expression makes."""

    definitions: tuple[ModelDefinition, ...]
    of_expression: Mapping[ast.Call, str]


def read_models(reading: Reading) -> Models:
    """All models of a file with the ways to build them."""
    expressions = _without_makers(reading, list(_expressions(reading)))
    definitions = [
        definition
        for expression in expressions
        if (definition := _of_expression(reading, expression)) is not None
    ]
    definitions += _of_classes(reading, expressions)
    definitions.sort(key=lambda definition: definition.span)
    named = {expression.call: expression.name for expression in expressions}
    return Models(tuple(_distinct(definitions)), named)


@dataclass(frozen=True, slots=True, eq=False)
class _Expression:
    """A construction outside any class and its name; `returned` by a function of that name."""

    name: str
    call: ast.Call
    scope: Scope
    line: int
    returned: bool = False


def _of_classes(reading: Reading, expressions: list[_Expression]) -> Iterator[ModelDefinition]:
    if not reading.model_classes:
        return
    builds = direct_builds(reading)
    in_expressions = frozenset(
        part for expression in expressions for part in _parts(reading, expression)
    )
    found = roots(reading, builds, in_expressions)
    candidates = Candidates(reading)
    for name, scope in reading.model_classes.items():
        assert isinstance(scope.node, ast.ClassDef)
        yield ModelDefinition(
            name,
            header(scope.node, reading.source),
            scope.node.end_lineno or scope.node.lineno,
            name in found,
            tuple(sorted(builds[name] - {name})),
            candidates.of(name, root=name in found),
        )


def _of_expression(reading: Reading, expression: _Expression) -> ModelDefinition | None:
    candidates = tuple(_candidates(reading, expression))
    function = expression.scope.function
    if not candidates and function is not None and len(function.args.args) > 0:
        return None  # Because a function that assembles layers from its arguments is a helper.
    span = reading.source.span(expression.call)
    parts = tuple(sorted(set(_parts(reading, expression))))
    return ModelDefinition(expression.name, span, span.end_line, True, parts, candidates)


def _candidates(reading: Reading, expression: _Expression) -> Iterator[Candidate]:
    if expression.returned:
        yield Candidate(BuiltFrom.FACTORY, f"{expression.name}()")
        return
    built = Placed(expression.call, expression.scope, expression.line)
    closed = close(reading.tracer, built)
    if closed is not None:
        for called in reading.instance_calls.get(expression.call, ()):
            if (candidate := close_call(reading, built, called)) is not None:
                yield candidate
                break
        yield Candidate(BuiltFrom.USE_IN_FILE, closed.texts[0], None, closed.bindings)
        return
    guessed = close(reading.tracer, built, guess=True)
    if guessed is not None:
        yield Candidate(BuiltFrom.NAMES, guessed.texts[0], None, guessed.bindings)


def _expressions(reading: Reading) -> Iterator[_Expression]:
    """Constructions of models outside classes and outside the helpers that classes call."""
    helpers = {
        reference
        for scope in reading.model_classes.values()
        for inner in scope.inward
        for reference in inner.references
    }
    trained = {
        called.node.func.value.id
        for called in reading.outline.calls
        if isinstance(called.node.func, ast.Attribute)
        and called.node.func.attr == "parameters"
        and isinstance(called.node.func.value, ast.Name)
    }
    for scope in reading.outline.scopes:
        if scope.class_around is None and not helpers & {s.name for s in scope.outward}:
            for name, bound in scope.bindings.items():
                yield from _bound(reading, name, bound, scope, name in trained)
            yield from _returned(reading, scope)


def _without_makers(reading: Reading, expressions: list[_Expression]) -> list[_Expression]:
    """Without what stands in a function whose call is a model itself, with what it is given."""
    makers = [
        made
        for expression in expressions
        if (made := _function(reading, expression.call)) is not None
    ]
    return [each for each in expressions if not any(s in makers for s in each.scope.outward)]


def _function(reading: Reading, call: ast.Call) -> Scope | None:
    """The function of the file that a call runs."""
    return reading.functions.get(call.func.id) if isinstance(call.func, ast.Name) else None


def _bound(
    reading: Reading, name: str, bound: list[Binding], scope: Scope, trained: bool
) -> Iterator[_Expression]:
    qualified = f"{scope.name}.{name}" if scope.name else name
    for binding in bound:
        if binding.value is not None:
            call = unwrapped(binding.value, reading.imports)
            if isinstance(call, ast.Call) and _is_model(reading, call, trained):
                yield _Expression(qualified, call, scope, binding.line)


def _returned(reading: Reading, scope: Scope) -> Iterator[_Expression]:
    """`def make(): return nn.Sequential(…)`, where the function needs no arguments."""
    function = scope.function
    if function is None or scope.parent is None or not scope.parent.is_module:
        return
    if len(function.args.args) > len(function.args.defaults):
        return
    for value in scope.returns:
        call = unwrapped(value, reading.imports)
        if isinstance(call, ast.Call) and _is_model(reading, call, trained=False):
            yield _Expression(scope.name, call, scope, value.lineno, returned=True)


def _is_model(reading: Reading, call: ast.Call, trained: bool) -> bool:
    """Whether a construction is a model: a filled Sequential, or what an optimizer is given."""
    name = reading.imports.qualified(call.func)
    if name == "torch.nn.Sequential":
        return bool(call.args)
    if not trained:
        return False
    function = _function(reading, call)
    if function is not None and (call.args or call.keywords):
        return _makes_model(reading, function)
    if name.startswith(_FACTORIES):
        return True
    return base_kind(name).has_forward and name.rpartition(".")[2][:1].isupper()


def _makes_model(reading: Reading, function: Scope) -> bool:
    """Whether a function puts together and returns a model that is of no class of the file."""
    for value in function.returns:
        for origin in reading.tracer.origins(Placed(value, function, value.lineno)):
            call = origin.expression
            if isinstance(call, ast.Call) and not reading.called_class(call, origin.scope):
                return _is_model(reading, call, trained=True)
    return False


def _parts(reading: Reading, expression: _Expression) -> Iterator[str]:
    for name in free_names(expression.call):
        found = reading.local_class(name, expression.scope)
        if found:
            yield found


def _distinct(definitions: list[ModelDefinition]) -> Iterator[ModelDefinition]:
    """The definitions under names of their own: one that was taken gets its line, `model@42`."""
    taken: set[str] = set()
    for definition in definitions:
        name = definition.name
        if name in taken:
            name = f"{name}@{definition.span.line}"
        taken.add(name)
        yield replace(definition, name=name)


def header(node: ast.ClassDef, source: Source) -> Span:
    """The stretch from `class` to the colon that ends the header, without it and decorators."""
    start = source.span(node)
    items = [*node.bases, *(word.value for word in node.keywords)]
    ends = [(end.end_line, end.end_column) for end in map(source.span, items)]
    line, column = max([(start.line, start.column), *ends])
    for number in range(line, node.body[0].lineno + 1):
        text = source.lines[number - 1].partition("#")[0]
        colon = text.find(":", column - 1 if number == line else 0)
        if colon >= 0:
            return replace(start, end_line=number, end_column=colon + 1)
    return replace(start, end_line=0, end_column=0)
