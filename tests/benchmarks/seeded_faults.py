"""Faults injected into healthy architectures: does gradlint name what training shows to be sick?

Run as `python -m tests.benchmarks.seeded_faults FOLDER [--sample N]`. Into FOLDER it writes one
program for each of some sixty architectures of pytorchcv, vit-pytorch, timm, transformers and
torch, and one for each fault that fits into each. Each is trained for a short while on small data,
and linted by the command line. Whatever is done already is not done again, so a run may be stopped
and continued. Printed are recall, rule and line for the mutants that learn worse than their
originals, errors on those that learn as well, and findings on the healthy originals.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.seeded.faults import Fault, faults, fits
from tests.benchmarks.seeded.originals import Original, originals
from tests.benchmarks.seeded.programs import right_lines, written
from tests.command import lint

CLASSES = 4
LEARNT = 0.7  # of the way from a guess to perfection that an original must go to be compared with
WORSE = 0.75  # of its original's way; below it the mutant learns worse
AS_WELL = 0.95
LIMIT = 180  # seconds for one training
BATCH = 8  # programs in one run of the command line

Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One program: an architecture, and the fault in it or None."""

    original: Original
    fault: Fault | None

    @property
    def name(self) -> str:
        """The name of its file, without suffix."""
        kind = self.fault.name if self.fault else "healthy"
        return f"{self.original.name}--{kind}".replace(".", "_").replace("-", "_")


def mutants(sample: int) -> list[Mutant]:
    """All originals, and `sample` mutants (all if 0), the same ones for the same number."""
    healthy = [Mutant(original, None) for original in originals()]
    sick = [
        Mutant(item.original, fault)
        for item in healthy
        for fault in faults()
        if fits(fault, item.original)
    ]
    sick.sort(key=lambda mutant: hashlib.sha256(mutant.name.encode()).digest())
    chosen = sick[:sample] if sample else sick
    return healthy + chosen


def train_all(chosen: Sequence[Mutant], folder: Path, until: float) -> dict[str, float]:
    """The share of the way to perfection that each program learns, NaN where it cannot run."""
    kept = folder / "trained.json"
    known: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    _import_once()
    for mutant in chosen:
        healthy = known.get(Mutant(mutant.original, None).name, 0.0)
        if mutant.name in known or time.time() > until:
            continue
        if mutant.fault is not None and not healthy >= LEARNT:
            continue
        known[mutant.name] = _trained(folder / f"{mutant.name}.py")
        kept.write_text(json.dumps(known, indent=0))
        print(f"{mutant.name}: {known[mutant.name]:.2f}", file=sys.stderr, flush=True)
    return known


def _import_once() -> None:
    """Import what the programs need, so that a fork of this process has it."""
    for package in ("timm", "transformers", "vit_pytorch"):
        importlib.import_module(package)
    importlib.import_module("torch").set_num_threads(1)


def _trained(program: Path) -> float:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_train, args=(program, theirs))
    child.start()
    theirs.close()
    accuracy = math.nan
    try:
        if ours.poll(LIMIT):
            accuracy = float(ours.recv())
    except EOFError:
        pass  # because a program that raised has sent nothing
    child.kill()
    child.join()
    return (accuracy - 1 / CLASSES) / (1 - 1 / CLASSES)


def _train(program: Path, answer: multiprocessing.connection.Connection) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  because the process ends with it
    answer.send(runpy.run_path(str(program))["train"]())


def lint_all(
    chosen: Sequence[Mutant],
    trained: Mapping[str, float],
    folder: Path,
    until: float,
    ignored: str,
) -> dict[str, Record]:
    """What the command line says of each program that was trained, but for the rules `ignored`."""
    kept = folder / "linted.json"
    known: dict[str, Record] = json.loads(kept.read_text()) if kept.exists() else {}
    wanted = [m for m in chosen if m.name not in known and not math.isnan(trained.get(m.name, 0.0))]
    wanted = [m for m in wanted if m.fault is None or m.name in trained]
    for start in range(0, len(wanted), BATCH):
        if time.time() > until:
            break
        files = [f"{mutant.name}.py" for mutant in wanted[start : start + BATCH]]
        left_out = ("--ignore", ignored) if ignored else ()
        report = lint(files, "--exit-zero", "--timeout", "300", *left_out, cwd=folder).report
        for file in files:
            known[file.removesuffix(".py")] = _record(report, file)
        kept.write_text(json.dumps(known, indent=0))
        print(f"linted {len(known)}", file=sys.stderr, flush=True)
    return known


