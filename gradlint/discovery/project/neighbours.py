"""The classes of a file and of its neighbours, as far as inheritance needs them."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from gradlint.discovery.knowledge.frameworks import FOLLOWED_NEVER, Base, base_kind, is_known
from gradlint.discovery.text.imports import Imports, package_of, read_imports
from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.text.outline import Outline, Scope, outline
from gradlint.discovery.text.source import parse, read
from gradlint.program import Unreadable

_DEEPEST = 12
"""Imports that are followed from file to file: re-exports seldom pass through more than three."""

_LONGEST = 64
"""Classes of one lineage that are looked at; those of real models have at most a dozen."""


@dataclass(frozen=True, slots=True)
class ClassOutline:
    """What a subclass inherits: bases, methods and attributes by name, and the constructor.

    `hollow` are methods that only raise or do nothing; `abstract` those marked as abstract methods.
    """

    name: str
    bases: tuple[str, ...]
    methods: frozenset[str]
    attributes: frozenset[str]
    hollow: frozenset[str]
    abstract: frozenset[str]
    init: ast.arguments | None


@dataclass(frozen=True, slots=True)
class ModuleOutline:
    """A file's classes by qualified name and its imports; `folder` is on the import path."""

    path: Path
    package: str
    folder: Path
    classes: Mapping[str, ClassOutline]
    imports: Imports

    @property
    def dotted(self) -> str:
        """The name by which the file is imported."""
        stem = self.path.stem
        return self.package if stem == "__init__" else f"{self.package}.{stem}".strip(".")

    @property
    def uses_torch(self) -> bool:
        """Whether anything is imported from torch or a library around it."""
        meanings = (*self.imports.names.values(), *self.imports.stars)
        return any(name.split(".")[0] in _TORCH for name in meanings)


_TORCH = frozenset("torch lightning pytorch_lightning transformers timm fairseq diffusers".split())


@dataclass(frozen=True, slots=True)
class Lineage:
    """A class and all it inherits from: `classes` in sight, nearest first, others by name."""

    classes: tuple[tuple[ClassOutline, ModuleOutline], ...]
    opaque: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[Base]:
        """What the bases that are not in sight are known for."""
        return frozenset(map(base_kind, self.opaque))

    @property
    def is_module(self) -> bool:
        """Whether instances are torch modules; with an unknown base, where there is a forward."""
        if any(kind.is_module for kind in self.kinds):
            return True
        return Base.UNKNOWN in self.kinds and any(
            "forward" in outline.methods and module.uses_torch for outline, module in self.classes
        )

    @property
    def has_forward(self) -> bool:
        """Whether a forward that does something is defined or inherited."""
        for outlined, _ in self.classes:
            if "forward" in outlined.methods | outlined.attributes:
                return "forward" not in outlined.hollow
        return any(kind.has_forward or kind is Base.UNKNOWN for kind in self.kinds)

    @property
    def abstract(self) -> frozenset[str]:
        """The abstract methods that no class of the lineage implements."""
        missing: set[str] = set()
        for outlined, _ in reversed(self.classes):
            missing -= outlined.methods
            missing |= outlined.abstract
        return frozenset(missing)

    @property
    def constructor(self) -> ClassOutline | None:
        """The nearest class whose `__init__` does more than to hand on `*args, **kwargs`."""
        outlines = (outlined for outlined, _ in self.classes)
        return next((each for each in outlines if each.init and not _hands_on(each.init)), None)

    def defines(self, name: str) -> bool:
        """Whether a class in sight has the method or attribute."""
        return any(name in outlined.methods | outlined.attributes for outlined, _ in self.classes)


def _hands_on(init: ast.arguments) -> bool:
    named = [*init.posonlyargs, *init.args, *init.kwonlyargs]
    return len(named) == 1 and init.vararg is not None and init.kwarg is not None


def module_outline(path: Path, tree: ast.Module, outlined: Outline) -> ModuleOutline:
    """The classes and imports of a file that has been parsed."""
    package, folder = package_of(path)
    imports = read_imports(outlined.imports, package, tree.body, outlined.late)
    names = {scope.name for scope in outlined.classes}
    classes = {scope.name: _class_outline(scope, imports, names) for scope in outlined.classes}
    return ModuleOutline(path, package, folder, classes, imports)


