"""Where the rules are: files of the package `gradlint.rules` and entry points of other packages."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from types import ModuleType

from gradlint.rule import Rule

PACKAGE = "gradlint.rules"
"""The package whose files are rules, and the group of the entry points of other packages' rules."""

HEADINGS = (
    "Why it is bad",
    "How it is measured",
    "What to do",
    "Known limitations",
)
"""The headings of a rule's docstring after its first sentence, in their order."""


class InvalidRuleError(ValueError):
    """A rule file or an entry point is not what it must be; the message says where and what."""


@cache
def rules() -> tuple[type[Rule], ...]:
    """All rules by name: those of `gradlint.rules`, then those of installed packages.

    Raises:
        InvalidRuleError: a file does not define exactly one rule of its own name, an entry point is
        no
            rule, or two rules have one name.
    """
    found: dict[str, type[Rule]] = {}
    for rule in [*_own_rules(), *_foreign_rules()]:
        other = found.setdefault(rule.name(), rule)
        if other is not rule:
            raise InvalidRuleError(
                f"two rules are called {rule.name()!r}: {_place(other)} and {_place(rule)}"
            )
    return tuple(found[name] for name in sorted(found))


def rule_named(name: str) -> type[Rule]:
    """The rule called `name`.

    Raises:
        KeyError: there is none; the message names the nearest.
    """
    known = {rule.name(): rule for rule in rules()}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "`gradlint rules` lists them"
    raise KeyError(f"there is no rule {name!r}; {hint}")


def documentation(rule: type[Rule]) -> tuple[tuple[str, str], ...]:
    """The sections of a rule's docstring as (heading, text); the first sentence has the heading "".

    Raises:
        InvalidRuleError: the headings are not `HEADINGS` in their order, or one has no text.
    """
    lines = inspect.cleandoc(rule.__doc__ or "").splitlines()
    sections: list[tuple[str, list[str]]] = [("", [])]
    for line in lines:
        if re.fullmatch(r"[A-Z][a-z ]+:", line):
            sections.append((line[:-1], []))
        else:
            sections[-1][1].append(line)
    parsed = tuple((heading, inspect.cleandoc("\n".join(text))) for heading, text in sections)
    _check_documentation(rule, parsed)
    return parsed


def _check_documentation(rule: type[Rule], sections: tuple[tuple[str, str], ...]) -> None:
    headings = tuple(heading for heading, _ in sections[1:])
    if headings != HEADINGS:
        raise InvalidRuleError(
            f"{_place(rule)}: the docstring has the headings {list(headings)}, "
            f"expected {list(HEADINGS)}"
        )
    for heading, text in sections:
        if not text.strip():
            section = f"section {heading!r}" if heading else "first sentence"
            raise InvalidRuleError(f"{_place(rule)}: the {section} of the docstring is empty")


def _own_rules() -> Iterator[type[Rule]]:
    package = importlib.import_module(PACKAGE)
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        yield rule_in(importlib.import_module(f"{PACKAGE}.{name}"))


def rule_in(module: ModuleType) -> type[Rule]:
    """The one rule that a rule file defines.

    Raises:
        InvalidRuleError: it defines none, several, or one whose name is not that of the file.
    """
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Rule)
        and value.__module__ == module.__name__
    ]
    where = getattr(module, "__file__", None) or module.__name__
    if len(defined) != 1:
        names = ", ".join(rule.__name__ for rule in defined) or "none"
        raise InvalidRuleError(f"{where}: a rule file defines one rule, found {names}")
    expected = module.__name__.rpartition(".")[2].replace("_", "-")
    if defined[0].name() != expected:
        raise InvalidRuleError(
            f"{where}: the class {defined[0].__name__} is the rule {defined[0].name()!r}, "
            f"but the file is called {expected!r}; give both one name"
        )
    return defined[0]


def _foreign_rules() -> Iterator[type[Rule]]:
    points = importlib.metadata.entry_points(group=PACKAGE)
    for point in sorted(points, key=lambda point: (point.name, point.value)):
        loaded = point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, Rule)):
            raise InvalidRuleError(
                f"entry point {point.name!r} of group {PACKAGE!r}: {point.value} is a "
                f"{type(loaded).__name__}, expected a subclass of gradlint.rule.Rule"
            )
        yield loaded


def _place(rule: type[Rule]) -> str:
    return f"{rule.__module__}.{rule.__qualname__}"