def _record(report: Mapping[str, list[dict[str, object]]], file: str) -> Record:
    fields = ("rule", "line", "severity", "verdict", "message")
    findings = [
        {name: finding[name] for name in fields}
        for finding in report["findings"]
        if finding["path"] == file
    ]
    models = [(m["status"], m["reason"]) for m in report["models"] if m["path"] == file]
    return {"findings": findings, "models": models}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant or original in training and under gradlint."""

    mutant: Mutant
    learnt: float
    share: float
    findings: tuple[dict[str, object], ...]
    lines: frozenset[int]

    @property
    def loud(self) -> list[dict[str, object]]:
        """Confirmed errors and warnings."""
        return [
            found
            for found in self.findings
            if found["verdict"] in ("confirmed", "predicted") and found["severity"] != "note"
        ]

    @property
    def error(self) -> bool:
        """Whether one of the findings is an error."""
        return any(found["severity"] == "error" for found in self.loud)

    def named(self) -> tuple[bool, bool, bool]:
        """Found at all, by a right rule, at a right line; a note counts if its rule is right."""
        rules = self.mutant.fault.rules if self.mutant.fault else frozenset()
        told = [f for f in self.findings if f in self.loud or f["rule"] in rules]
        right = any(found["rule"] in rules for found in told)
        return bool(told), right, any(found["line"] in self.lines for found in told)


def outcomes(
    chosen: Sequence[Mutant],
    trained: Mapping[str, float],
    linted: Mapping[str, Record],
    folder: Path,
) -> Iterator[Outcome]:
    """The outcome of each program that was trained and linted."""
    for mutant in chosen:
        learnt = trained.get(mutant.name, math.nan)
        healthy = trained.get(Mutant(mutant.original, None).name, math.nan)
        if mutant.name not in linted or math.isnan(learnt) or not healthy > 0:
            continue
        findings = linted[mutant.name]["findings"]
        assert isinstance(findings, list)
        lines = right_lines((folder / f"{mutant.name}.py").read_text())
        yield Outcome(mutant, learnt, learnt / healthy, tuple(findings), lines)


def report(done: Sequence[Outcome]) -> None:
    """Print the table by fault and the totals."""
    healthy = [item for item in done if item.mutant.fault is None]
    sick = [o for o in done if o.mutant.fault and o.share < WORSE]
    well = [o for o in done if o.mutant.fault and o.share >= AS_WELL]
    print(
        f"{'fault':28} {'worse':>6} {'found':>6} {'rule':>6} {'line':>6} {'well':>6} {'error':>6}"
    )
    for name in dict.fromkeys(fault.name for fault in faults()):
        worse = [o.named() for o in sick if o.mutant.fault and o.mutant.fault.name == name]
        alike = [o for o in well if o.mutant.fault and o.mutant.fault.name == name]
        found = " ".join(f"{sum(one[i] for one in worse):6}" for i in range(3))
        print(f"{name:28} {len(worse):6} {found} {len(alike):6} {sum(o.error for o in alike):6}")
    named = [o.named() for o in sick]
    print(f"learn worse: {len(sick)}; as well: {len(well)}; healthy: {len(healthy)}")
    for index, word in enumerate(("recall", "right rule", "right line")):
        count = sum(one[index] for one in named)
        among = len(named) if index == 0 else sum(one[0] for one in named)
        print(f"{word}: {count} of {among} ({count / max(among, 1):.3f})")
    print(f"errors on what learns as well: {sum(o.error for o in well)} of {len(well)}")
    print(f"healthy with an error: {sum(o.error for o in healthy)}")
    print(f"healthy with a warning: {sum(bool(o.loud) for o in healthy)}")


def explain(done: Sequence[Outcome]) -> None:
    """Print what was missed, misnamed, or reported without need."""
    for outcome in done:
        found, rule, line = outcome.named()
        missed = outcome.mutant.fault and outcome.share < WORSE and not (found and rule and line)
        needless = outcome.loud if outcome.mutant.fault is None else outcome.error
        if missed or (needless and (outcome.share >= AS_WELL or outcome.mutant.fault is None)):
            said = ", ".join(f"{f['rule']}:{f['line']}:{f['severity']}" for f in outcome.loud)
            print(f"{outcome.mutant.name} ({outcome.share:.2f}): {said or 'silent'}")


def main(arguments: Sequence[str]) -> int:
    """Write, train and lint the programs, and print the table."""
    parser = argparse.ArgumentParser(description="Lint faults seeded into healthy architectures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="how many mutants; 0 for all")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after that long")
    parser.add_argument("--ignore", default="", help="rules to leave out, such as a slow one")
    parser.add_argument("--only", choices=("train", "lint", "report"), default="")
    parser.add_argument("--explain", action="store_true", help="print each mutant that went wrong")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    os.nice(10)
    until = time.time() + 60 * given.minutes
    chosen = mutants(given.sample)
    for mutant in chosen:
        (given.folder / f"{mutant.name}.py").write_text(written(mutant.original, mutant.fault))
    trained = train_all(chosen, given.folder, until if given.only in ("", "train") else 0.0)
    linting = until if given.only in ("", "lint") else 0.0
    linted = lint_all(chosen, trained, given.folder, linting, given.ignore)
    done = list(outcomes(chosen, trained, linted, given.folder))
    report(done)
    if given.explain:
        explain(done)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
