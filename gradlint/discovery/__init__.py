"""What a source file says about models and their training, read without running it."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from gradlint.discovery.text.lookups import Lookups
from gradlint.discovery.text.notebooks import needed_text
from gradlint.discovery.text.prefilter import may_train
from gradlint.discovery.text.source import Source, parse, read, syntax_error
from gradlint.discovery.text.suppressions import read_suppressions
from gradlint.program import Program, Unreadable
from gradlint.protocol.span import Span

__all__ = ["discover"]


def discover(
    path: Path, shown: str, root: Path, content: bytes | None = None
) -> Program | Unreadable:
    """Read the models, training loops and suppressions of one file; raises nothing.

    `shown` is the path that spans carry. Imports of project files are followed below `root` and in
    the package around the file, as far as base classes need it. A file that is missing, too large,
    not text or not Python is `Unreadable`, with the place of the error. `content` stands for what
    is on the disk.
    """
    path = path.absolute()
    source = read(path, shown, content)
    if isinstance(source, Unreadable):
        return source
    try:
        program = _program(source, root.absolute())
    except RecursionError:
        # Because an expression may be too deep to be copied and yet shallow enough to be parsed.
        return Unreadable(Span(shown, 1), "is nested too deeply to be read")
    if isinstance(program, Unreadable):
        return program
    if source.cells is not None:
        return replace(program, code=_needed(source, program), cells=source.cells)
    return program if content is None else replace(program, code=source.text)


def _needed(source: Source, program: Program) -> str:
    """What of a notebook its models need."""
    tree = parse(source) if program.models else None
    return needed_text(tree, source.lines, program.models) if isinstance(tree, ast.Module) else ""


def _program(source: Source, root: Path) -> Program | Unreadable:
    lookups = Lookups()
    program = _looked_up(source, root, lookups)
    if isinstance(program, Unreadable):
        return program
    read = tuple(sorted(lookups.read - {str(source.path)}))
    absent = tuple(sorted(lookups.absent))
    return replace(program, read=read, absent=absent)


def _looked_up(source: Source, root: Path, lookups: Lookups) -> Program | Unreadable:
    if not may_train(source.text, source.path, root, lookups):
        return _without_models(source)
    tree = parse(source)
    if isinstance(tree, Unreadable):
        return tree
    return _read(source, tree, root, lookups)


def _without_models(source: Source) -> Program | Unreadable:
    if "gradlint:" not in source.text:
        return syntax_error(source) or Program(source.shown, source.lines)
    tree = parse(source)
    if isinstance(tree, Unreadable):
        return tree
    suppressions = read_suppressions(source, tree)
    return Program(source.shown, source.lines, suppressions=suppressions)


def _read(source: Source, tree: ast.Module, root: Path, lookups: Lookups) -> Program:
    # Because most files of most projects hold no model, and a run over those alone starts sooner.
    from gradlint.discovery.construction.models import read_models
    from gradlint.discovery.project.reading import read_outline
    from gradlint.discovery.training.loops import read_loops
    from gradlint.discovery.training.losses import read_losses

    reading = read_outline(source, tree, root, lookups)
    models = read_models(reading)
    loops = read_loops(reading, models)
    suppressions = read_suppressions(source, tree)
    losses = read_losses(reading, models)
    return Program(
        source.shown, source.lines, models.definitions, loops, suppressions, losses=losses
    )
