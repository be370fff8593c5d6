"""What the trials of a candidate have in common."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from gradlint.protocol.wire import BuiltFrom, TraceModel
from gradlint.worker.running.budget import Budget

GIVEN = frozenset(
    {BuiltFrom.GET_INPUTS, BuiltFrom.COMMAND_LINE, BuiltFrom.CONFIGURATION, BuiltFrom.CALLER}
)
"""What candidates are built from whose arguments and inputs were given, not found."""


@dataclass(frozen=True)
class Terms:
    """On what terms a candidate is tried.

    Attributes:
        module: the linted file, in which the candidate is evaluated.
        request: which model of it is asked for, with which seed.
        limit: how many parameters the model may have.
        budget: how long the trials may take.
    """

    module: ModuleType
    request: TraceModel
    limit: int
    budget: Budget
