"""Notebooks: the Python in their cells, and which of its statements models need."""

from __future__ import annotations

import ast
import json
import re
import symtable
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradlint.program import ModelDefinition, Unreadable
from gradlint.protocol.span import Span

SUFFIX = ".ipynb"

_PYTHON_MAGICS = re.compile(r"\s*%%(time|timeit|capture|prun|debug|px|snakeviz|memit|mprun)\b")
_MAGIC = re.compile(r"\s*[%!?]|.*\?\s*(#.*)?$")
_ASSIGNED = re.compile(r"(\s*[\w.,\[\] ]+?\s*=\s*)[%!]")
_PATHS = re.compile(r"sys\.path\.(append|insert|extend)\(")


@dataclass(frozen=True, slots=True)
class Cells:
    """The code of a notebook as one text; `starts` are the indices of lines at which cells begin.

    All cells have a start, those without code that of the next one that has some.
    """

    text: str
    starts: tuple[int, ...]


def read_cells(text: str, shown: str) -> Cells | Unreadable:
    """The Python of a notebook, magics and shell lines replaced by statements that do nothing.

    A notebook in another language has no code. What is no notebook, or a cell that is not Python,
    is `Unreadable` at its place.
    """
    document = _document(text, shown)
    if isinstance(document, Unreadable):
        return document
    lines: list[str] = []
    starts: list[int] = []
    for number, cell in enumerate(document["cells"], 1):
        starts.append(len(lines))
        if cell["cell_type"] != "code" or not _is_python(document):
            continue
        source = cell["source"]
        code = _as_python(source if isinstance(source, str) else "".join(source))
        if isinstance(code, SyntaxError):
            line, column = max(code.lineno or 1, 1), max(code.offset or 1, 1)
            return Unreadable(Span(shown, line, column, cell=number), f"syntax error: {code.msg}")
        lines += code
    return Cells("".join(f"{line}\n" for line in lines), tuple(starts))


_Document = dict[str, list[dict[str, str]]]


def _document(text: str, shown: str) -> _Document | Unreadable:
    try:
        document: _Document = json.loads(text)
    except json.JSONDecodeError as error:
        place = Span(shown, error.lineno, error.colno)
        return Unreadable(place, f"is a notebook that is not JSON: {error.msg}")
    except RecursionError:
        return Unreadable(Span(shown, 1), "is a notebook that is nested too deeply")
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or not all(map(_is_cell, cells)):
        reason = "is no notebook of version 4: it has no list of cells with a type and a source"
        return Unreadable(Span(shown, 1), reason)
    return document


def _is_cell(cell: object) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    source = cell.get("source")
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


def _is_python(document: _Document) -> bool:
    metadata: object = document.get("metadata")
    about = metadata if isinstance(metadata, dict) else {}
    kernel, language = about.get("kernelspec"), about.get("language_info")
    named = [
        kernel.get("language") if isinstance(kernel, dict) else None,
        language.get("name") if isinstance(language, dict) else None,
    ]
    return all(name in (None, "python", "ipython") for name in named)


def _as_python(text: str) -> list[str] | SyntaxError:
    """The lines of a cell; a line that is not Python is one of the notebook if it looks so."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    if text.lstrip().startswith("%%") and not _PYTHON_MAGICS.match(text):
        return [""] * len(lines)
    while True:
        error = _syntax_error("\n".join(lines))
        if error is None:
            return lines
        index = (error.lineno or 1) - 1
        if index >= len(lines) or not _neutralise(lines, index):
            return error


def _syntax_error(text: str) -> SyntaxError | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or "nested too deeply")
    return None


def _neutralise(lines: list[str], index: int) -> bool:
    """Replace a magic or shell line and those that continue it; false if this is none."""
    line = lines[index]
    indent = line[: len(line) - len(line.lstrip())]
    if assigned := _ASSIGNED.match(line):
        lines[index] = f"{assigned[1]}None"
    elif _MAGIC.match(line):
        lines[index] = f"{indent}pass"
    else:
        return False
    while line.endswith("\\") and index + 1 < len(lines):
        index += 1
        line, lines[index] = lines[index], ""
    return True


def needed_text(tree: ast.Module, lines: Iterable[str], models: Iterable[ModelDefinition]) -> str:
    """The text with nothing left in it but what the models are made of; lines keep their numbers.

    These are the classes, functions, imports and assignments that give a value to a name which a
    model's class, or a way to build it, or another of these uses; and changes of `sys.path`.
    """
    kept = _needed(tree, {name for model in models for name in _names_of(model)})
    wanted = {line for statement in kept for line in _lines_of(statement)}
    return "".join(
        f"{line}\n" if number in wanted else "\n" for number, line in enumerate(lines, 1)
    )


def _names_of(model: ModelDefinition) -> Iterator[str]:
    yield model.name.partition(".")[0]
    for candidate in model.candidates:
        bound = (text for _, text in candidate.bindings)
        for text in (candidate.constructor, *(candidate.inputs or ()), *bound):
            yield from re.findall(r"[^\W\d]\w*", text)


def _needed(tree: ast.Module, names: set[str]) -> list[ast.stmt]:
    left, kept = list(tree.body), list[ast.stmt]()
    while found := [statement for statement in left if _is_needed(statement, names)]:
        left = [statement for statement in left if statement not in found]
        kept += found
        names.update(name for statement in found for name in _used(statement))
    return kept


def _is_needed(statement: ast.stmt, names: set[str]) -> bool:
    if isinstance(statement, ast.Expr):
        return _PATHS.match(ast.unparse(statement)) is not None
    return not names.isdisjoint(_bound(statement)) or "*" in _bound(statement)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives a value to, or changes an entry or attribute of."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name, *_adorned(statement.decorator_list)}
    found: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
                continue
            case ast.Lambda() | ast.AsyncFunctionDef():
                continue
            case ast.alias(name=name, asname=asname):
                found.add(asname or name.partition(".")[0])
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case (
                ast.Attribute(value=ast.Name(id=name), ctx=ast.Store())
                | ast.Subscript(value=ast.Name(id=name), ctx=ast.Store())
            ):
                found.add(name)
        waiting.extend(ast.iter_child_nodes(node))
    return found


def _adorned(decorators: Iterable[ast.expr]) -> Iterator[str]:
    """What decorators such as `add_to_class(Net)` may add to."""
    for decorator in decorators:
        for argument in decorator.args if isinstance(decorator, ast.Call) else ():
            if isinstance(argument, ast.Name):
                yield argument.id


def _used(statement: ast.stmt) -> Iterator[str]:
    """The names of the notebook that a statement uses, at once or when its functions are called."""
    try:
        yield from _globals(symtable.symtable(ast.unparse(statement), "<cell>", "exec"))
    except SyntaxError:
        return  # because what cannot be compiled cannot run, and says so where it is wanted


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)


def _lines_of(statement: ast.stmt) -> range:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (statement.end_lineno or first) + 1)
