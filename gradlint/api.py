"""gradlint as a library: for scripts, notebooks and tests."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gradlint.judging.evidence import Severity
from gradlint.report import Report
from gradlint.settings.config import Config, check_selectors, load_config

__all__ = ["Report", "UnhealthyModelError", "assert_healthy", "check", "lint"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One path or several."""


class UnhealthyModelError(AssertionError):
    """A model has findings, or could not be measured; the message is the report."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"the model is not healthy\n\n{report}")
        self.report = report


def lint(
    paths: Paths = ".",
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    seeds: int | None = None,
    python: str = "",
    trace: bool = True,
    config: str | os.PathLike[str] | None = None,
    isolated: bool = False,
) -> Report:
    """Lint files and directories as the command line does, with the project's own settings.

    Models are built and run in a child process, not in this one. `python` is the interpreter that
    runs them, the one that `gradlint env` names if left out. `select` and `ignore` are rules or
    families. `config` is read instead of the nearest pyproject.toml; `isolated` reads none.

    Raises:
        ConfigError: a setting, rule or family is wrong or unknown.
    """
    from gradlint.engine import lint as lint_files

    single = isinstance(paths, (str, os.PathLike))
    found = (Path(paths),) if single else tuple(map(Path, paths))  # type: ignore[arg-type]
    settings, root = _settings(found, select, ignore, config, isolated)
    settings = replace(
        settings,
        seeds=seeds or settings.seeds,
        python=python or settings.python,
        trace=settings.trace and trace,
    )
    return lint_files(found, settings, root)


def check(
    model: object,
    inputs: object,
    *,
    optimizer: object = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    seeds: int | None = None,
    isolated: bool = False,
) -> Report:
    """Measure a model that is alive in this process: in a notebook, or in a test.

    `model` is a `torch.nn.Module`, which is judged with the weights that it has, or a class or
    function that makes one, which is judged over several initialisations (`seeds`). Copies of it
    run, in this process; the model, its inputs and torch's random state are left as they are.
    `inputs` is a tensor, a tuple or list of arguments, a mapping of keyword arguments, or a
    function that returns one of these; a batch below 8 is enlarged by samples of the same range.
    `optimizer` is that of the training, or the name of its class.

    Raises:
        TypeError: `model` is neither a module nor callable.
        ConfigError: a rule or family, or a setting of the project, is unknown or wrong.
    """
    from gradlint.live import check_live

    settings, root = _settings((Path(),), select, ignore, None, isolated)
    return check_live(
        model, inputs, optimizer, replace(settings, seeds=seeds or settings.seeds), root
    )


def assert_healthy(
    model: object,
    inputs: object,
    *,
    optimizer: object = None,
    fail_on: str = "",
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    seeds: int | None = None,
    isolated: bool = False,
) -> None:
    """Do nothing if `check` measures the model and finds nothing as bad as `fail_on`.

    `fail_on` is error, warning or note, that of the settings if left out.

    Raises:
        UnhealthyModelError: it finds something, or the model could not be measured.
        TypeError: `model` is neither a module nor callable.
        ConfigError: a rule or family, or a setting of the project, is unknown or wrong.
    """
    from gradlint.reporters.presentation import fails, unprobed

    __tracebackhide__ = True  # because the report says all, and pytest would show this function
    report = check(
        model,
        inputs,
        optimizer=optimizer,
        select=select,
        ignore=ignore,
        seeds=seeds,
        isolated=isolated,
    )
    settings, _ = _settings((Path(),), (), (), None, isolated)
    if unprobed(report) or fails(report, Severity(fail_on) if fail_on else settings.fail_on):
        raise UnhealthyModelError(report)


def _settings(
    paths: tuple[Path, ...],
    select: Iterable[str],
    ignore: Iterable[str],
    config: str | os.PathLike[str] | None,
    isolated: bool,
) -> tuple[Config, Path]:
    file = None if config is None else Path(config)
    settings, root = load_config(paths, file=file, isolated=isolated)
    select, ignore = tuple(select), tuple(ignore)
    check_selectors([*select, *ignore])
    earlier = () if select else settings.ignore
    return replace(settings, select=select or settings.select, ignore=(*earlier, *ignore)), root
