"""What a file does without where an import that it guards fails."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Iterator, Mapping

from gradlint.worker.running.failure import MissingPackageError

_CATCHES_IMPORT_ERRORS = {
    "ImportError",
    "ModuleNotFoundError",
    "Exception",
    "BaseException",
}
_HOPS = 4
"""Files that may hand a name on to each other by importing it."""


def guards(tree: ast.Module) -> Iterator[ast.Try | ast.With]:
    """The blocks of a file in which it expects imports to fail."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches(handler.type) for handler in node.handlers):
            yield node
        if isinstance(node, ast.With) and any(
            "suppress" in ast.unparse(item.context_expr) for item in node.items
        ):
            yield node


def _catches(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(name).rpartition(".")[2] in _CATCHES_IMPORT_ERRORS for name in names)


def missing_behind(error: BaseException) -> MissingPackageError | None:
    """The package for whose absence a name is None, or unbound, so that `error` was raised.

    As of `settings.depth` where the file has `except ImportError: settings = None`. None where the
    error has another reason.
    """
    steps = list(traceback.walk_tb(error.__traceback__))
    if not steps:
        return None
    frame, line = steps[-1]
    text = linecache.getline(frame.f_code.co_filename, line)
    for name in _suspected(error, text, frame.f_globals, frame.f_code.co_names):
        if name not in frame.f_locals or frame.f_locals is frame.f_globals:
            found = _behind(frame.f_globals, name, _HOPS)
            if found is not None:
                return found.with_traceback(error.__traceback__)
    return None


def _suspected(
    error: BaseException, text: str, known: Mapping[str, object], names: tuple[str, ...]
) -> Iterator[str]:
    """The names of the failing line that are bound to nothing, and used as if they were."""
    if isinstance(error, NameError):
        yield from (name for name in names if name not in known and name in str(error))
    elif "NoneType" in str(error):
        for name in names:
            used = re.search(rf"(?<![.\w]){name}\s*[.(\[]", text) or not text
            if used and known.get(name, 0) is None:
                yield name


def _behind(known: Mapping[str, object], name: str, hops: int) -> MissingPackageError | None:
    """The missing package in the guard that should have bound a name, here or where it is from."""
    path = str(known.get("__file__", ""))
    tree = _parsed(path)
    for guard in guards(tree):
        if name in _bound(guard):
            for node, package in _imported(guard):
                if _is_absent(package):
                    return MissingPackageError(package, path, node.lineno)
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    for each in imports if hops else ():
        own = next((a.name for a in each.names if name == (a.asname or a.name)), None)
        origin = sys.modules.get(_module(each, known))
        if own is not None and origin is not None:
            return _behind(vars(origin), own, hops - 1)
    return None


def _parsed(path: str) -> ast.Module:
    with contextlib.suppress(SyntaxError, ValueError):
        return ast.parse("".join(linecache.getlines(path)))
    return ast.Module([], [])


def _is_absent(package: str) -> bool:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec(package) is None
    return False


def _bound(guard: ast.AST) -> set[str]:
    """The names that a block imports or assigns."""
    nodes = list(ast.walk(guard))
    aliases = (a for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names)
    stored = (n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return {(a.asname or a.name).partition(".")[0] for a in aliases} | set(stored)


def _imported(guard: ast.Try | ast.With) -> Iterator[tuple[ast.stmt, str]]:
    """The packages that a block tries to import, each with its statement."""
    for node in (node for statement in guard.body for node in ast.walk(statement)):
        match node:
            case ast.Import(names=aliases):
                yield from ((node, alias.name.partition(".")[0]) for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                yield node, module.partition(".")[0]


def _module(node: ast.ImportFrom, known: Mapping[str, object]) -> str:
    """The full name of the module that something is imported from."""
    written = "." * node.level + (node.module or "")
    package = str(known.get("__package__") or "")
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.resolve_name(written, package)
    return ""
