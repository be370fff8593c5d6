"""The ways to build each model of a file, in the order in which the worker is to try them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from gradlint.discovery.construction.elsewhere import elsewhere, finished_elsewhere
from gradlint.discovery.construction.examples import examples
from gradlint.discovery.construction.factories import alternatives, factories
from gradlint.discovery.construction.instantiated import instantiated
from gradlint.discovery.construction.makers import makers
from gradlint.discovery.construction.parameters import required_parameters
from gradlint.discovery.construction.signatures import constructions
from gradlint.discovery.construction.tables import rows
from gradlint.discovery.construction.tabulated import tabulated
from gradlint.discovery.construction.uses import Uses, read_uses
from gradlint.discovery.knowledge.frameworks import Base, base_kind
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Scope
from gradlint.protocol.wire import BuiltFrom, Candidate

_MOST = 10
_FROM_EXAMPLE = 2
"""Constructors that are tried with the inputs which the model itself offers."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates for all models of one file; what they share is computed once."""

    reading: Reading

    @cached_property
    def _uses(self) -> Uses:
        return read_uses(self.reading)

    @cached_property
    def _factories(self) -> dict[str, tuple[Candidate, ...]]:
        return factories(self.reading)

    def of(self, name: str, *, root: bool) -> tuple[Candidate, ...]:
        """The candidates for a model class, best first; () where nothing says how to build it."""
        reading = self.reading
        if _is_hidden(reading.model_classes[name]):
            return self._factories.get(name, ())
        uses = self._uses.candidates(reading, name)
        sure = tuple(use for use in uses if not _is_guessed(use))
        others = (
            *sure,
            *examples(reading, name),
            *uses[len(sure) :],
            *self._factories.get(name, ()),
            *rows(reading, name),
        )
        configured = tuple(_by_config_class(reading, name))
        if not configured and all(map(_is_guessed, others)):
            needs = required_parameters(reading, name)
            further = chain.from_iterable(way(reading, name) for way in _ABROAD if needs)
            abroad = (*elsewhere(reading, name), *further)
            others = tuple(sorted((*others, *abroad), key=_is_guessed))
        building = (
            *configured,
            *others,
            *_by_signature(reading, name),
            *alternatives(reading, name),
            *self._uses.of_heirs(reading, name),
        )
        found = (
            *(self._by_get_inputs(name, building) if root else ()),
            *_by_example(reading, name, building),
            *building,
        )
        distinct = tuple(_distinct(found))[:_MOST]
        return finished_elsewhere(reading, name, distinct) if root else distinct

    def _by_get_inputs(self, name: str, building: tuple[Candidate, ...]) -> Iterator[Candidate]:
        functions = self.reading.functions
        drawing, init = functions.get("get_inputs"), functions.get("get_init_inputs")
        inputs = ("*get_inputs()",) if drawing is not None and drawing.needs_nothing else None
        if init is not None and init.needs_nothing:
            constructor = f"{name}({_init_arguments(init)})"
            yield Candidate(BuiltFrom.GET_INPUTS, constructor, inputs)
        elif inputs is not None:
            for candidate in building[:1]:
                yield replace(candidate, built_from=BuiltFrom.GET_INPUTS, inputs=inputs)


_ABROAD = (makers, instantiated, tabulated)
"""Where else the project says what a model is made with, if its defaults do not."""


def _is_guessed(candidate: Candidate) -> bool:
    return candidate.built_from is BuiltFrom.NAMES


def _distinct(candidates: tuple[Candidate, ...]) -> Iterator[Candidate]:
    """The candidates without those that an earlier one already tries in the same way."""
    seen: set[Candidate] = set()
    for candidate in candidates:
        bare = replace(candidate, built_from=BuiltFrom.DEFAULTS)
        if bare not in seen:
            seen.add(bare)
            yield candidate


def _is_hidden(scope: Scope) -> bool:
    """Whether a class stands in a function or the main block, where its name cannot be reached."""
    return any(around.function is not None or around.place.main for around in scope.outward)


def _init_arguments(init: Scope) -> str:
    """How `get_init_inputs` is spread: it returns arguments, or a pair with keywords."""
    for value in init.returns:
        match value:
            case (
                ast.List(elts=[ast.List() | ast.Tuple(), ast.Dict()])
                | ast.Tuple(elts=[ast.List() | ast.Tuple(), ast.Dict()])
            ):
                return "*get_init_inputs()[0], **get_init_inputs()[1]"
            case ast.Dict():
                return "**get_init_inputs()"
    return "*get_init_inputs()"


def _by_example(
    reading: Reading, name: str, building: tuple[Candidate, ...]
) -> Iterator[Candidate]:
    """Inputs that the model itself offers."""
    lineage = reading.lineages[name]
    scope = reading.model_classes[name]
    inputs = None
    if lineage.defines("example_input_array"):
        inputs = _example_inputs(scope)
    elif "dummy_inputs" in reading.module.classes[name].methods:
        inputs = ("**self.dummy_inputs",)
    for candidate in building[:_FROM_EXAMPLE] if inputs else ():
        yield replace(candidate, built_from=BuiltFrom.EXAMPLE_INPUT, inputs=inputs)


def _example_inputs(scope: Scope) -> tuple[str, ...]:
    """Lightning spreads a tuple over forward's arguments, a dictionary over its keywords."""
    bound = scope.bindings.get("self.example_input_array") or scope.bindings.get(
        "example_input_array"
    )
    match bound[-1].value if bound else None:
        case ast.Tuple():
            return ("*self.example_input_array",)
        case ast.Dict():
            return ("**self.example_input_array",)
        case _:
            return ("self.example_input_array",)


def _by_config_class(reading: Reading, name: str) -> Iterator[Candidate]:
    """A Hugging Face model from its configuration's defaults.

    `config_class` may be set by the base class when the subclass is made, so it need not be in
    sight.
    """
    lineage = reading.lineages[name]
    if not lineage.defines("config_class") and not any(
        base.startswith("transformers.") or base_kind(base) is Base.PRETRAINED
        for base in lineage.opaque
    ):
        return
    required = required_parameters(reading, name)
    if required is None or len(required) == 1:
        for construction in constructions(reading, name) if required else ():
            if not construction.guessed:
                yield Candidate(BuiltFrom.EXAMPLE_INPUT, construction.text)
        yield Candidate(BuiltFrom.EXAMPLE_INPUT, f"{name}({name}.config_class())")


def _by_signature(reading: Reading, name: str) -> Iterator[Candidate]:
    for construction in constructions(reading, name):
        source = BuiltFrom.NAMES if construction.guessed else BuiltFrom.DEFAULTS
        yield Candidate(source, construction.text)
