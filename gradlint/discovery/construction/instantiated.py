"""Settings files that name the class of a model beside its arguments, as Hydra instantiates it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gradlint.discovery.construction.parameters import all_parameters
from gradlint.discovery.construction.signatures import Filling
from gradlint.discovery.construction.tabulated import beside, code_lines
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.imports import may_mean
from gradlint.protocol.wire import BuiltFrom, Candidate

_TARGET = re.compile(r"( *)_target_ *: *['\"]?([\w.]+)")


def instantiated(reading: Reading, name: str) -> Iterator[Candidate]:
    """The constructions of a model class that the settings files of the project describe.

    What they leave to another file has the value that is usual for its parameter; `built_from`
    says so.
    """
    known = {parameter.name for parameter in all_parameters(reading, name)}
    for path, text in reading.project.texts.items():
        if path.suffix in (".yaml", ".yml") and "_target_" in text:
            for given in _described(text, name, reading):
                texts = {key: value for key, value in given.items() if key in known}
                usual = Filling(reading, name, 0).lacking(texts) if texts else None
                if usual is not None:
                    words = ", ".join(f"{key}={value}" for key, value in (texts | usual).items())
                    source = BuiltFrom.NAMES if usual else BuiltFrom.USE_IN_PROJECT
                    yield Candidate(source, f"{name}({words})")


def _described(text: str, name: str, reading: Reading) -> Iterator[Mapping[str, str]]:
    """The arguments beside each `_target_` of a settings file that leads to the class."""
    lines = code_lines(text)
    for number, line in enumerate(lines):
        found = _TARGET.match(line)
        module, _, last = found[2].rpartition(".") if found else ("", "", "")
        if found and last == name and may_mean(module, reading.source.path):
            yield dict(beside(lines, number, len(found[1])))
