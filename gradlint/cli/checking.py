"""The command `check`: what to lint with which settings, and what status that gives."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradlint.cli.meter import watching
from gradlint.cli.options import CHECKING, TRACING, Checking, Tracing
from gradlint.cli.output import colored, complain, rendered, write
from gradlint.cli.settings import checked, configured
from gradlint.reporters.formats import FORMATS

if TYPE_CHECKING:
    from gradlint.report import Report
    from gradlint.settings.config import Config

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
    _check_stdin(paths, asked)
    contents = _from_stdin(paths, asked)
    paths = tuple(contents) or paths or (Path(),)
    config, root = configured(paths, tracing)
    config = checked(config, asked)
    if asked.show_settings or asked.show_files:
        return _show(paths, contents, config, root, asked)
    used = config.baseline
    if asked.write_baseline:
        config = replace(config, baseline="")
    with watching() as watch:
        report = lint(paths, config, root, contents=contents, watch=watch)
    if asked.write_baseline:
        report = _with_new_baseline(report, asked.write_baseline.absolute(), config, root)
        if not used:
            complain(
                f'baseline = "{asked.write_baseline}" in [tool.gradlint] makes every run use it'
            )
    for format_, file in outputs:
        text = rendered(report, format_, asked, root, to_file=file is not None)
        write(text, file, color=colored(asked.color) and file is None)
    return _status(report, config, asked)


def _show(
    paths: tuple[Path, ...],
    contents: dict[Path, bytes],
    config: Config,
    root: Path,
    asked: Checking,
) -> int:
    """Tell the settings, the files, or both, instead of linting."""
    from gradlint.cli.showing import files_text, settings_text
    from gradlint.engine import found_files

    if asked.show_settings:
        write(settings_text(config, root), asked.output, color=False)
    if asked.show_files:
        write(files_text(found_files(paths, config, root, contents)), asked.output, color=False)
    return 0


def _with_new_baseline(report: Report, file: Path, config: Config, root: Path) -> Report:
    from gradlint.baseline import write_baseline
    from gradlint.engine import accepting_baseline
    from gradlint.reporters.footer import counted

    baseline = write_baseline(file, report, root)
    accepted = sum(count for _, count in baseline.accepted)
    complain(f"{file} accepts {counted(accepted, 'finding')}")
    return accepting_baseline(report, baseline, config, root)


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


def _from_stdin(paths: tuple[Path, ...], asked: Checking) -> dict[Path, bytes]:
    """What stands on standard input, under the path at which it is to be linted."""
    if Path("-") not in paths:
        return {}
    name = asked.stdin_filename or Path("stdin.py")
    return {Path(os.path.normpath(name.absolute())): sys.stdin.buffer.read()}


def _status(report: Report, config: Config, asked: Checking) -> int:
    from gradlint.reporters.presentation import fails, unprobed

    missed = len(unprobed(report)) if config.require_trace else 0
    if missed:
        click.echo(f"gradlint: --require-trace: {missed} models were not probed", err=True)
    failed = bool(missed) or fails(report, config.fail_on)
    return FINDINGS if failed and not asked.exit_zero else 0