@dataclass(slots=True)
class Neighbourhood:
    """The project around one file, in which dotted names are looked up; remembers what it found."""

    root: Path
    lookups: Lookups = field(default_factory=Lookups)
    _files: dict[tuple[str, Path], Path | None] = field(default_factory=dict)

    def lineage(self, name: str, module: ModuleOutline) -> Lineage:
        """Everything a class of `module` inherits from; cycles and missing files are no error."""
        classes: list[tuple[ClassOutline, ModuleOutline]] = []
        opaque: list[str] = []
        seen: set[tuple[Path, str]] = set()
        stack = [(name, module)]
        while stack and len(classes) < _LONGEST:
            base, origin = stack.pop()
            found = self.find_class(base, origin)
            if found is None:
                opaque.append(_starred(base, origin))
            elif (key := (found[1].path, found[0].name)) not in seen:
                seen.add(key)
                classes.append(found)
                stack.extend((inherited, found[1]) for inherited in reversed(found[0].bases))
        return Lineage(tuple(classes), tuple(opaque))

    def find_class(
        self, name: str, module: ModuleOutline, depth: int = 0
    ) -> tuple[ClassOutline, ModuleOutline] | None:
        """The class that `name` means in `module`, wherever in the project it is defined."""
        if name in module.classes:
            return module.classes[name], module
        if depth > _DEEPEST or not _to_be_followed(name, module):
            return None
        head, _, rest = name.partition(".")
        meaning = module.imports.names.get(head, head)
        if depth and meaning != head:  # because `import a.b` has `a` mean itself
            return self.find_class(f"{meaning}.{rest}" if rest else meaning, module, depth + 1)
        if "." not in name:
            starred = (
                self.find_class(f"{star}.{name}", module, depth + 1)
                for star in module.imports.stars
            )
            return next((found for found in starred if found), None)
        return self._elsewhere(name, module, depth)

    def has(self, module: str, origin: ModuleOutline) -> bool:
        """Whether the project has a file for a module that `origin` imports."""
        return self._module_file(module, origin) is not None

    def _elsewhere(
        self, name: str, module: ModuleOutline, depth: int
    ) -> tuple[ClassOutline, ModuleOutline] | None:
        dots = name[: len(name) - len(name.lstrip("."))]
        parts = name[len(dots) :].split(".")
        for count in range(len(parts) - 1, 0 if not dots else -1, -1):
            path = self._module_file(dots + ".".join(parts[:count]), module)
            if path is None or path == module.path or not _may_define(path, parts[count:]):
                continue
            other = file_outline(path)
            if other is not None:
                return self.find_class(".".join(parts[count:]), other, depth + 1)
        return None

    def _module_file(self, module: str, origin: ModuleOutline) -> Path | None:
        key = (module, origin.path.parent)
        if key not in self._files:
            self._files[key] = self._find_file(module, origin)
        return self._files[key]

    def _find_file(self, module: str, origin: ModuleOutline) -> Path | None:
        dotted = module.lstrip(".")
        parts = dotted.split(".") if dotted else []
        for folder in self._folders(module, dotted, origin):
            base = folder.joinpath(*parts)
            for file in (base / "__init__.py", base.with_name(base.name + ".py")):
                if self.lookups.is_file(file):
                    return file
        return None

    def _folders(self, module: str, dotted: str, origin: ModuleOutline) -> Iterator[Path]:
        level = len(module) - len(dotted)
        if level:
            parents = (origin.path.parent, *origin.path.parent.parents)
            yield parents[min(level, len(parents)) - 1]
            return
        head = dotted.split(".", maxsplit=1)[0]
        own = origin.package.split(".")[0]
        if head != own and is_known(head):
            return
        yield origin.folder
        if head != own:
            yield from (self.root, self.root / "src")


def _to_be_followed(name: str, module: ModuleOutline) -> bool:
    """Whether the file that defines a base may say more about it than its name does."""
    kind, head = base_kind(name), name.split(".", 1)[0]
    if kind in (Base.LIGHTNING, Base.PRETRAINED):
        return False
    own = head == module.package.split(".", 1)[0] and head != "torch"
    return kind is Base.UNKNOWN or own or (kind.is_module and head not in FOLLOWED_NEVER)


def _may_define(path: Path, names: list[str]) -> bool:
    """Whether the text of a file can define or re-export a name; most need no parsing to know."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return not names or names[0].encode() in data or b"import *" in data


def file_outline(path: Path) -> ModuleOutline | None:
    """The outline of a project file, None where it cannot be read; kept until the file changes."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return _file_outline(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _file_outline(path: Path, modified: int, size: int) -> ModuleOutline | None:
    source = read(path, path.name)
    if isinstance(source, Unreadable):
        return None
    tree = parse(source)
    return None if isinstance(tree, Unreadable) else module_outline(path, tree, outline(tree))


def _starred(name: str, module: ModuleOutline) -> str:
    """The name of a base that no file defines; a bare one may come from `import *`."""
    if "." in name or base_kind(name) is Base.OTHER:
        return name
    star = next((star for star in module.imports.stars if star.startswith("torch")), "")
    return f"{star}.{name}" if star else name


def _class_outline(scope: Scope, imports: Imports, classes: set[str]) -> ClassOutline:
    assert isinstance(scope.node, ast.ClassDef)
    functions = [child.node for child in scope.children if child.function]
    methods = [node for node in functions if isinstance(node, ast.FunctionDef)]
    init = next((node.args for node in reversed(methods) if node.name == "__init__"), None)
    return ClassOutline(
        scope.name,
        tuple(_bases(scope, scope.node, imports, classes)),
        frozenset(node.name for node in methods),
        frozenset(name.removeprefix("self.") for name in scope.bindings),
        frozenset(node.name for node in methods if _is_hollow(node)),
        frozenset(node.name for node in methods if _is_abstract(node)),
        init,
    )


def _bases(scope: Scope, node: ast.ClassDef, imports: Imports, classes: set[str]) -> Iterator[str]:
    for base in node.bases:
        # Because `Generic[T]` is subscripted and `with_metaclass(Meta, Base)` is a call.
        bare = base.value if isinstance(base, ast.Subscript) else base
        for expression in bare.args if isinstance(bare, ast.Call) else [bare]:
            local = _local_class(scope, ast.unparse(expression), classes)
            yield local or imports.qualified(expression) or "?"


def _local_class(scope: Scope, written: str, classes: set[str]) -> str:
    """The qualified name of the local class meant by `written` where `scope` is defined."""
    for around in scope.parent.outward if scope.parent else ():
        name = f"{around.name}.{written}" if around.name else written
        if name in classes and name != scope.name:
            return name
    return ""


def _is_abstract(node: ast.FunctionDef) -> bool:
    return any("abstract" in ast.unparse(decorator) for decorator in node.decorator_list)


def _is_hollow(node: ast.FunctionDef) -> bool:
    body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return all(isinstance(statement, (ast.Raise, ast.Pass)) for statement in body)
