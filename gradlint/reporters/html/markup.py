"""HTML written from values: every text and attribute is escaped here and nowhere else."""

from __future__ import annotations

from html import escape

_VOID = frozenset({"input", "meta"})


class Markup(str):
    """Text that is HTML already; any other text is escaped where it is put into an element."""

    __slots__ = ()


Attribute = str | float | bool | None


def element(tag: str, *contents: str | None, **attributes: Attribute) -> Markup:
    """An element; underscores in the names of attributes are dashes, one at the end is dropped.

    An attribute of None or False is left out, one of True has no value.
    """
    start = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    return Markup(start if tag in _VOID else f"{start}{joined(*contents)}</{tag}>")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def joined(*contents: str | None) -> Markup:
    """Contents one behind the other, escaped where they are plain text."""
    return Markup("".join(_escaped(content) for content in contents if content))


def _escaped(content: str) -> str:
    return content if isinstance(content, Markup) else escape(content, quote=False)
