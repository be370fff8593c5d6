"""The command line: options in, reports and an exit status out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gradlint import __version__
from gradlint.toml import ConfigError

if TYPE_CHECKING:
    from gradlint.config import Config
    from gradlint.graph import LayerGraph
    from gradlint.report import ModelSummary, Report
    from gradlint.reporters.presentation import Style

# Everything else is imported where it is used, because --version and --help must answer at once.

FORMATS = ("text", "concise", "json")
FINDINGS, MISUSE, INTERRUPTED = 1, 2, 130

Command = TypeVar("Command", bound=Callable[..., object])


def main() -> None:
    """Run the command line and end the process with the status that the README promises."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit status: 0, 1 for findings, 2 for misuse or an internal error, 130 interrupted."""
    verbose = "-v" in arguments or "--verbose" in arguments
    try:
        status = cli.main(args=list(arguments), prog_name="gradlint", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return MISUSE
    except (click.Abort, KeyboardInterrupt):
        click.echo("gradlint: interrupted", err=True)
        return INTERRUPTED
    except ConfigError as error:
        _complain(str(error))
        return MISUSE
    except Exception as error:  # noqa: BLE001  # as Python's own status is 1: findings
        if verbose:
            import traceback

            traceback.print_exc()
        hint = "" if verbose else " (-v for the traceback)"
        _complain(f"internal error: {type(error).__name__}: {error}{hint}")
        return MISUSE


def _complain(message: str) -> None:
    from gradlint.reporters.presentation import cleaned

    click.echo(f"gradlint: {cleaned(message)}", err=True)


class _Commands(click.Group):
    """Commands of which `check` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "--help", "-h", "--version"}:
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(
            "Options of check, which may be left out: gradlint [OPTIONS] [PATHS]..."
        )
        with click.Context(check, parent=ctx) as inner:
            click.Command.format_options(check, inner, formatter)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradlint", message="%(prog)s %(version)s")
def cli() -> None:
    """Find what stops PyTorch models from learning, and prove it by measuring their gradients.

    Models are built and run in a child process with limits; --no-trace never runs them.
    """


def _with(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, help="Show tracebacks of internal errors."
)
_COLOR = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    help="Colour the report; auto means on a terminal unless NO_COLOR is set.",
)
_PYTHON = click.option(
    "--python",
    metavar="PATH",
    default="",
    help="The interpreter (or virtual environment) that runs the linted code.",
)
_CONFIG = _with(
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Read this instead of the nearest pyproject.toml with [tool.gradlint].",
    ),
    click.option("--isolated", is_flag=True, help="Read no configuration."),
)
_TRACING = _with(
    _PYTHON,
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
    _CONFIG,
)
_CHECKING = _with(
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
    click.option("--statistics", is_flag=True, help="Count the findings of each rule."),
    click.option(
        "--force-exclude", is_flag=True, help="Leave out excluded files even where they are named."
    ),
    click.option(
        "--stdin-filename",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The name of the file that is read from standard input where PATHS is -.",
    ),
    _COLOR,
    _VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Tracing:
    python: str
    model: tuple[str, ...]
    input: tuple[str, ...]
    seed: int | None
    seeds: int | None
    timeout: float | None
    memory: int | None
    config: Path | None
    isolated: bool


@dataclass(frozen=True, slots=True)
class _Checking:
    formats: tuple[str, ...]
    output: Path | None
    select: tuple[str, ...]
    ignore: tuple[str, ...]
    fail_on: str | None
    exit_zero: bool
    show: str
    no_trace: bool
    require_trace: bool
    statistics: bool
    force_exclude: bool
    stdin_filename: Path | None
    color: str


@cli.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_CHECKING
@_TRACING
def check(paths: tuple[Path, ...], **options: object) -> int:
    """Lint files and directories (default: the current one); - is standard input."""
    from gradlint.engine import lint

    tracing, asked = _split(options)
    outputs = _outputs(asked)
    with _source(paths or (Path(),), asked) as (files, names, place):
        config, root = _configured(place, tracing)
        config = _checked(config, asked)
        report = lint(files, config, root)
    report = _named(report, names)
    for format_, file in outputs:
        text = _rendered(report, format_, asked, root, to_file=file is not None)
        _write(text, file, color=_colored(asked.color) and file is None)
    return _status(report, config, asked)


def _split(options: dict[str, object]) -> tuple[_Tracing, _Checking]:
    tracing = {name: options.pop(name) for name in _Tracing.__slots__}
    return _Tracing(**tracing), _Checking(**options)  # type: ignore[arg-type]  # as click made them


def _outputs(asked: _Checking) -> list[tuple[str, Path | None]]:
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


def _check_stdin(paths: tuple[Path, ...], asked: _Checking) -> None:
    if Path("-") not in paths and asked.stdin_filename is not None:
        raise click.UsageError("--stdin-filename needs - as the path")
    if Path("-") in paths and len(paths) > 1:
        raise click.UsageError("- stands for standard input and takes no other paths beside it")


@contextmanager
def _source(
    paths: tuple[Path, ...], asked: _Checking
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


def _configured(paths: Sequence[Path], tracing: _Tracing) -> tuple[Config, Path]:
    from gradlint.config import load_config, model_settings

    config, root = load_config(paths, file=tracing.config, isolated=tracing.isolated)
    given = tracing.model or ((None,) if tracing.input else ())
    models = tuple(model_settings(text, tracing.input) for text in given)
    python = os.path.abspath(tracing.python) if os.sep in tracing.python else tracing.python
    changed = replace(
        config,
        models=(*models, *config.models),
        python=python or config.python,
        seed=config.seed if tracing.seed is None else tracing.seed,
        seeds=tracing.seeds or config.seeds,
        timeout=tracing.timeout or config.timeout,
        memory=tracing.memory or config.memory,
    )
    return changed, root


def _checked(config: Config, asked: _Checking) -> Config:
    from gradlint.config import check_selectors
    from gradlint.evidence import Severity

    select, ignore = _listed(asked.select), _listed(asked.ignore)
    check_selectors([*select, *ignore])
    return replace(
        config,
        select=select or config.select,
        ignore=(*config.ignore, *ignore),
        fail_on=Severity(asked.fail_on) if asked.fail_on else config.fail_on,
        trace=config.trace and not asked.no_trace,
        require_trace=config.require_trace or asked.require_trace,
        force_exclude=config.force_exclude or asked.force_exclude,
    )


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(name for name in names if name)


def _named(report: Report, names: dict[str, str]) -> Report:
    from gradlint.reporters.presentation import rebased

    if not names:
        return report
    shown = {file.path: names.get(str(Path(file.path).absolute())) for file in report.files}
    return rebased(report, {path: name for path, name in shown.items() if name})


def _rendered(report: Report, format_: str, asked: _Checking, root: Path, *, to_file: bool) -> str:
    from gradlint.reporters import concise, json_, text
    from gradlint.reporters.presentation import cleaned, rebased

    report = cleaned(report)
    if format_ == "json":
        return json_.render(report, show_all=asked.show == "all")
    here = rebased(report, _from_here(report, root))
    style = _style(asked.color if not to_file else "never", utf8=to_file)
    style = replace(style, show_all=asked.show == "all", statistics=asked.statistics)
    return text.render(here, style) if format_ == "text" else concise.render(here, style)


def _from_here(report: Report, root: Path) -> dict[str, str]:
    """Paths as an editor started here finds them, for those below the working directory."""
    here, names = Path.cwd(), {}
    for file in report.files:
        path = root / file.path
        if path.is_relative_to(here):
            names[file.path] = path.relative_to(here).as_posix()
        elif path.exists() and root != here:
            names[file.path] = os.path.relpath(path, here)
    return names


def _style(color: str, *, utf8: bool = False) -> Style:
    from gradlint.reporters.presentation import Style

    return Style(color=_colored(color), unicode=utf8 or _encodes_blocks())


def _colored(color: str) -> bool:
    if color != "auto":
        return color == "always"
    return (
        sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def _encodes_blocks() -> bool:
    try:
        "▁█→├│…".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _write(text: str, file: Path | None, *, color: bool) -> None:
    if file is None:
        encoding = sys.stdout.encoding or "ascii"
        printable = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            click.echo(printable, nl=False, color=color)
            sys.stdout.flush()
        except BrokenPipeError:  # because `gradlint | head` is no error; the rest has no reader
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            f"cannot write the report to {file}: {error.strerror or error}"
        ) from error


def _status(report: Report, config: Config, asked: _Checking) -> int:
    from gradlint.reporters.presentation import fails, unprobed

    missed = len(unprobed(report)) if config.require_trace else 0
    if missed:
        click.echo(f"gradlint: --require-trace: {missed} models were not probed", err=True)
    failed = bool(missed) or fails(report, config.fail_on)
    return FINDINGS if failed and not asked.exit_zero else 0


@cli.command()
@click.argument("name")
@_COLOR
@_VERBOSE
def rule(name: str, color: str) -> None:
    """Explain a rule: why, how it is measured, what to do, examples."""
    from gradlint.config import check_selectors
    from gradlint.loader import rule_named
    from gradlint.reporters import manual

    check_selectors([name], names_only=True)
    _write(manual.render(rule_named(name), color=_colored(color)), None, color=_colored(color))


@cli.command()
@_COLOR
@_VERBOSE
def rules(color: str) -> None:
    """List the rules by family."""
    from gradlint import loader
    from gradlint.reporters import manual

    _write(manual.render_all(loader.rules(), color=_colored(color)), None, color=_colored(color))


@cli.command()
@click.argument("target", metavar="FILE[:CLASS]")
@_TRACING
@_COLOR
@_VERBOSE
def graph(target: str, color: str, **options: object) -> int:
    """Show a model as a tree with lines, shapes and gradient decades."""
    from gradlint.reporters import tree
    from gradlint.reporters.presentation import cleaned

    tracing = _Tracing(**options)  # type: ignore[arg-type]  # as click made them
    style = _style(color)
    models = _examined(target, tracing)
    for summary, traced in models:
        if traced is None:
            _complain(f"{summary.span}: {summary.name}: {summary.reason}")
        else:
            _write(tree.render(cleaned(summary), traced, style), None, color=style.color)
    return FINDINGS if any(traced is None for _, traced in models) else 0


def _examined(target: str, tracing: _Tracing) -> tuple[tuple[ModelSummary, LayerGraph | None], ...]:
    from gradlint.engine import layer_graphs

    path, name = _file_and_class(target)
    models = layer_graphs(path, name, *_configured([path], tracing))
    if not models:
        raise ConfigError(f"{path}: no model{f' called {name!r}' if name else ''} is in it")
    return models


def _file_and_class(target: str) -> tuple[Path, str]:
    file, colon, name = target.rpartition(":")
    if colon and file and all(part.isidentifier() for part in name.split(".")):
        path = Path(file)
    else:
        path, name = Path(target), ""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give FILE or FILE:CLASS")
    return path, name


@cli.command()
@_PYTHON
@_CONFIG
@_VERBOSE
def env(python: str, config: Path | None, isolated: bool) -> None:
    """Say which interpreter, torch and configuration a run here would use, and why."""
    from gradlint.interpreter import choose_interpreter
    from gradlint.loader import rules as all_rules

    tracing = _Tracing(python, (), (), None, None, None, None, config, isolated)
    settings, root = _configured([Path()], tracing)
    chosen = choose_interpreter(settings.python, root)
    version, torch = chosen.versions()
    click.echo(f"gradlint      {__version__}, in {sys.executable}")
    click.echo(f"project root  {root}")
    click.echo(f"configuration {settings.source or 'none'}")
    click.echo(f"interpreter   {chosen.path}, because {chosen.reason}")
    click.echo(f"python        {version or 'does not start'}")
    click.echo(f"torch         {torch or 'not installed there; choose another with --python'}")
    click.echo(f"rules         {len(all_rules())}")
