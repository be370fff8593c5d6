"""What a source file says about models and their training, read without running it."""

from __future__ import annotations

import ast
from pathlib import Path

from gradlint.discovery.prefilter import may_train
from gradlint.discovery.source import Source, parse, read, syntax_error
from gradlint.discovery.suppressions import read_suppressions
from gradlint.program import Program, Unreadable
from gradlint.span import Span

__all__ = ["discover"]


def discover(path: Path, shown: str, root: Path) -> Program | Unreadable:
    """Read the models, training loops and suppressions of one file; raises nothing.

    `shown` is the path that spans carry. Imports of project files are followed below `root` and in
    the package around the file, as far as base classes need it. A file that is missing, too large,
    not text or not Python is `Unreadable`, with the place of the error.
    """
    path = path.absolute()
    source = read(path, shown)
    if isinstance(source, Unreadable):
        return source
    try:
        return _program(source, root.absolute())
    except RecursionError:
        # Because an expression may be too deep to be copied and yet shallow enough to be parsed.
        return Unreadable(Span(shown, 1), "is nested too deeply to be read")


def _program(source: Source, root: Path) -> Program | Unreadable:
    if not may_train(source.text, source.path, root):
        return _without_models(source)
    tree = parse(source)
    if isinstance(tree, Unreadable):
        return tree
    return _read(source, tree, root)


def _without_models(source: Source) -> Program | Unreadable:
    if "gradlint:" not in source.text:
        return syntax_error(source) or Program(source.shown, source.lines)
    tree = parse(source)
    if isinstance(tree, Unreadable):
        return tree
    suppressions = read_suppressions(source, tree)
    return Program(source.shown, source.lines, suppressions=suppressions)


def _read(source: Source, tree: ast.Module, root: Path) -> Program:
    # Because most files of most projects hold no model, and a run over those alone starts sooner.
    from gradlint.discovery.loops import read_loops
    from gradlint.discovery.models import read_models
    from gradlint.discovery.reading import read_outline

    reading = read_outline(source, tree, root)
    models = read_models(reading)
    loops = read_loops(reading, models)
    suppressions = read_suppressions(source, tree)
    return Program(source.shown, source.lines, models.definitions, loops, suppressions)
