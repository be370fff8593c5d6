"""Which files the paths on a command line mean."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradlint.discovery.text.files import FoundFile, find_files
from gradlint.program import Unreadable


def _make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def _shown(found: tuple[FoundFile | Unreadable, ...]) -> list[str]:
    return [item.shown if isinstance(item, FoundFile) else f"!{item.span.path}" for item in found]


def test_a_directory_is_walked_in_name_order_for_python_files(tmp_path: Path) -> None:
    _make(tmp_path, "b.py", "a.py", "sub/z.py", "sub/notes.txt", "c.pyi")
    assert _shown(find_files([tmp_path], tmp_path)) == ["a.py", "b.py", "sub/z.py"]


def test_paths_are_taken_in_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    _make(tmp_path, "a.py", "b.py")
    found = find_files([tmp_path / "b.py", tmp_path / "a.py"], tmp_path)
    assert _shown(found) == ["b.py", "a.py"]


def test_no_file_comes_twice_however_it_is_reached(tmp_path: Path) -> None:
    _make(tmp_path, "pkg/a.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "pkg" / "a.py")
    paths = [tmp_path / "pkg" / "a.py", tmp_path, tmp_path / "pkg" / ".." / "pkg"]
    assert _shown(find_files(paths, tmp_path)) == ["pkg/a.py"]


@pytest.mark.parametrize(
    "directory",
    [".git", ".venv", "venv", "node_modules", "build", "dist", "__pycache__", "site-packages"],
)
def test_what_tools_install_and_build_is_not_walked(tmp_path: Path, directory: str) -> None:
    _make(tmp_path, f"{directory}/x.py", "own.py")
    assert _shown(find_files([tmp_path], tmp_path)) == ["own.py"]


def test_a_virtual_environment_of_any_name_is_not_walked(tmp_path: Path) -> None:
    _make(tmp_path, "my-env/pyvenv.cfg", "my-env/lib/x.py", "own.py")
    assert _shown(find_files([tmp_path], tmp_path)) == ["own.py"]


def test_a_directory_named_explicitly_is_walked_inside_excluded_ones(tmp_path: Path) -> None:
    _make(tmp_path, "venv/lib/site-packages/timm/models/vit.py")
    (tmp_path / ".gitignore").write_text("venv/\n")
    named = tmp_path / "venv" / "lib" / "site-packages" / "timm"
    assert _shown(find_files([named], tmp_path)) == ["venv/lib/site-packages/timm/models/vit.py"]


def test_a_nested_gitignore_adds_to_the_outer_one_and_may_take_back(tmp_path: Path) -> None:
    _make(tmp_path, ".git/HEAD", "gen_a.py", "sub/gen_b.py", "sub/own.py", "sub/deep/own.py")
    (tmp_path / ".gitignore").write_text("gen_*.py\n")
    (tmp_path / "sub" / ".gitignore").write_text("!gen_b.py\ndeep/\n")
    assert _shown(find_files([tmp_path], tmp_path)) == ["sub/gen_b.py", "sub/own.py"]


def test_the_gitignore_of_the_repository_holds_in_a_subdirectory(tmp_path: Path) -> None:
    _make(tmp_path, ".git/HEAD", "src/gen.py", "src/own.py")
    (tmp_path / ".gitignore").write_text("gen.py\n")
    assert _shown(find_files([tmp_path / "src"], tmp_path / "src")) == ["own.py"]


def test_the_exclude_file_of_the_repository_is_respected(tmp_path: Path) -> None:
    _make(tmp_path, ".git/info/exclude", "scratch.py", "own.py")
    (tmp_path / ".git" / "info" / "exclude").write_text("scratch.py\n")
    assert _shown(find_files([tmp_path], tmp_path)) == ["own.py"]


def test_a_malformed_line_of_a_gitignore_is_passed_over(tmp_path: Path) -> None:
    _make(tmp_path, "gen.py", "own.py")
    (tmp_path / ".gitignore").write_text("!\n***/[\ngen.py\n")
    assert _shown(find_files([tmp_path], tmp_path)) == ["own.py"]


def test_the_users_own_patterns_leave_files_out(tmp_path: Path) -> None:
    _make(tmp_path, "old/a.py", "old/keep/b.py", "own.py")
    found = find_files([tmp_path], tmp_path, exclude=["old/*.py", "keep/"])
    assert _shown(found) == ["own.py"]


def test_a_file_named_explicitly_is_taken_although_it_is_excluded(tmp_path: Path) -> None:
    _make(tmp_path, "venv/a.py")
    (tmp_path / ".gitignore").write_text("*.py\n")
    named = [tmp_path / "venv" / "a.py"]
    assert _shown(find_files(named, tmp_path, exclude=["a.py"])) == ["venv/a.py"]


@pytest.mark.parametrize(
    ("name", "exclude"),
    [("venv/a.py", []), ("gen.py", []), ("own.py", ["own.py"])],
    ids=["by default", "by gitignore", "by pattern"],
)
def test_force_exclude_leaves_out_what_is_named_too(
    tmp_path: Path, name: str, exclude: list[str]
) -> None:
    _make(tmp_path, name)
    (tmp_path / ".gitignore").write_text("gen.py\n")
    found = find_files([tmp_path / name], tmp_path, exclude=exclude, force_exclude=True)
    assert found == ()


def test_force_exclude_keeps_what_nothing_excludes(tmp_path: Path) -> None:
    _make(tmp_path, "sub/own.py")
    found = find_files([tmp_path / "sub" / "own.py"], tmp_path, force_exclude=True)
    assert _shown(found) == ["sub/own.py"]


def test_a_missing_path_is_a_located_reason_and_the_others_go_on(tmp_path: Path) -> None:
    _make(tmp_path, "a.py")
    missing, found = find_files([tmp_path / "nope.py", tmp_path / "a.py"], tmp_path)
    assert isinstance(missing, Unreadable)
    assert str(missing.span) == "nope.py:1:1"
    assert missing.reason == "no such file or directory"
    assert isinstance(found, FoundFile)


def test_a_broken_link_is_a_located_reason_but_an_editors_lock_is_not(tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / ".#edited.py").symlink_to("user@host.123:456")
    (found,) = find_files([tmp_path], tmp_path)
    assert isinstance(found, Unreadable)
    assert (found.span.path, found.reason) == ("gone.py", "broken link")


def test_a_link_to_a_directory_above_does_not_loop(tmp_path: Path) -> None:
    _make(tmp_path, "pkg/a.py")
    (tmp_path / "pkg" / "up").symlink_to(tmp_path)
    assert _shown(find_files([tmp_path], tmp_path)) == ["pkg/a.py"]


def test_a_directory_without_python_files_yields_nothing(tmp_path: Path) -> None:
    _make(tmp_path, "docs/readme.md")
    assert find_files([tmp_path], tmp_path) == ()


def test_a_file_outside_the_root_is_shown_by_its_whole_path(tmp_path: Path) -> None:
    _make(tmp_path, "other/a.py", "root/b.py")
    found = find_files([tmp_path / "other" / "a.py"], tmp_path / "root")
    assert _shown(found) == [(tmp_path / "other" / "a.py").as_posix()]


def test_a_relative_path_starts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path, "sub/a.py")
    monkeypatch.chdir(tmp_path / "sub")
    assert _shown(find_files([Path("a.py")], tmp_path)) == ["sub/a.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_directory_that_may_not_be_listed_is_a_located_reason(tmp_path: Path) -> None:
    _make(tmp_path, "locked/a.py")
    (tmp_path / "locked").chmod(0)
    (found,) = find_files([tmp_path], tmp_path)
    (tmp_path / "locked").chmod(0o700)
    assert isinstance(found, Unreadable)
    assert found.reason == "cannot be listed: permission denied"
