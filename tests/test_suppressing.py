"""What comments allow, and which comments allow nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradlint.judging.evidence import Verdict
from gradlint.program import Suppression
from gradlint.protocol.span import Span
from gradlint.suppressing import suppressed
from tests.reporters import reports

FINDING = reports.finding(notes=())
LINE = FINDING.span.line


def comment(*rules: str, line: int = LINE) -> Suppression:
    return Suppression(Span("model.py", line, 40), rules, "meant", line, line)


def test_a_finding_that_a_comment_allows_is_marked_with_the_reason() -> None:
    [found] = suppressed([FINDING], [comment(FINDING.rule)], say_unused=True)
    assert (found.suppressed, found.suppression_reason) == (True, "meant")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(comment("gan-loss"), id="another rule"),
        pytest.param(comment(FINDING.rule, line=LINE + 1), id="another line"),
    ],
)
def test_a_comment_allows_nothing_else(other: Suppression) -> None:
    found = suppressed([FINDING], [other], say_unused=True)
    assert sorted(f.rule for f in found) == sorted([FINDING.rule, "unused-suppression"])
    assert not any(f.suppressed for f in found)


def test_a_comment_on_what_was_refuted_is_unused() -> None:
    refuted = replace(FINDING, verdict=Verdict.REFUTED)
    found = suppressed([refuted], [comment(FINDING.rule)], say_unused=True)
    assert [f.rule for f in found if f.verdict is Verdict.CONFIRMED] == ["unused-suppression"]


def test_unused_comments_are_silent_where_the_probe_did_not_run() -> None:
    assert suppressed([], [comment("init-scale")], say_unused=False) == ()


def test_a_rule_that_does_not_exist_is_named_with_the_nearest() -> None:
    [found] = suppressed([], [comment("init-scal", "init-scale")], say_unused=True)
    assert found.message == (
        "nothing here needs to be suppressed for "
        "init-scal (there is no such rule; did you mean 'init-scale'?), init-scale"
    )


def test_a_comment_for_a_rule_that_nobody_looked_for_is_not_unused() -> None:
    wanted = comment("init-scale", "vanilla-rnn")
    found = suppressed([], [wanted], say_unused=True, looked_for=lambda rule: rule != "vanilla-rnn")
    assert found == ()
