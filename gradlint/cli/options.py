"""The options of the commands, and what was asked with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from gradlint.reporters.formats import FORMATS

Command = TypeVar("Command", bound=Callable[..., object])


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order in which help shows them."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Show tracebacks of internal errors."
)
COLOR = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the report; auto: on a terminal or with FORCE_COLOR, not with NO_COLOR.",
)
PYTHON = click.option(
    "--python",
    metavar="PATH",
    default="",
    help="The interpreter (or virtual environment) that runs the linted code.",
)
CACHE_DIR = click.option(
    "--cache-dir",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="GRADLINT_CACHE_DIR",
    help="Keep reports of unchanged files there.  [default: .gradlint_cache in the project root]",
)
CONFIG = together(
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Read this instead of the nearest pyproject.toml with [tool.gradlint].",
    ),
    click.option("--isolated", is_flag=True, help="Read no configuration."),
)
TRACING = together(
    PYTHON,
    click.option(
        "--model",
        metavar="[FILE:]CLASS[(ARGUMENTS)]",
        multiple=True,
        help="How to build a model, such as 'Net(10, hidden=64)'.",
    ),
    click.option(
        "--input",
        metavar="TENSOR",
        multiple=True,
        help="One input of the model: float32[8,3,32,32] or a Python expression. Repeatable.",
    ),
    click.option("--seed", type=click.IntRange(min=0), help="The first seed.  [default: 0]"),
    click.option("--seeds", type=click.IntRange(min=1), help="How many seeds.  [default: 3]"),
    click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0, min_open=True),
        help="Limit for each answer about a model.  [default: 60]",
    ),
    click.option(
        "--memory",
        metavar="MIB",
        type=click.IntRange(min=1),
        help="Limit for each file's process.  [default: 4096]",
    ),
    CONFIG,
)
CHECKING = together(
    click.option(
        "--format",
        "formats",
        metavar="FORMAT[=FILE]",
        multiple=True,
        help=f"{', '.join(FORMATS)}. Repeatable; with =FILE it is written there.",
    ),
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the report there instead of to standard output.",
    ),
    click.option(
        "--select",
        metavar="NAMES",
        multiple=True,
        help="Only these rules or families, with commas.",
    ),
    click.option(
        "--ignore", metavar="NAMES", multiple=True, help="Not these rules or families, with commas."
    ),
    click.option(
        "--extend-select",
        metavar="NAMES",
        multiple=True,
        help="These rules or families besides those selected, with commas.",
    ),
    click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out such paths instead of those of the settings. Repeatable.",
    ),
    click.option(
        "--extend-exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out such paths, too. Repeatable.",
    ),
    click.option(
        "--fail-on",
        type=click.Choice(["error", "warning", "note"]),
        help="The least severity of a confirmed finding that gives status 1.  [default: warning]",
    ),
    click.option("--exit-zero", is_flag=True, help="Give status 0 in spite of findings."),
    click.option(
        "--show",
        type=click.Choice(["confirmed", "all"]),
        default="confirmed",
        help="all: what was refuted, inconclusive or suppressed, too.",
    ),
    click.option("--no-trace", is_flag=True, help="Never run the linted code."),
    click.option(
        "--require-trace", is_flag=True, help="Give status 1 if a model could not be probed."
    ),
    click.option(
        "--statistics",
        is_flag=True,
        help="Count the findings of each rule, below a report for people.",
    ),
    click.option(
        "--baseline",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Report only what is not in this baseline.",
    ),
    click.option(
        "--write-baseline",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write what is found now into a baseline, and report nothing of it.",
    ),
    click.option(
        "--jobs",
        metavar="N",
        type=click.IntRange(min=1),
        help="Lint with so many workers side by side.  [default: as many as pay]",
    ),
    click.option("--no-cache", is_flag=True, help="Neither use nor keep reports of earlier runs."),
    CACHE_DIR,
    click.option("--show-files", is_flag=True, help="List the files that would be linted."),
    click.option("--show-settings", is_flag=True, help="Show the settings that would be used."),
    click.option(
        "--force-exclude", is_flag=True, help="Leave out excluded files even where they are named."
    ),
    click.option(
        "--stdin-filename",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The name of the file that is read from standard input where PATHS is -.",
    ),
    COLOR,
    VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Tracing:
    """The options that say which models run, and how."""

    python: str = ""
    model: tuple[str, ...] = ()
    input: tuple[str, ...] = ()
    seed: int | None = None
    seeds: int | None = None
    timeout: float | None = None
    memory: int | None = None
    config: Path | None = None
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Checking:
    """The options that say what is reported, where and how."""

    formats: tuple[str, ...]
    output: Path | None
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    extend_select: tuple[str, ...]
    exclude: tuple[str, ...]
    extend_exclude: tuple[str, ...]
    fail_on: str | None
    exit_zero: bool
    show: str
    no_trace: bool
    require_trace: bool
    statistics: bool
    baseline: Path | None
    write_baseline: Path | None
    jobs: int | None
    no_cache: bool
    cache_dir: Path | None
    show_files: bool
    show_settings: bool
    force_exclude: bool
    stdin_filename: Path | None
    color: str
