"""The formats of a report by name; the module of each is imported where it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.report import Report
    from gradlint.reporters.presentation import Style

FORMATS = (
    *("text", "concise", "json", "sarif", "github"),
    *("gitlab", "junit", "rdjson", "html"),
)
"""What `--format` takes; each but `json` is the name of the module that renders it."""

FOR_MACHINES = frozenset({"sarif", "github", "gitlab", "junit", "rdjson"})
"""The formats that other services read, which know paths from the root of the repository."""

DRAWING = frozenset({"html"})
"""The formats that show pictures of models, for which every layer is measured."""


def render(name: str, report: Report, style: Style) -> str:
    """The report in the format `name`.

    Raises:
        ModuleNotFoundError: there is no such format.
    """
    if name == "json":
        from gradlint.reporters import json_

        return json_.render(report, show_all=style.show_all)
    rendered: str = import_module(f"gradlint.reporters.{name}").render(report, style)
    return rendered
