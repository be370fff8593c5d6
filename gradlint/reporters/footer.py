"""The last lines of a report for people: what was found, what ran, what did not and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from gradlint.judging.evidence import Severity, Verdict
from gradlint.report import ModelStatus, Report
from gradlint.reporters.hints import hint_lines
from gradlint.reporters.presentation import roots, stands, unprobed

_LISTED = 20  # models that did not run and are listed one by one


def header_counts(report: Report) -> str:
    """The findings counted by severity and the files that they are in."""
    standing = [finding for finding in report.findings if stands(finding)]
    files = counted(len(report.files), "file")
    if not report.files:
        return "no Python file was found there, so nothing was linted"
    if not standing:
        return f"no findings in {files}"
    kinds = Counter(finding.severity for finding in standing)
    named = ", ".join(
        counted(kinds[severity], severity.value)
        for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        if kinds[severity]
    )
    where = len({finding.span.path for finding in standing})
    return f"{counted(len(standing), 'finding')} ({named}) in {where} of {files}"


def hidden_counts(report: Report) -> str:
    """What is not shown unasked, counted; "" where there is nothing."""
    kinds = {
        "suppressed": sum(finding.suppressed for finding in report.findings),
        **{
            verdict.value: sum(f.verdict is verdict and not f.suppressed for f in report.findings)
            for verdict in (Verdict.INCONCLUSIVE, Verdict.REFUTED)
        },
    }
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)


def summary_lines(report: Report, *, show_all: bool = False) -> list[str]:
    """What was found and what ran, in one line or two."""
    hidden = hidden_counts(report)
    found = header_counts(report) + (f"; {hidden}" if hidden else "")
    found += " (shown by --show all)" if hidden and not show_all else ""
    return [found, f"{what_ran(report)}; {report.seconds:.1f} s"]


def what_ran(report: Report) -> str:
    """How many of the models were probed, and with what."""
    models = roots(report)
    if not models:
        return "no model in sight, so nothing was run"
    if not report.traced:
        return f"--no-trace: none of {counted(len(models), 'model')} was run"
    probed = sum(model.status is ModelStatus.PROBED for model in models)
    text = f"probed {probed} of {counted(len(models), 'model')}"
    if report.torch:
        last = report.seed + report.seeds - 1
        seeds = f"seeds {report.seed} to {last}" if report.seeds > 1 else f"seed {report.seed}"
        text += f", {seeds}, torch {report.torch}"
    kinds = Counter(model.status for model in unprobed(report))
    missed = [f"{count} {status.value.replace('-', ' ')}" for status, count in kinds.items()]
    return "; ".join([text, ", ".join(missed)]) if missed else text


def unprobed_lines(report: Report, *, show_all: bool = False) -> Iterator[str]:
    """Each model that was not probed, with the reason and what would build it."""
    if not report.traced:
        return
    models = unprobed(report)
    listed = models if show_all else models[:_LISTED]
    for model in listed:
        status = model.status.value.replace("-", " ")
        yield f"{model.span}: {model.name} {status}: {model.reason or 'no reason was given'}"
        yield from hint_lines(model)
    if len(listed) < len(models):
        yield f"… and {len(models) - len(listed)} more (listed by --show all)"


def statistics_lines(report: Report) -> list[str]:
    """A table: rules, and how often each ended in which verdict."""
    counts = Counter(
        (finding.rule, "suppressed" if finding.suppressed else finding.verdict.value)
        for finding in report.findings
    )
    columns = [*(verdict.value for verdict in Verdict), "suppressed"]
    rules = sorted({rule for rule, _ in counts})
    width = max((len(rule) for rule in [*rules, "rule"]), default=4)
    rows = [[rule.ljust(width), *_cells(counts, rule, columns)] for rule in rules]
    return ["  ".join([" " * width, *columns]).rstrip(), *map("  ".join, rows)] if rules else []


def _cells(counts: Counter[tuple[str, str]], rule: str, columns: Iterable[str]) -> list[str]:
    return [str(counts[rule, column]).rjust(len(column)) for column in columns]


def counted(count: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
