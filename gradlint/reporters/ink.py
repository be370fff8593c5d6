"""Colour for terminals."""

from __future__ import annotations

from dataclasses import dataclass

from gradlint.judging.evidence import Severity

BOLD, DIM = "1", "2"
WEAK, STRONG = "34", "31"
_SEVERITIES = {Severity.ERROR: "1;31", Severity.WARNING: "1;33", Severity.NOTE: "1;36"}


@dataclass(frozen=True, slots=True)
class Ink:
    """Writes escape codes around text, or leaves it alone."""

    color: bool = False

    def __call__(self, text: str, code: str) -> str:
        """`text` in the graphic rendition `code` of ECMA-48."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and text else text

    def of_severity(self, severity: Severity) -> str:
        """The name of a severity in its colour."""
        return self(severity.value, _SEVERITIES[severity])

    def in_severity(self, text: str, severity: Severity) -> str:
        """`text` in the colour of a severity."""
        return self(text, _SEVERITIES[severity])
