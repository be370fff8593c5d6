"""The schemas of the formats that other services read; each raises where a report breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import xmlschema

SCHEMAS = Path(__file__).parent / "schemas"


def _follows(name: str) -> Callable[[str], None]:
    def validate(rendered: str) -> None:
        schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
        jsonschema.validate(json.loads(rendered), schema)

    return validate


def _is_junit(rendered: str) -> None:
    xmlschema.XMLSchema(SCHEMAS / "junit.xsd").validate(rendered)
    root = ET.fromstring(rendered)
    for suite in [root, *root]:
        for attribute, tag in {
            "tests": "testcase",
            "failures": "failure",
            "errors": "error",
        }.items():
            assert int(suite.attrib[attribute]) == len(suite.findall(f".//{tag}"))


def _is_workflow_commands(rendered: str) -> None:
    for line in rendered.splitlines():
        if line.startswith("::"):
            command, properties, message = line[2:].partition(" ")[0], *line[2:].split("::", 1)
            assert command in {"error", "warning", "notice"}
            assert message
            names = [pair.partition("=")[0] for pair in properties.partition(" ")[2].split(",")]
            assert set(names) <= {"title", "file", "line", "endLine", "col", "endColumn"}


VALIDATORS: dict[str, Callable[[str], None]] = {
    "sarif": _follows("sarif-schema-2.1.0.json"),
    "gitlab": _follows("gitlab.json"),
    "rdjson": _follows("rdjson.json"),
    "junit": _is_junit,
    "github": _is_workflow_commands,
}
