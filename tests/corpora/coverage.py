"""How many model classes a sweep covered, and why the others were not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from gradlint.discovery import discover
from gradlint.program import Program
from gradlint.report import ModelStatus
from tests.corpora.results import Model, Outcome
from tests.corpora.table import Row, aligned, alike

_MISSING = re.compile(
    r"No module named '(\w+)|cannot import name '\w+' from '(\w+)|requires the (\w+) library|"
    r"(?:Import|ModuleNotFound)Error: .*requires '([\w-]+)|"
    r"Could not run '(\w+::\w+)'|operator (\w+::\w+) does not exist|"
    r"Couldn't load (custom C\+\+ ops)|"
    r"Cannot reach https://(huggingface\.co)/|instantiate the backend (tokenizer) from"
)


class Share(Enum):
    """What became of a model class; `NO_MODEL` has nothing to train."""

    PROBED = "probed"
    PREDICTED = "predicted"
    APART = "set apart"
    MISSED = "not covered"
    NO_MODEL = "no model"


_TITLES = ("covered without hints", "classes", *(share.value for share in Share), "covered")


@dataclass(frozen=True, slots=True)
class Coverage:
    """The classes of some packages, either all or only roots: those that no other class builds."""

    name: str
    models: tuple[Model, ...]

    @staticmethod
    def of(rows: Sequence[Row], name: str, *, roots: bool = False) -> Coverage:
        """The coverage of all classes in `rows`, or of their roots."""
        models = (m for row in rows for outcome in row.outcomes for m in outcome.models)
        return Coverage(name, tuple(m for m in models if m.root or not roots))

    def cells(self) -> tuple[str, ...]:
        """The counts as texts, in the order of the titles."""
        counts = Counter(share_of(model) for model in self.models)
        covered = counts[Share.PROBED] + counts[Share.PREDICTED]
        wanted = covered + counts[Share.MISSED]
        share = f"{covered / wanted:.1%}" if wanted else "-"
        numbers = (str(counts[share]) for share in Share)
        return (self.name, str(len(self.models)), *numbers, share)


def with_roots(outcome: Outcome, root: Path) -> Outcome:
    """The outcome of linting a file below `root`, its models marked that no other class builds."""
    program = discover(root / outcome.path, outcome.path, root)
    models = program.models if isinstance(program, Program) else ()
    roots = {model.name for model in models if model.root}
    return replace(outcome, models=tuple(replace(m, root=m.name in roots) for m in outcome.models))


def share_of(model: Model) -> Share:
    """What became of one model class."""
    match model.status:
        case ModelStatus.PROBED.value:
            return Share.PROBED
        case ModelStatus.TRACED.value:
            return Share.PREDICTED
        case ModelStatus.NOT_RUN.value:
            return Share.NO_MODEL
        case _:
            return Share.APART if _lacking(model) else Share.MISSED


def _lacking(model: Model) -> str:
    """What is missing without which nothing could cover the model, "" where that is nothing."""
    if missing := missing_package(model.reason):
        return missing
    return f"a program that runs by itself: {alike(model.refused)}" if model.refused else ""


def missing_package(reason: str) -> str:
    """The package, its operator or what was published that is not here, "" for another reason."""
    found = _MISSING.search(reason)
    return next(filter(None, found.groups()), "") if found else ""


def coverage_table(rows: Sequence[Row]) -> str:
    """Roots of each package, then the totals of roots and of all classes."""
    each = [Coverage.of([row], row.package, roots=True) for row in rows]
    totals = (Coverage.of(rows, "all roots", roots=True), Coverage.of(rows, "all classes"))
    return aligned([_TITLES, *(coverage.cells() for coverage in (*each, *totals))])


def missing_packages(rows: Iterable[Row]) -> Counter[str]:
    """How many classes were set apart for each thing that is missing here."""
    found = (_lacking(m) for m in _models(rows) if share_of(m) is Share.APART)
    return Counter(found)


def reasons_missed(rows: Iterable[Row]) -> Counter[str]:
    """Why classes are not covered, without the places, names and numbers that vary."""
    missed = (model for model in _models(rows) if share_of(model) is Share.MISSED)
    return Counter(alike(f"{model.status}: {model.reason}") for model in missed)


def _models(rows: Iterable[Row]) -> Iterator[Model]:
    for row in rows:
        for outcome in row.outcomes:
            yield from outcome.models
