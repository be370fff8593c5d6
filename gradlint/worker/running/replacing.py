"""How functions of installed packages do something else for a while."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import cast


@contextlib.contextmanager
def replaced(module: str, name: str, replacement: Callable[..., object]) -> Iterator[None]:
    """Within it a function of an imported module does what another does.

    It is changed in place, because it may have been imported by name already. The replacement must
    import what it needs, because it runs in the namespace of the function.
    """
    function = getattr(sys.modules.get(module), name, None)
    function = inspect.unwrap(function) if callable(function) else None
    if not isinstance(function, FunctionType) or function.__closure__ or name in originals:
        yield
        return
    code = function.__code__
    originals[name] = FunctionType(code, function.__globals__, name, function.__defaults__)
    originals[name].__kwdefaults__ = function.__kwdefaults__
    function.__code__ = cast(FunctionType, replacement).__code__
    try:
        yield
    finally:
        function.__code__ = code
        del originals[name]


originals: dict[str, FunctionType] = {}
"""What the functions that are replaced just now would do, by name."""
