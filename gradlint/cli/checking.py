"""The command `check`: what to lint with which settings, and what status that gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradlint.cli.options import CHECKING, TRACING, Checking, Tracing
from gradlint.cli.output import colored, rendered, write
from gradlint.cli.settings import checked, configured
from gradlint.reporters.formats import FORMATS

if TYPE_CHECKING:
    from gradlint.config import Config
    from gradlint.report import Report

FINDINGS = 1


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@CHECKING
@TRACING
def check(paths: tuple[Path, ...], **options: object) -> int:
    """Lint files and directories (default: the current one); - is standard input."""
    from gradlint.engine import lint

    tracing, asked = _split(options)
    outputs = _outputs(asked)
    with _source(paths or (Path(),), asked) as (files, names, place):
        config, root = configured(place, tracing)
        config = checked(config, asked)
        report = lint(files, config, root)
    report = _named(report, names)
    for format_, file in outputs:
        text = rendered(report, format_, asked, root, to_file=file is not None)
        write(text, file, color=colored(asked.color) and file is None)
    return _status(report, config, asked)


def _split(options: dict[str, object]) -> tuple[Tracing, Checking]:
    tracing = {name: options.pop(name) for name in Tracing.__slots__}
    return Tracing(**tracing), Checking(**options)  # type: ignore[arg-type]  # as click made them


def _outputs(asked: Checking) -> list[tuple[str, Path | None]]:
    outputs: list[tuple[str, Path | None]] = []
    for text in asked.formats:
        name, equals, file = text.partition("=")
        if name not in FORMATS or (equals and not file):
            known = ", ".join(FORMATS)
            raise click.UsageError(f"--format {text}: expected FORMAT or FORMAT=FILE with {known}")
        outputs.append((name, Path(file) if file else asked.output))
    if not any(equals == "" for _, equals, _ in (text.partition("=") for text in asked.formats)):
        outputs.append(("text", asked.output))
    if len({file for _, file in outputs}) < len(outputs):
        raise click.UsageError("two formats for one output; write FORMAT=FILE for all but one")
    return outputs


def _check_stdin(paths: tuple[Path, ...], asked: Checking) -> None:
    if Path("-") not in paths and asked.stdin_filename is not None:
        raise click.UsageError("--stdin-filename needs - as the path")
    if Path("-") in paths and len(paths) > 1:
        raise click.UsageError("- stands for standard input and takes no other paths beside it")


@contextmanager
def _source(
    paths: tuple[Path, ...], asked: Checking
) -> Iterator[tuple[tuple[Path, ...], dict[str, str], tuple[Path, ...]]]:
    """The files to lint, other names for them in reports, and where configuration is looked for."""
    _check_stdin(paths, asked)
    if Path("-") not in paths:
        yield paths, {}, paths
        return
    import tempfile

    name = asked.stdin_filename or Path("stdin.py")
    inside = Path(os.path.relpath(name)) if not name.is_absolute() else Path(name.name)
    with tempfile.TemporaryDirectory(prefix="gradlint-") as directory:
        file = Path(directory).resolve() / Path(*(part for part in inside.parts if part != ".."))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sys.stdin.buffer.read())
        yield (file,), {str(file): name.as_posix()}, (name.absolute(),)


def _named(report: Report, names: dict[str, str]) -> Report:
    from gradlint.reporters.presentation import rebased

    if not names:
        return report
    shown = {file.path: names.get(str(Path(file.path).absolute())) for file in report.files}
    return rebased(report, {path: name for path, name in shown.items() if name})


def _status(report: Report, config: Config, asked: Checking) -> int:
    from gradlint.reporters.presentation import fails, unprobed

    missed = len(unprobed(report)) if config.require_trace else 0
    if missed:
        click.echo(f"gradlint: --require-trace: {missed} models were not probed", err=True)
    failed = bool(missed) or fails(report, config.fail_on)
    return FINDINGS if failed and not asked.exit_zero else 0
