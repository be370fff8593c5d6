"""What is inside the distributions, and that they work where they are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.checkout import ROOT, copy_checkout

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("hatchling") is None or shutil.which("git") is None,
        reason="needs hatchling and git",
    ),
]

RULES = sorted(path.name for path in (ROOT / "rules").glob("*.py"))
PAGES = sorted(path.name for path in (ROOT / "rules" / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


def build(source: Path, kind: str, out: Path) -> Path:
    """Call a hook of the build backend as installers do; the path of what it made."""
    code = (
        "import hatchling.build as b, sys; print(getattr(b, f'build_{sys.argv[1]}')(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, kind, str(out)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return out / done.stdout.splitlines()[-1]


def rules_in(wheel: Path) -> list[str]:
    """The files of rules in a wheel, each as often as it is there."""
    names = zipfile.ZipFile(wheel).namelist()
    return sorted(Path(name).name for name in names if "/rules/" in name or "rules/" in name[:6])


AS_INSTALLED = """
import site, sys
others = list(sys.path)
site.addsitedir(sys.argv.pop(1))
sys.path[:] = [path for path in sys.path if path not in others] + others
import gradlint, gradlint.rules
print(gradlint.__file__, *gradlint.rules.__path__, file=sys.stderr)
from gradlint.cli import main
main()
"""


def answer(directory: Path, source: Path, *arguments: str) -> str:
    """What gradlint answers where `directory` stands for site-packages; it must be in `source`."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", AS_INSTALLED, str(directory), *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    package, rules = done.stderr.split()
    assert Path(package).is_relative_to(source)
    assert Path(rules).is_relative_to(source)
    return done.stdout


def installed(wheel: Path, target: Path) -> Path:
    """Unpack a wheel as installers do, which compile nothing and run nothing."""
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_a_wheel_offers_the_command_and_the_plugin_of_pytest(
    checkout: Path, tmp_path: Path
) -> None:
    wheel = zipfile.ZipFile(build(checkout, "wheel", tmp_path))
    [named] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    lines = wheel.read(named).decode().split("\n")
    assert lines[lines.index("[console_scripts]") + 1] == "gradlint = gradlint.cli:main"
    assert lines[lines.index("[pytest11]") + 1] == "gradlint = gradlint.pytest_plugin"


def test_a_wheel_has_each_rule_once(checkout: Path, tmp_path: Path) -> None:
    wheel = build(checkout, "wheel", tmp_path)
    assert wheel.name.startswith("gradlint_torch-0.1.0-py3-none-any")
    assert rules_in(wheel) == sorted([*RULES, *PAGES])
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {"gradlint/py.typed", "gradlint/worker/__main__.py"} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "gradlint",
        "gradlint_torch",
    }


def test_a_wheel_works_where_it_is_installed(checkout: Path, tmp_path: Path) -> None:
    site = installed(build(checkout, "wheel", tmp_path), tmp_path / "site")
    listed = answer(site, site, "rules")
    assert all(Path(name).stem.replace("_", "-") in listed for name in RULES if name[0] != "_")


def test_an_sdist_leaves_the_link_out_and_builds_the_same_wheel(
    checkout: Path, tmp_path: Path
) -> None:
    sdist = build(checkout, "sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "source", filter="data")
    assert [name for name in names if "/gradlint/rules" in name] == []
    (source,) = (tmp_path / "source").iterdir()
    (tmp_path / "again").mkdir()
    again = build(source, "wheel", tmp_path / "again")
    direct = build(checkout, "wheel", tmp_path)
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(direct).namelist())


def test_an_editable_installation_reads_the_rules_of_the_tree(
    checkout: Path, tmp_path: Path
) -> None:
    wheel = build(checkout, "editable", tmp_path)
    site = installed(wheel, tmp_path / "site")
    rule = checkout / "rules" / "init_scale.py"
    (checkout / "rules" / "new_rule.py").write_text(
        rule.read_text(encoding="utf-8").replace("class InitScale(", "class NewRule("),
        encoding="utf-8",
    )
    try:
        assert "  new-rule " in answer(site, checkout, "rules")
    finally:
        (checkout / "rules" / "new_rule.py").unlink()


def test_the_version_is_that_of_the_package(checkout: Path, tmp_path: Path) -> None:
    wheel = build(checkout, "wheel", tmp_path)
    site = installed(wheel, tmp_path / "site")
    assert answer(site, site, "--version") == f"gradlint {wheel.name.split('-')[1]}\n"
