"""gradlint in pytest: `--gradlint` lints the files that are collected, a fixture checks models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

# Everything else is imported where it is used, because every run of pytest loads this plugin.


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--gradlint`."""
    group = parser.getgroup("gradlint")
    group.addoption("--gradlint", action="store_true", help="Lint the collected Python files, too.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> _File | None:
    """One test for each Python file or notebook, where `--gradlint` asks for it."""
    if not parent.config.getoption("gradlint") or file_path.suffix not in (".py", ".ipynb"):
        return None
    lints = parent.session.stash.setdefault(_LINTS, _Lints())
    lints.paths.append(file_path)
    return _File.from_parent(parent, path=file_path)


@pytest.fixture
def assert_healthy() -> Callable[..., None]:
    """`gradlint.assert_healthy`: fails the test if a model cannot learn, with the report."""
    import gradlint

    return gradlint.assert_healthy


class LintError(Exception):
    """A file has findings; the message is its report."""


class _Lints:
    """The files of the session, linted together when the first result is wanted."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self._failures: dict[Path, str] | None = None

    def failure(self, path: Path) -> str:
        """The report of a file that has findings, "" for any other."""
        if self._failures is None:
            self._failures = dict(self._lint())
        return self._failures.get(path, "")

    def _lint(self) -> Iterator[tuple[Path, str]]:
        from gradlint.engine import lint
        from gradlint.reporters.presentation import fails, unprobed
        from gradlint.settings.config import load_config

        settings, root = load_config(self.paths)
        report = lint(self.paths, replace(settings, force_exclude=True), root)
        for file in report.files:
            alone = replace(report, files=(file,))
            missed = settings.require_trace and unprobed(alone)
            if missed or fails(alone, settings.fail_on):
                yield root / file.path, str(alone)


_LINTS = pytest.StashKey[_Lints]()


class _File(pytest.File):
    """A file with its one test."""

    def collect(self) -> Iterator[_Item]:
        """The test."""
        yield _Item.from_parent(self, name="gradlint")


class _Item(pytest.Item):
    """Passes where the file has no finding that fails a run."""

    def runtest(self) -> None:
        """Look at the report.

        Raises:
            LintError: the file has findings.
        """
        failure = self.session.stash[_LINTS].failure(self.path)
        if failure:
            raise LintError(failure)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The report alone; a traceback through gradlint tells nothing."""
        return str(excinfo.value) if excinfo.errisinstance(LintError) else str(excinfo.getrepr())

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """How pytest calls the test."""
        return self.path, None, f"gradlint {self.path.name}"
