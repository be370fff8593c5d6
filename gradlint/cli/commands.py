"""The commands beside `check`: what there is to know about rules, models and the environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradlint import __version__
from gradlint.cli.checking import FINDINGS
from gradlint.cli.meter import watching
from gradlint.cli.options import CACHE_DIR, COLOR, CONFIG, PYTHON, TRACING, VERBOSE, Tracing
from gradlint.cli.output import colored, complain, style_for, write
from gradlint.cli.settings import configured
from gradlint.settings.toml import ConfigError

if TYPE_CHECKING:
    from gradlint.layers.graph import LayerGraph
    from gradlint.report import ModelSummary


def _names_of_rules(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from gradlint.loader import rules

    return [rule.name() for rule in rules() if rule.name().startswith(incomplete)]


@click.command()
@click.argument("name", shell_complete=_names_of_rules)
@COLOR
@VERBOSE
def rule(name: str, color: str) -> None:
    """Explain a rule: why, how it is measured, what to do, examples."""
    from gradlint.loader import rule_named
    from gradlint.reporters import manual
    from gradlint.settings.config import check_selectors

    check_selectors([name], names_only=True)
    write(manual.render(rule_named(name), color=colored(color)), None, color=colored(color))


@click.command()
@COLOR
@VERBOSE
def rules(color: str) -> None:
    """List the rules by family."""
    from gradlint import loader
    from gradlint.reporters import manual

    write(manual.render_all(loader.rules(), color=colored(color)), None, color=colored(color))


@click.command()
@click.argument("target", metavar="FILE[:CLASS]")
@TRACING
@COLOR
@VERBOSE
def graph(target: str, color: str, **options: object) -> int:
    """Show a model as a tree with lines, shapes and gradient decades."""
    from gradlint.reporters import tree
    from gradlint.reporters.presentation import cleaned

    tracing = Tracing(**options)  # type: ignore[arg-type]  # as click made them
    style = style_for(color)
    models = _examined(target, tracing)
    for summary, traced in models:
        if traced is None:
            complain(f"{summary.span}: {summary.name}: {summary.reason}")
        else:
            write(tree.render(cleaned(summary), traced, style), None, color=style.color)
    return FINDINGS if any(traced is None for _, traced in models) else 0


def _examined(target: str, tracing: Tracing) -> tuple[tuple[ModelSummary, LayerGraph | None], ...]:
    from gradlint.engine import layer_graphs, model_names

    path, name = _file_and_class(target)
    config, root = configured([path], tracing)
    with watching() as watch:
        models = layer_graphs(path, name, replace(config, pictures=True), root, watch=watch)
    if not models:
        raise ConfigError(f"{path}: {_none(name, model_names(path, root))}")
    return models


def _none(name: str, known: Sequence[str]) -> str:
    """What to say where no model was found."""
    if not known:
        return "no model is in it"
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it holds {', '.join(known)}"
    return f"no model called {name!r} is in it; {hint}"


def _file_and_class(target: str) -> tuple[Path, str]:
    file, colon, name = target.rpartition(":")
    if colon and file and all(part.isidentifier() for part in name.split(".")):
        path = Path(file)
    else:
        path, name = Path(target), ""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; give FILE or FILE:CLASS")
    return path, name


@click.command()
@CACHE_DIR
@CONFIG
@VERBOSE
def clean(cache_dir: Path | None, config: Path | None, isolated: bool) -> None:
    """Remove the cache of the project that the working directory belongs to."""
    from gradlint import cache
    from gradlint.engine import cache_directory

    settings, root = configured([Path()], Tracing(config=config, isolated=isolated))
    directory = cache_dir or cache_directory(settings, root)
    count = cache.clean(directory)
    click.echo(f"removed {directory}, which had {count} reports" if count else "nothing to remove")


@click.command()
@PYTHON
@CONFIG
@VERBOSE
def env(python: str, config: Path | None, isolated: bool) -> None:
    """Say which interpreter, torch and configuration a run here would use, and why."""
    from gradlint.engine import cache_directory
    from gradlint.loader import rules as all_rules
    from gradlint.process.interpreter import choose_interpreter

    tracing = Tracing(python=python, config=config, isolated=isolated)
    settings, root = configured([Path()], tracing)
    chosen = choose_interpreter(settings.python, root)
    version, torch = chosen.versions()
    click.echo(f"gradlint      {__version__}, in {sys.executable}")
    click.echo(f"project root  {root}")
    click.echo(f"configuration {settings.source or 'none'}")
    click.echo(f"interpreter   {chosen.path}, because {chosen.reason}")
    click.echo(f"python        {version or 'does not start'}")
    click.echo(f"torch         {torch or 'not installed there; choose another with --python'}")
    click.echo(f"cache         {cache_directory(settings, root) if settings.cache else 'none'}")
    click.echo(f"rules         {len(all_rules())}")
