"""What every format shows: which findings, which models, and text without control characters."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

from gradlint.judging.evidence import Severity, Verdict
from gradlint.report import Finding, ModelStatus, ModelSummary, Report

T = TypeVar("T")

_WHITESPACE = dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " ")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNENCODABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")
_MISSING = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")


@dataclass(frozen=True, slots=True)
class Style:
    """How a report for people looks: escape codes for colour, block characters, and how much."""

    color: bool = False
    unicode: bool = True
    show_all: bool = False
    statistics: bool = False


def stands(finding: Finding) -> bool:
    """Whether the finding is shown unasked: proven, or predicted where no probe ran."""
    proven = finding.verdict in (Verdict.CONFIRMED, Verdict.PREDICTED)
    return proven and not finding.suppressed


def shown(report: Report, *, show_all: bool) -> tuple[Finding, ...]:
    """The findings that a report for people shows."""
    return tuple(finding for finding in report.findings if show_all or stands(finding))


def fails(report: Report, fail_on: Severity) -> bool:
    """Whether a file could not be linted or a confirmed finding is at least as bad as `fail_on`."""
    return any(not file.linted for file in report.files) or any(
        finding.verdict is Verdict.CONFIRMED
        and not finding.suppressed
        and finding.severity.rank >= fail_on.rank
        for finding in report.findings
    )


def roots(report: Report) -> tuple[ModelSummary, ...]:
    """The models that were to be probed by themselves, not as part of another."""
    return tuple(model for model in report.models if not model.covered_by)


def unprobed(report: Report) -> tuple[ModelSummary, ...]:
    """The roots that no probe measured."""
    return tuple(model for model in roots(report) if model.status is not ModelStatus.PROBED)


def built(model: ModelSummary) -> str:
    """How the model came to be and to run; invented values are said to be gradlint's own."""
    run = f", run by its {model.method}" if model.method != "forward" else ""
    if not model.invented:
        return f"built from {model.built_from}{run}"
    where = f" where {', '.join(model.assumed)}" if model.assumed else ""
    return f"built on invented values: {model.constructor}{where}{run}"


def missing_arguments(model: ModelSummary) -> tuple[str, ...]:
    """The constructor arguments for the lack of which the model was not built."""
    found = _MISSING.search(model.reason) if model.status is ModelStatus.NOT_BUILT else None
    return tuple(re.findall(r"'(\w+)'", found[1])) if found else ()


def cleaned(value: T) -> T:
    """`value` with no control character in any text of it: they break terminals and XML.

    What separates lines or columns becomes one space, so that columns keep their places.
    """
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return cast(T, value if value.isprintable() else _clean(value))
    if isinstance(value, tuple):
        return cast(T, tuple(cleaned(item) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: cleaned(getattr(value, f.name)) for f in fields(value)})
    return value


def _clean(text: str) -> str:
    text = _CONTROLS.sub("", text.translate(_WHITESPACE))
    return _UNENCODABLE.sub("\ufffd", text)


def rebased(value: T, paths: dict[str, str]) -> T:
    """`value` with the path of each span, file and finding replaced as `paths` says."""
    if isinstance(value, tuple):
        return cast(T, tuple(rebased(item, paths) for item in value))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: rebased(getattr(value, f.name), paths) for f in fields(value)}
        if "path" in changed:
            changed["path"] = paths.get(changed["path"], changed["path"])
        return replace(value, **changed)
    return value
