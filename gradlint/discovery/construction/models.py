"""The models of a file: classes, and expressions such as `model = nn.Sequential(…)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gradlint.discovery.construction.assembled import Assembled, assembled
from gradlint.discovery.construction.candidates import Candidates
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.project.structure import direct_builds, roots
from gradlint.discovery.text.expressions import free_names
from gradlint.discovery.text.source import Source
from gradlint.program import ModelDefinition
from gradlint.protocol.span import Span


@dataclass(frozen=True, slots=True)
class Models:
    """The models in source order; `of_expression` names the one that an expression makes."""

    definitions: tuple[ModelDefinition, ...]
    of_expression: Mapping[ast.Call, str]


def read_models(reading: Reading) -> Models:
    """All models of a file with the ways to build them."""
    expressions = assembled(reading)
    definitions = [
        definition
        for expression in expressions
        if (definition := _of_expression(reading, expression)) is not None
    ]
    definitions += _of_classes(reading, expressions)
    definitions.sort(key=lambda definition: definition.span)
    named = {expression.call: expression.name for expression in expressions}
    return Models(tuple(_distinct(definitions)), named)


def _of_classes(reading: Reading, expressions: list[Assembled]) -> Iterator[ModelDefinition]:
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


def _of_expression(reading: Reading, expression: Assembled) -> ModelDefinition | None:
    candidates = tuple(expression.candidates(reading))
    function = expression.scope.function
    if not candidates and function is not None and len(function.args.args) > 0:
        return None  # Because a function that assembles layers from its arguments is a helper.
    span = reading.source.span(expression.call)
    parts = tuple(sorted(set(_parts(reading, expression))))
    return ModelDefinition(expression.name, span, span.end_line, True, parts, candidates)


def _parts(reading: Reading, expression: Assembled) -> Iterator[str]:
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
