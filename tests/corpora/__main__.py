"""Lints the sources of installed packages or of repositories and prints what came of it.

Status 1 says that a confirmed finding has no record in verdicts.toml; status 2 that it was misused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gradlint.settings.toml import ConfigError
from tests.corpora.coverage import (
    coverage_table,
    missing_packages,
    reasons_missed,
    with_roots,
)
from tests.corpora.judgements import judged, outdated, read_judgements
from tests.corpora.linting import Sweep, default_results
from tests.corpora.registered import with_refusals, write_programs
from tests.corpora.sources import Package, find_folder, find_package
from tests.corpora.table import Row, built, by_rule, reasons, table

UNREAD, MISUSE = 1, 2
_SHOWN_REASONS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Lint, print and give the exit status."""
    options = _options().parse_args(arguments)
    kept = options.results or default_results(options.timeout, traced=options.traced)
    sweep = Sweep(kept, options.timeout, options.traced)
    try:
        sweep.results.mkdir(parents=True, exist_ok=True)
        packages = [_package(name, options, sweep) for name in options.packages]
        rows = [_swept(package, _apart(sweep, package, options), options) for package in packages]
        if options.built:
            print(*(line for row in rows for line in built(row)), sep="\n")
        return _report(rows, measured=not options.traced)
    except (ConfigError, LookupError, ValueError, OSError) as error:
        print(f"tests.corpora: {error}", file=sys.stderr)
        return MISUSE


def _package(name: str, options: argparse.Namespace, sweep: Sweep) -> Package:
    if options.registered:
        return write_programs(name, sweep.results / "programs", options.sample, options.seed)
    package = find_folder(Path(name)) if options.folder else find_package(name)
    return package.sample(options.sample, options.seed) if options.sample else package


def _apart(sweep: Sweep, package: Package, options: argparse.Namespace) -> Sweep:
    """The same sweep, with a folder of its own for each repository: many have a `model.py`."""
    if not options.folder:
        return sweep
    results = sweep.results / "folders" / package.name
    results.mkdir(parents=True, exist_ok=True)
    return replace(sweep, results=results)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.corpora", description=__doc__)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="an importable package")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--folder", action="store_true", help="each PACKAGE is the folder of a repository"
    )
    kinds.add_argument(
        "--registered",
        action="store_true",
        help="a program for each architecture that the package has a name for, not its sources",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="only N of the files or programs",
    )
    parser.add_argument(
        "--traced", action="store_true", help="build and trace the models, measure nothing"
    )
    parser.add_argument(
        "--built",
        action="store_true",
        help="first print the arguments and inputs of each model that was built, to be read",
    )
    parser.add_argument("--seed", type=int, default=0, help="which sample  [default: 0]")
    parser.add_argument("--timeout", type=float, default=40.0, help="seconds  [default: 40]")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="keep results there, and take up from there  [default: in the temporary directory, "
        "apart for each state of gradlint's sources]",
    )
    return parser


def _swept(package: Package, sweep: Sweep, options: argparse.Namespace) -> Row:
    outcomes = []
    for number, file in enumerate(package.files, 1):
        outcome = with_roots(sweep.outcome(package.root, file), package.root)
        outcomes.append(with_refusals(outcome, package.root) if options.registered else outcome)
        if sys.stderr.isatty():
            print(f"\r{package.name} {number}/{len(package.files)}", end="", file=sys.stderr)
    return Row(package.name, tuple(outcomes))


def _report(rows: Sequence[Row], *, measured: bool) -> int:
    print(table(rows))
    print("\nconfirmed by severity and rule:")
    for rule, count in by_rule(rows).most_common():
        print(f"{count:6d}  {rule}")
    print("\nreasons for what was left out:")
    for reason, count in reasons(rows).most_common(_SHOWN_REASONS):
        print(f"{count:6d}  {reason}")
    status = _report_findings(rows) if measured else 0
    _report_coverage(rows)
    return status


def _report_coverage(rows: Sequence[Row]) -> None:
    print("\nset apart for what is not installed or runs by itself as little:")
    for package, count in missing_packages(rows).most_common():
        print(f"{count:6d}  {package}")
    print("\nreasons for what is not covered:")
    for reason, count in reasons_missed(rows).most_common(_SHOWN_REASONS):
        print(f"{count:6d}  {reason}")
    print(f"\n{coverage_table(rows)}")


def _report_findings(rows: Sequence[Row]) -> int:
    records = read_judgements()
    unread = 0
    print("\nconfirmed findings:")
    for found, record in judged(rows, records):
        place = f"{found.path}:{found.line}: {found.model}: {found.rule}"
        if record is None:
            unread += 1
            print(f"unread: {place}: {found.message}")
        else:
            print(f"{'true' if record.true else 'false'}: {place}: {record.why}")
    for _, path, model, rule in outdated(rows, records):
        print(f"no longer found: {path}: {model}: {rule}")
    return UNREAD if unread else 0


if __name__ == "__main__":
    sys.exit(main())
