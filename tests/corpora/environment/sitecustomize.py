"""Lets torchvision's CUDA wheel be imported beside a CPU build of torch, whose start is unchanged.

The wheel registers kernels for operators that only its compiled library declares, and that library
does not load without CUDA. Declaring the operators just before torchvision runs is enough, and is
left out where torchvision was already mended in the same way.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[object] = []  # because operators are withdrawn when their library is collected


class _BeforeTorchvision:
    """Finds torchvision as Python does and declares its operators before its first line runs."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = functools.partial(_execute, spec.loader.exec_module)
            spec.loader.exec_module = execute  # type: ignore[method-assign]
        return spec


def _execute(execute: Callable[[ModuleType], None], module: ModuleType) -> None:
    import torch

    if torch.version.cuda is None and not (_mended(module) or _loads(module)):
        library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            library.define(schema)
        _declared.append(library)
    execute(module)


def _mended(module: ModuleType) -> bool:
    from pathlib import Path

    return module.__file__ is not None and SCHEMAS[0] in Path(module.__file__).read_text("utf-8")


def _loads(module: ModuleType) -> bool:
    """Whether torchvision's compiled library loads, after which it has declared its operators."""
    import ctypes
    from pathlib import Path

    compiled = [file for folder in module.__path__ for file in Path(folder).glob("_C*.so")]
    try:
        for file in compiled:
            ctypes.CDLL(str(file))
    except OSError:
        return False
    return bool(compiled)


sys.meta_path.insert(0, _BeforeTorchvision())
