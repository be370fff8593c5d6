"""Findings that a project accepted when it began to use gradlint, so that only new ones count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gradlint.judging.evidence import Severity, Verdict
from gradlint.protocol.span import Span
from gradlint.report import FileReport, Finding, ModelStatus, Report
from gradlint.settings.toml import ConfigError

Key = tuple[str, str, str]
"""Rule, path, and qualified name of the model; never the line, which moves."""

_VERSION = 1
_OWN = ("file", "suppression", "baseline")  # families of what speaks of no model


@dataclass(frozen=True, slots=True)
class Baseline:
    """How many findings of each key are accepted; `lines` is the text of the file `shown`."""

    shown: str
    accepted: tuple[tuple[Key, int], ...]
    lines: tuple[str, ...] = ()

    def line_of(self, index: int) -> int:
        """The line of an entry, counted from 1."""
        lines = [number for number, line in enumerate(self.lines, 1) if '"rule"' in line]
        return lines[index] if index < len(lines) else 1


def read_baseline(path: Path, shown: str) -> Baseline:
    """Read a baseline that `write_baseline` wrote.

    Raises:
        ConfigError: there is none, or the file is something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        if document["baseline"] != _VERSION:
            raise ConfigError(f"{path}: version {document['baseline']!r}, expected {_VERSION}")
        accepted = tuple(_entry(entry) for entry in document["findings"])
    except OSError as error:
        why = error.strerror or error
        raise ConfigError(f"{path}: no baseline: {why}; --write-baseline makes one") from error
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a baseline of gradlint: {error!r}") from error
    return Baseline(shown, accepted, tuple(text.splitlines()))


def _entry(entry: dict[str, object]) -> tuple[Key, int]:
    rule, path, name, count = (entry[key] for key in ("rule", "path", "name", "count"))
    if not isinstance(count, int):
        raise TypeError(f"count {count!r} is no whole number")
    return (str(rule), str(path), str(name)), count


def write_baseline(path: Path, report: Report, root: Path) -> Baseline:
    """Write what stands in a report, and what was accepted in files that the run left out.

    Raises:
        ConfigError: the file cannot be written, or holds something else than a baseline.
    """
    linted = {file.path for file in report.files}
    before = read_baseline(path, path.name).accepted if path.exists() else ()
    counts = Counter(
        {key: n for key, n in before if key[1] not in linted and (root / key[1]).exists()}
    )
    counts.update(_key(finding) for finding in report.findings if _counts(finding))
    entries = [
        json.dumps({"rule": rule, "path": file, "name": name, "count": counts[rule, file, name]})
        for rule, file, name in sorted(counts, key=lambda key: (key[1], key[0], key[2]))
    ]
    text = ",\n".join(f"    {entry}" for entry in entries)
    whole = f'{{\n  "baseline": {_VERSION},\n  "findings": [\n{text}\n  ]\n}}\n'
    try:
        path.write_text(whole, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return read_baseline(path, path.name)


def accepting(
    report: Report, baseline: Baseline, root: Path, looks_for: Callable[[str, str], bool]
) -> Report:
    """The report with accepted findings suppressed, the first ones of a key where there are more.

    An entry for which there are fewer findings than it accepts is stale and becomes a finding in
    the baseline's own file, but only where that is known: the file is gone, or was linted, its
    model was probed, and `looks_for` says that the run looked for the rule in that file.
    """
    left = Counter(dict(baseline.accepted))
    files = tuple(
        replace(file, findings=tuple(_accepted(file.findings, left))) for file in report.files
    )
    stale = tuple(_stale(baseline, left, report, root, looks_for)) if report.traced else ()
    if stale:
        files = (*files, FileReport(baseline.shown, findings=stale, lines=baseline.lines))
    return replace(report, files=files)


def _accepted(findings: tuple[Finding, ...], left: Counter[Key]) -> Iterator[Finding]:
    for finding in findings:
        if _counts(finding) and left[_key(finding)] > 0:
            left[_key(finding)] -= 1
            reason = "in the baseline"
            yield replace(finding, suppressed=True, suppression_reason=reason, baselined=True)
        else:
            yield finding


def _counts(finding: Finding) -> bool:
    shown = finding.verdict in (Verdict.CONFIRMED, Verdict.PREDICTED) and not finding.suppressed
    return shown and finding.family not in _OWN


def _key(finding: Finding) -> Key:
    return finding.rule, finding.span.path, finding.model


def _stale(
    baseline: Baseline,
    left: Counter[Key],
    report: Report,
    root: Path,
    looks_for: Callable[[str, str], bool],
) -> Iterator[Finding]:
    files = {file.path: file for file in report.files}
    for index, (key, accepted) in enumerate(baseline.accepted):
        rule, path, name = key
        file = files.get(path)
        known = file is not None and _was_probed(file, name) and looks_for(rule, path)
        if left[key] > 0 and (known or not (root / path).exists()):
            found = accepted - left[key]
            line = baseline.line_of(index)
            yield Finding(
                rule="stale-baseline-entry",
                family="baseline",
                severity=Severity.NOTE,
                span=Span(baseline.shown, line),
                model="",
                layer="",
                message=f"{rule} in {name} of {path}: {accepted} accepted, {found} found; "
                "write the baseline anew",
                verdict=Verdict.CONFIRMED,
            )


def _was_probed(file: FileReport, name: str) -> bool:
    """Whether what there is of a model was measured; of one that is gone there is nothing."""
    return file.linted and all(
        model.status is ModelStatus.PROBED for model in file.models if model.name == name
    )
