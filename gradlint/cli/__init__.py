"""The command line: options in, reports and an exit status out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from gradlint import __version__
from gradlint.cli.checking import check
from gradlint.cli.commands import clean, env, graph, rule, rules
from gradlint.cli.output import complain
from gradlint.settings.toml import ConfigError

# Everything else is imported where it is used, because --version and --help must answer at once.

MISUSE, INTERRUPTED = 2, 130
COLLECTED_AFTER = 100_000
"""New objects after which Python looks for such as hold each other alone, in place of its 700.

Syntax trees have none of these, and to look took a third of the time in which projects are read
(seven files of repositories, 1.7 s with and 1.15 s without).
"""


def main() -> None:
    """Run the command line and end the process with the status that the README promises."""
    gc.set_threshold(COLLECTED_AFTER)
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
        complain(str(error))
        return MISUSE
    except Exception as error:  # noqa: BLE001  # as Python's own status is 1: findings
        if verbose:
            import traceback

            traceback.print_exc()
        hint = "" if verbose else " (-v for the traceback)"
        complain(f"internal error: {type(error).__name__}: {error}{hint}")
        return MISUSE


class _Commands(click.Group):
    """Commands of which `check` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = args and args[0] in {*self.commands, "--help", "-h", "--version"}
        if not named and (args or not ctx.resilient_parsing):
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command, or what `check` takes, which may be left out."""
        found = super().shell_complete(ctx, incomplete)
        with click.Context(check, parent=ctx) as inner:
            found += check.shell_complete(inner, incomplete)
        return found if incomplete.startswith("-") else [*found, CompletionItem(incomplete, "file")]

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


for command in (check, rule, rules, graph, env, clean):
    cli.add_command(command)
