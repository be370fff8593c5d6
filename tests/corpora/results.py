"""What gradlint's JSON says of one file, as far as a sweep counts it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Model:
    """A model class, how far it came and why no further; a root is built by no other class.

    `refused` is what its own program raises without gradlint, "" where that is nothing or unknown.
    `constructor` and `inputs` are those it ran with, `source` says where they come from.
    """

    name: str
    status: str
    reason: str
    root: bool = True
    refused: str = ""
    constructor: str = ""
    inputs: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding that was not suppressed in the source."""

    path: str
    line: int
    model: str
    rule: str
    severity: str
    verdict: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One linted file. `failure` says why gradlint could not lint it, `seconds` is wall time."""

    path: str
    failure: str = ""
    models: tuple[Model, ...] = ()
    findings: tuple[Found, ...] = ()
    seconds: float = 0.0


def read_outcome(kept: Path, path: str) -> Outcome:
    """The outcome that is kept in a file, for the source at `path`.

    Raises:
        ValueError: the file does not hold what gradlint writes as JSON.
    """
    try:
        document = json.loads(kept.read_text(encoding="utf-8"))
        if "failure" in document:
            return Outcome(path, str(document["failure"]))
        return Outcome(
            path=path,
            failure="; ".join(str(file["reason"]) for file in document["files"] if file["reason"]),
            models=tuple(
                Model(
                    model["name"],
                    model["status"],
                    model["reason"] or "",
                    constructor=model["constructor"] or "",
                    inputs=tuple(model["inputs"]),
                    source=model["built_from"] or "",
                )
                for model in document["models"]
            ),
            findings=tuple(
                Found(
                    finding["path"],
                    finding["line"],
                    finding["model"] or "",
                    finding["rule"],
                    finding["severity"],
                    finding["verdict"],
                    finding["message"],
                )
                for finding in document["findings"]
                if not finding["suppressed"]
            ),
            seconds=document["summary"]["seconds"],
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{kept}: not a report of gradlint: {error}; delete it") from error
