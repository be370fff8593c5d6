"""The programs of the benchmark with seeded faults, as texts: nothing is trained here."""

from __future__ import annotations

import ast

from gradlint.loader import rules
from tests.benchmarks.seeded.faults import faults
from tests.benchmarks.seeded.programs import right_lines, written
from tests.benchmarks.seeded_faults import mutants

ALL = mutants(0)


def test_there_are_sixty_architectures_and_six_hundred_faulty_programs() -> None:
    healthy = [mutant for mutant in ALL if mutant.fault is None]
    assert len(healthy) >= 60
    assert len(ALL) - len(healthy) >= 600
    assert len({mutant.name for mutant in ALL}) == len(ALL)


def test_every_program_can_be_parsed_and_has_right_lines() -> None:
    for mutant in ALL:
        program = written(mutant.original, mutant.fault)
        ast.parse(program)
        assert right_lines(program), mutant.name


def test_every_fault_changes_the_program_and_is_named_by_rules_that_exist() -> None:
    known = {rule.name() for rule in rules()}
    for fault in faults():
        assert fault.rules
        assert fault.rules <= known, fault.name
    texts = [written(mutant.original, mutant.fault).partition("\n")[2] for mutant in ALL]
    assert len(set(texts)) == len(texts)


def test_a_sample_is_the_same_every_time_and_part_of_a_larger_one() -> None:
    small, large = mutants(40), mutants(80)
    assert small == mutants(40)
    assert {mutant.name for mutant in small} < {mutant.name for mutant in large}
