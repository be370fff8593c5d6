"""Names of findings that survive moved lines, by which other tools recognise them again."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import PurePath

from gradlint.report import Finding


class Fingerprints:
    """Gives each finding of one report its fingerprint; findings are asked about in their order."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def __call__(self, finding: Finding) -> str:
        """20 hexadecimal digits: rule, path, model and layer, counted where these repeat."""
        path = PurePath(finding.span.path).as_posix()
        key = f"{finding.rule}\0{path}\0{finding.model}\0{finding.layer}"
        self._seen[key] += 1
        return hashlib.sha256(f"{key}\0{self._seen[key]}".encode()).hexdigest()[:20]
