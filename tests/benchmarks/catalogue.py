"""The table of all rules: how many of their examples are found to be what their markers say.

Run as `python -m tests.benchmarks.catalogue [RULE…]`. An example counts as silent, confirmed or
refuted by its markers, and as right if exactly those lines have exactly those verdicts; one with
several markers counts for each kind. The exit status is 1 if any is wrong, or if a rule has no
silent or no confirmed example.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from gradlint.judging.evidence import Verdict
from gradlint.loader import rule_named
from tests.test_rules import NAMES, linted, markers, reported

KINDS = ("silent", Verdict.CONFIRMED.value, Verdict.REFUTED.value)


def kinds(example: str) -> set[str]:
    """What an example shows: the verdicts of its markers, or silence."""
    return {verdict.value for _, verdict in markers(example)} or {"silent"}


def outcomes(name: str) -> Iterator[tuple[str, bool]]:
    """For each example of a rule and each kind that it shows, whether all of it is as marked."""
    for example, file in zip(rule_named(name).examples, linted(name), strict=True):
        right = not file.reason and set(reported(file.findings)) == markers(example)
        yield from ((kind, right) for kind in sorted(kinds(example)))


def row(name: str) -> bool:
    """Print the line of one rule and say whether all of it is as it must be."""
    found = list(outcomes(name))
    every = Counter(kind for kind, _ in found)
    right = Counter(kind for kind, good in found if good)
    cells = "".join(f"{f'{right[kind]}/{every[kind]}':>11}" for kind in KINDS)
    complete = every == right and bool(every["silent"] and every[Verdict.CONFIRMED.value])
    family = rule_named(name).family.value
    print(f"{name:32}{family:15}{cells}{'' if complete else '  WRONG'}", flush=True)
    return complete


def main(names: Sequence[str]) -> int:
    """Print the table of the named rules, or of all, and return the exit status."""
    print(f"{'rule':32}{'family':15}{''.join(f'{kind:>11}' for kind in KINDS)}")
    by_family = sorted(names or NAMES, key=lambda name: (rule_named(name).family.value, name))
    wrong = [name for name in by_family if not row(name)]
    print(f"{len(by_family)} rules; not as marked: {', '.join(wrong) or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
