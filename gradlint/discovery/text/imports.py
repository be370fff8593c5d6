"""What a name in a file means: the dotted name it was imported under."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_DOTTED = re.compile(r"[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Imports:
    """Local names with what they stand for, absolute (`torch.nn.Linear`) where that is known.

    A name from a relative import of a file outside any package keeps its leading dots. `late` are
    names that importing the file does not import, with expressions that do. `stars` are
    the modules that are imported from with `*`.
    """

    names: Mapping[str, str]
    stars: tuple[str, ...] = ()
    late: Mapping[str, str] = field(default_factory=dict)

    def qualified(self, expression: ast.expr) -> str:
        """The dotted name that `nn.Linear` or the like stands for; "" for other expressions."""
        parts: list[str] = []
        while isinstance(expression, ast.Attribute):
            parts.append(expression.attr)
            expression = expression.value
        if not isinstance(expression, ast.Name):
            return ""
        return canonical(".".join((self.names.get(expression.id, expression.id), *parts[::-1])))

    def alias(self, module: str) -> str:
        """The local name of an imported module or object, "" if it has none."""
        return next((name for name, meaning in self.names.items() if meaning == module), "")


def canonical(name: str) -> str:
    """The public name of something in torch that was reached through the module that defines it."""
    if not name.startswith(("torch.nn.modules.", "torch.optim.")):
        return name
    parts = name.split(".")
    return f"torch.{parts[1]}.{parts[-1]}" if parts[-1][:1].isupper() else name


def read_imports(
    statements: Sequence[ast.Import | ast.ImportFrom],
    package: str,
    module: Iterable[ast.stmt] = (),
    late: frozenset[ast.Import | ast.ImportFrom] = frozenset(),
) -> Imports:
    """The meaning of every imported name of a file, in whichever scope it was imported.

    `package` is the dotted name of the package around the file, "" if there is none. `module` are
    the top-level statements: `Conv = nn.Conv2d` makes another name for an imported one. `late` are
    the statements that importing the file does not run. Where a name is imported twice, as with a
    fallback, what comes from torch wins, otherwise what comes first.
    """
    names: dict[str, str] = {}
    stars: list[str] = []
    early: set[str] = set()
    for statement in statements:
        for name, meaning in _meanings(statement, package):
            if statement not in late:
                early.add(name)
            if name == "*":
                stars.append(meaning)
            elif name not in names or meaning.startswith("torch."):
                names[name] = meaning
    expressions: dict[str, str] = {}
    for statement in statements:  # in this order, because a set has another each time
        for name, text in _expressions(statement, package) if statement in late else ():
            expressions.setdefault(name, text)
    missing = {name: text for name, text in expressions.items() if name not in early}
    imports = Imports(names, tuple(stars), missing)
    for line in module:
        match line:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Attribute() | ast.Name() as value
            ):
                meaning = imports.qualified(value)
                if name not in names and meaning.split(".")[0] in _heads(names):
                    names[name] = meaning
    return imports


def _heads(names: Mapping[str, str]) -> set[str]:
    return {meaning.split(".")[0] for meaning in names.values()}


def _meanings(statement: ast.Import | ast.ImportFrom, package: str) -> Iterable[tuple[str, str]]:
    if isinstance(statement, ast.Import):
        for item in statement.names:
            # Because `import torch.nn` binds `torch`, and `import torch.nn as nn` binds `nn`.
            head = item.name.split(".")[0]
            yield (item.asname, item.name) if item.asname else (head, head)
        return
    module = absolute(statement.module or "", statement.level, package)
    for item in statement.names:
        joined = module + item.name if module.endswith(".") else f"{module}.{item.name}"
        yield (item.asname or item.name, module if item.name == "*" else joined)


def _expressions(statement: ast.Import | ast.ImportFrom, package: str) -> Iterable[tuple[str, str]]:
    """Each name that a statement imports, with an expression that imports it."""
    load = "__import__('importlib').import_module"
    if isinstance(statement, ast.Import):
        for item in statement.names:
            head = item.name.split(".", maxsplit=1)[0]
            by_name = item.asname, f"{load}('{item.name}')"
            yield by_name if item.asname else (head, f"__import__('{item.name}')")  # type: ignore[misc]
        return
    module = absolute(statement.module or "", statement.level, package)
    for item in statement.names:
        if not module.startswith(".") and item.name != "*":
            yield item.asname or item.name, f"{load}('{module}').{item.name}"


def absolute(module: str, level: int, package: str) -> str:
    """The absolute name of a relative import; dots remain where `package` is too short."""
    if level == 0:
        return module
    parents = package.split(".") if package else []
    if level > len(parents):
        return "." * level + module
    return ".".join((*parents[: len(parents) - level + 1], *([module] if module else [])))


def package_of(path: Path) -> tuple[str, Path]:
    """The name of the package around a file, "" if none, and the folder it is imported from."""
    parts: list[str] = []
    directory = path.parent
    while (directory / "__init__.py").is_file() and directory.name.isidentifier():
        parts.append(directory.name)
        directory = directory.parent
    return ".".join(reversed(parts)), directory


def may_mean(module: str, path: Path) -> bool:
    """Whether a dotted name may be that of a file, by its last part: the file's or a folder's."""
    return module.rpartition(".")[2] in {path.stem, *(folder.name for folder in path.parents)}
