"""What remains of a pass that failed."""

import weakref

import torch
from torch import nn

from gradlint.worker.building.sources import evaluated
from gradlint.worker.running.attempt import (
    Failure,
    mark,
    released,
    sources_of,
    told,
    tried,
    watched,
)


class Refusing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = torch.cat([x, x])
        return torch.addmm(wide, wide, wide)


def failing(noted: list[weakref.ref[torch.Tensor]]) -> Exception:
    given = torch.ones(2, 3)
    noted.append(weakref.ref(given))
    failure = watched(Refusing(), (given,), {})
    assert isinstance(failure, Failure)
    made = next(f for f in failure.frames if f.function == "forward" and f.users).variables["wide"]
    assert isinstance(made, torch.Tensor)
    noted.append(weakref.ref(made))
    return failure.error


def test_the_tensors_of_a_failed_pass_are_let_go_while_its_error_is_kept() -> None:
    noted: list[weakref.ref[torch.Tensor]] = []
    error = failing(noted)
    assert any(tensor() is not None for tensor in noted)
    released(error)
    assert [tensor() for tensor in noted] == [None, None]
    assert error.__traceback__ is not None


class Exhausting(nn.Module):
    def __init__(self, noted: list[weakref.ref[torch.Tensor]]) -> None:
        super().__init__()
        self.noted = noted

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        large = torch.cat([x, x])
        self.noted.append(weakref.ref(large))
        raise MemoryError


def test_nothing_is_kept_of_a_pass_that_ran_out_of_memory() -> None:
    noted: list[weakref.ref[torch.Tensor]] = []
    failure = watched(Exhausting(noted), (torch.ones(2, 3),), {})
    assert isinstance(failure, Failure)
    assert [tensor() for tensor in noted] == [None]


def test_the_same_failure_reads_the_same_however_often_it_was_met() -> None:
    namespace: dict[str, object] = {"made": len}
    errors = (tried(evaluated, f"made({number})", namespace).error for number in range(64))
    assert len({told(error) for error in errors if error is not None}) == 1


class Indexed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.ones(2, 3)
        self.found: torch.Tensor | None = None

    def forward(self, place: torch.Tensor) -> torch.Tensor:
        self.found = self.table[0, place]
        return self.found


def test_what_is_looked_up_at_a_number_and_an_argument_stems_from_the_argument() -> None:
    model, place = Indexed(), torch.tensor([2])
    mark(place, ["place"])
    watched(model, (place,), {})
    assert sources_of(model.found) == {"place"}
