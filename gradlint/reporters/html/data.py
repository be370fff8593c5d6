"""Values for the script of the page, as JSON inside it."""

from __future__ import annotations

import json
import math

from gradlint.reporters.html.markup import Markup
from gradlint.reporters.numbers import rounded


def embedded(value: object) -> Markup:
    """A script element that holds `value`; what is not finite is null or a text."""
    text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c")  # because `</script>` would end the element
    return Markup(f'<script type="application/json">{text}</script>')


def _plain(value: object) -> object:
    match value:
        case float():
            if math.isnan(value):
                return None
            return rounded(value) if math.isfinite(value) else str(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
    return value
