"""Which other files decided what was read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lookups:
    """Remembers which files were asked for: those that are there, and those that are not."""

    read: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)

    def is_file(self, path: Path) -> bool:
        """Whether there is such a file."""
        there = path.is_file()
        (self.read if there else self.absent).add(str(path))
        return there
