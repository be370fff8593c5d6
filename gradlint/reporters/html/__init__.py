"""The report as one HTML file that needs no network: overview, findings, pictures, source."""

from __future__ import annotations

from gradlint.reporters.html.page import render

__all__ = ["render"]
