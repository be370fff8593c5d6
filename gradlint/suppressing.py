"""Which findings the comments of a file allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gradlint.judging.evidence import Severity, Verdict
from gradlint.loader import rules
from gradlint.program import Suppression
from gradlint.report import Finding
from gradlint.settings.toml import nearest


def suppressed(
    found: Sequence[Finding],
    suppressions: Sequence[Suppression],
    *,
    say_unused: bool,
    looked_for: Callable[[str], bool] = lambda rule: True,
) -> tuple[Finding, ...]:
    """The findings in the order of lines, those that a comment allows marked.

    With `say_unused`, comments that allow nothing are findings as well, if all the rules that they
    name were `looked_for`.
    """
    by = {finding: _suppression(finding, suppressions) for finding in found}
    used = {s for finding, s in by.items() if s and finding.verdict is not Verdict.REFUTED}
    marked = [
        replace(finding, suppressed=True, suppression_reason=s.reason)
        if s in used and s
        else finding
        for finding, s in by.items()
    ]
    if say_unused:
        marked += [
            _unused(item)
            for item in suppressions
            if item not in used and all(map(looked_for, item.rules))
        ]
    return tuple(sorted(marked, key=lambda finding: (finding.span, finding.rule, finding.model)))


def _suppression(finding: Finding, suppressions: Sequence[Suppression]) -> Suppression | None:
    here = (s for s in suppressions if s.covers(finding.rule, finding.span.line))
    return next(here, None)


def _spelt(rule: str) -> str:
    """A rule as it is written in a comment, and as it may have been meant."""
    known = [other.name() for other in rules()]
    return rule if rule in known else f"{rule} (there is no such rule{nearest(rule, known)})"


def _unused(suppression: Suppression) -> Finding:
    named = ", ".join(map(_spelt, suppression.rules)) or "every rule"
    return Finding(
        rule="unused-suppression",
        family="suppression",
        severity=Severity.NOTE,
        span=suppression.span,
        model="",
        layer="",
        message=f"nothing here needs to be suppressed for {named}",
        verdict=Verdict.CONFIRMED,
    )
