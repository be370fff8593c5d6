"""Settings as the configuration file and the command line make them together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gradlint.reporters.formats import DRAWING

if TYPE_CHECKING:
    from gradlint.cli.options import Checking, Tracing
    from gradlint.settings.config import Config


def configured(paths: Sequence[Path], tracing: Tracing) -> tuple[Config, Path]:
    """The settings for `paths` with what the command line changes, and the project root.

    Raises:
        ConfigError: a setting is wrong, in the file or on the command line.
    """
    from gradlint.settings.config import load_config, model_settings

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


def checked(config: Config, asked: Checking) -> Config:
    """The settings with what the options of `check` change.

    Raises:
        ConfigError: a selector is unknown.
    """
    from gradlint.judging.evidence import Severity

    config = _selected(config, asked)
    exclude = asked.exclude or config.exclude
    return replace(
        config,
        exclude=(*exclude, *asked.extend_exclude),
        fail_on=Severity(asked.fail_on) if asked.fail_on else config.fail_on,
        trace=config.trace and not asked.no_trace,
        require_trace=config.require_trace or asked.require_trace,
        force_exclude=config.force_exclude or asked.force_exclude,
        baseline=str(asked.baseline.absolute()) if asked.baseline else config.baseline,
        cache=config.cache and not asked.no_cache,
        cache_dir=str(asked.cache_dir.absolute()) if asked.cache_dir else config.cache_dir,
        jobs=asked.jobs or config.jobs,
        pictures=any(text.partition("=")[0] in DRAWING for text in asked.formats),
    )


def _selected(config: Config, asked: Checking) -> Config:
    """What is selected: `--select` begins anew, the other options change what the file says."""
    from gradlint.settings.config import check_selectors

    select, ignore, more = map(_listed, (asked.select, asked.ignore, asked.extend_select))
    check_selectors([*select, *ignore, *more])
    chosen = select or config.select
    earlier = () if select else tuple(name for name in config.ignore if name not in more)
    return replace(config, select=(*chosen, *more) if chosen else (), ignore=(*earlier, *ignore))


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    names = (name.strip() for value in values for name in value.split(","))
    return tuple(name for name in names if name)
