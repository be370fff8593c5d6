"""gradlint: a linter for PyTorch models that proves its findings by measuring gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlint.api import Report, UnhealthyModelError, assert_healthy, check, lint

__all__ = ["Report", "UnhealthyModelError", "assert_healthy", "check", "lint"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """What `__all__` names, imported when it is asked for: the worker imports this package, too.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gradlint import api

    return getattr(api, name)
