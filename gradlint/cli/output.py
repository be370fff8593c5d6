"""Where reports go and how they look there: files, pipes, terminals."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradlint.reporters.formats import FOR_MACHINES, render
from gradlint.settings.toml import ConfigError

if TYPE_CHECKING:
    from gradlint.cli.options import Checking
    from gradlint.report import Report
    from gradlint.reporters.presentation import Style


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    from gradlint.reporters.presentation import cleaned

    click.echo(f"gradlint: {cleaned(message)}", err=True)


def rendered(report: Report, format_: str, asked: Checking, root: Path, *, to_file: bool) -> str:
    """The report in one of `FORMATS`, for a file or for standard output."""
    from gradlint.reporters.presentation import cleaned, rebased

    report = cleaned(report)
    if format_ != "json":
        base = _repository() if format_ in FOR_MACHINES else Path.cwd()
        report = rebased(report, _seen_from(base, report, root))
    style = style_for(asked.color if not to_file else "never", utf8=to_file)
    style = replace(style, show_all=asked.show == "all", statistics=asked.statistics)
    if format_ == "github":
        _add_to_step_summary(report, style)
    return render(format_, report, style)


def _repository() -> Path:
    """The root of the repository where a CI service names it, else the working directory."""
    named = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR")
    return Path(named).resolve() if named and Path(named).is_dir() else Path.cwd()


def _seen_from(base: Path, report: Report, root: Path) -> dict[str, str]:
    """The paths of a report, which are relative to `root`, as they are found from `base`."""
    names = {}
    for file in report.files:
        path = root / file.path
        if path.is_relative_to(base):
            names[file.path] = path.relative_to(base).as_posix()
        elif path.exists() and root != base:
            names[file.path] = os.path.relpath(path, base)
    return names


def _add_to_step_summary(report: Report, style: Style) -> None:
    from gradlint.reporters import github

    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        with _writing(Path(file)), open(file, "a", encoding="utf-8") as page:
            page.write(github.summary(report, style))


def style_for(color: str, *, utf8: bool = False) -> Style:
    """How a report looks on standard output, or in a file of UTF-8."""
    from gradlint.reporters.presentation import Style

    return Style(color=colored(color), unicode=utf8 or _encodes_blocks())


def colored(color: str) -> bool:
    """Whether `--color` means colours on this standard output."""
    if color != "auto":
        return color == "always"
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def _encodes_blocks() -> bool:
    try:
        "▁█→├│…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def write(text: str, file: Path | None, *, color: bool) -> None:
    """Write a report to a file, or to standard output in what encoding it has.

    Raises:
        ConfigError: the file cannot be written.
    """
    if file is None:
        encoding = sys.stdout.encoding or "ascii"
        printable = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            click.echo(printable, nl=False, color=color)
            sys.stdout.flush()
        except BrokenPipeError:  # because `gradlint | head` is no error; the rest has no reader
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    with _writing(file):
        file.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write the report to {file}: {error.strerror or error}"
        ) from error
