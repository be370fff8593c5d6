"""Settings: the table [tool.gradlint] and what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradlint.judging.evidence import Severity
from gradlint.settings.config import (
    Config,
    ConfigError,
    ModelSettings,
    check_selectors,
    load_config,
    model_settings,
    torch_input,
)

FULL = """\
[project]
name = "mine"

[tool.gradlint]
select = ["activation", "init-scale"]
ignore = ["vanilla-rnn"]
fail-on = "error"
exclude = ["old/"]
force-exclude = true
python = ".venv"
seed = 7
seeds = 5
timeout = 2.5
memory = 2048
trace = true
require-trace = true
baseline = "accepted.json"
cache = false
cache-dir = "/tmp/reports"
jobs = 2

[tool.gradlint.severity]
init-scale = "note"

[tool.gradlint.per-file-ignores]
"tests/*" = ["init"]

[tool.gradlint.per-module-ignores]
"backbone.*" = ["init-scale"]

[[tool.gradlint.model]]
target = "net.py:Net"
args = [10, "relu", "=torch.nn.ReLU()"]
kwargs = { sizes = [1, 2], bias = false, options = { p = 0.5 } }
inputs = ["float32[8,3,32,32]", "mask=torch.ones(8)"]
optimizer = "Adam"
sequence_length = 200

[[tool.gradlint.model]]
target = "Old"
skip = true
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, FULL)
    config, root = load_config([tmp_path])
    assert root == tmp_path
    assert config == Config(
        select=("activation", "init-scale"),
        ignore=("vanilla-rnn",),
        per_file_ignores=(("tests/*", ("init",)),),
        per_module_ignores=(("backbone.*", ("init-scale",)),),
        severity=(("init-scale", Severity.NOTE),),
        fail_on=Severity.ERROR,
        exclude=("old/",),
        force_exclude=True,
        python=".venv",
        seed=7,
        seeds=5,
        timeout=2.5,
        memory=2048,
        models=(
            ModelSettings(
                target="net.py:Net",
                arguments=(
                    "10, 'relu', torch.nn.ReLU(), sizes=[1, 2], bias=False, options={'p': 0.5}"
                ),
                inputs=(
                    "__import__('torch').randn((8, 3, 32, 32), dtype=__import__('torch').float32)",
                    "mask=torch.ones(8)",
                ),
                optimizer="Adam",
                sequence_length=200,
            ),
            ModelSettings(target="Old", skip=True),
        ),
        require_trace=True,
        baseline="accepted.json",
        cache=False,
        cache_dir="/tmp/reports",
        jobs=2,
        source=path,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param('selct = ["init"]', "unknown key; did you mean 'select'?", id="key"),
        pytest.param("jbos = 3", "unknown key", id="key like nothing"),
        pytest.param(
            'select = ["init-scle"]',
            "no rule or family is called 'init-scle'; did you mean 'init-scale'?",
            id="rule",
        ),
        pytest.param(
            'ignore = ["activaton"]',
            "no rule or family is called 'activaton'; did you mean 'activation'?",
            id="family",
        ),
        pytest.param('select = "init"', "expected an array, not 'init'", id="not an array"),
        pytest.param("select = [1]", "expected a string, not 1", id="not a string"),
        pytest.param('seed = "1"', "expected a whole number, not '1'", id="not a number"),
        pytest.param("seeds = true", "expected a whole number, not True", id="a boolean"),
        pytest.param("seeds = 0", "0 is below 1, the smallest that is allowed", id="too small"),
        pytest.param("timeout = -1", "-1 is not a positive number of seconds", id="negative"),
        pytest.param("timeout = nan", "nan is not a positive number of seconds", id="nan"),
        pytest.param("trace = 1", "expected true or false, not 1", id="not a boolean"),
        pytest.param(
            'fail-on = "fatal"', "'fatal' is no severity (error, warning, note)", id="severity"
        ),
        pytest.param('severity = { init = "note" }', "no rule is called 'init'", id="no rule"),
        pytest.param("severity = 3", "expected a table, not 3", id="not a table"),
        pytest.param("model = {}", "expected an array, not {}", id="model is no array"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = written(tmp_path, f"# first\n[tool.gradlint]\nforce-exclude = false\n{line}\n")
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config([tmp_path])
    assert str(caught.value).startswith(f"{path}:4: tool.gradlint.")


@pytest.mark.parametrize(
    ("entry", "line", "message"),
    [
        pytest.param("args = [1]", 4, 'has no target; give one, such as target = "', id="target"),
        pytest.param('target = "Net"\narg = [1]', 6, "unknown key; did you mean 'args'?", id="key"),
        pytest.param('target = "my net"', 5, "'my net' is no class name", id="no class"),
        pytest.param(
            'target = "Net"\nkwargs = { width = "..." }', 6, "in place of the dots", id="dots"
        ),
        pytest.param('target = "Net"\nargs = ["=1 +"]', 6, "is no Python expression", id="python"),
        pytest.param(
            'target = "Net"\nargs = [2020-01-01]', 6, "has no equal in Python here", id="date"
        ),
        pytest.param('target = "Net"\ninputs = ["3 4"]', 6, "is neither Python nor", id="input"),
        pytest.param('target = "Net"\ninputs = ["a, b"]', 6, "is not one input", id="two inputs"),
        pytest.param('target = "Net"\nskip = "yes"', 6, "expected true or false", id="skip"),
        pytest.param(
            'target = "Net"\nsequence_length = 0', 6, "0 is below 1", id="sequence length"
        ),
    ],
)
def test_a_mistake_in_a_model_is_named_with_its_line(
    tmp_path: Path, entry: str, line: int, message: str
) -> None:
    text = f'[[tool.gradlint.model]]\ntarget = "Other"\n\n[[tool.gradlint.model]]\n{entry}\n'
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_config([tmp_path])
    assert str(caught.value).startswith(f"{path}:{line}: tool.gradlint.model[1]")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"[tool.gradlint\n", "not TOML", id="not TOML"),
        pytest.param(b"[tool.gradlint]\n# \xff\n", "not UTF-8", id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config([tmp_path])
    assert str(caught.value).startswith(str(path))


def test_the_nearest_file_that_has_the_table_counts(tmp_path: Path) -> None:
    written(tmp_path, "[tool.gradlint]\nseed = 1\n")
    inner = tmp_path / "package" / "deep"
    inner.mkdir(parents=True)
    written(tmp_path / "package", "[tool.other]\n")
    file = inner / "net.py"
    file.touch()
    assert load_config([file])[0].seed == 1
    assert load_config([file])[1] == tmp_path


def test_a_file_can_extend_another(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'select = ["init"]\nignore = ["gan"]\nexclude = ["old/"]\nseeds = 9\nseed = 2\n'
    )
    (tmp_path / "project").mkdir()
    path = written(
        tmp_path / "project",
        '[tool.gradlint]\nextend = "../base.toml"\nextend-select = ["data"]\nseeds = 4\n'
        'extend-ignore = ["loss"]\nextend-exclude = ["new/"]\n',
    )
    assert load_config([tmp_path / "project"])[0] == Config(
        select=("init", "data"),
        ignore=("gan", "loss"),
        exclude=("old/", "new/"),
        seeds=4,
        seed=2,
        source=path,
    )


def test_files_that_extend_each_other_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('extend = "pyproject.toml"\n')
    written(tmp_path, '[tool.gradlint]\nextend = "other.toml"\n')
    with pytest.raises(ConfigError, match=r"other.toml:1: extend: .* extends this file in turn"):
        load_config([tmp_path])


def test_everything_stays_selected_where_more_is_selected(tmp_path: Path) -> None:
    written(tmp_path, '[tool.gradlint]\nextend-select = ["data"]\n')
    assert load_config([tmp_path])[0].select == ()


def test_files_far_apart_share_the_settings_above_both(tmp_path: Path) -> None:
    written(tmp_path, "[tool.gradlint]\nseed = 1\n")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, "[tool.gradlint]\nseed = 2\n")
    assert load_config([tmp_path / "a", tmp_path / "b"])[0].seed == 1
    assert load_config([tmp_path / "a"])[0].seed == 2


def test_isolation_reads_nothing_but_finds_the_root(tmp_path: Path) -> None:
    written(tmp_path, "[tool.gradlint]\nseed = 1\n")
    (tmp_path / "src").mkdir()
    assert load_config([tmp_path / "src"], isolated=True) == (Config(), tmp_path)


def test_without_a_project_the_root_is_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_config([Path("models")])[1] == tmp_path


def test_a_named_file_may_have_the_keys_at_the_top(tmp_path: Path) -> None:
    path = tmp_path / "gradlint.settings.toml"
    path.write_text("seed = 4\n")
    assert load_config([tmp_path], file=path)[0].seed == 4


def test_a_named_file_without_the_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.other]\n")
    with pytest.raises(ConfigError, match=r"no table \[tool.gradlint\]"):
        load_config([tmp_path], file=path)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config([tmp_path], file=tmp_path / "none.toml")


def test_a_line_in_a_dotted_or_inline_table_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, "[tool]\n\ngradlint.seeds = 0\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path}:3: tool.gradlint.seeds")):
        load_config([tmp_path])


@pytest.mark.parametrize(
    ("select", "ignore", "wanted"),
    [
        pytest.param((), (), True, id="silence"),
        pytest.param(("init",), (), True, id="family"),
        pytest.param(("activation",), (), False, id="another family"),
        pytest.param((), ("init",), False, id="ignored family"),
        pytest.param(("init-scale",), ("init",), True, id="name over family"),
        pytest.param(("init",), ("init-scale",), False, id="ignored name over family"),
        pytest.param(("init",), ("init",), False, id="ignore wins a tie"),
        pytest.param(("all",), ("init",), False, id="family over all"),
        pytest.param(("init",), ("all",), True, id="family over ignored all"),
    ],
)
def test_the_more_particular_selector_wins(
    select: tuple[str, ...], ignore: tuple[str, ...], wanted: bool
) -> None:
    config = Config(select=select, ignore=ignore)
    assert config.selects("init-scale", "init", "a.py") is wanted


def test_a_rule_can_be_ignored_in_some_files() -> None:
    config = Config(per_file_ignores=(("tests/*.py", ("init",)),))
    assert not config.selects("init-scale", "init", "tests/a.py")
    assert config.selects("init-scale", "init", "src/a.py")
    assert config.selects("vanilla-rnn", "recurrent", "tests/a.py")


@pytest.mark.parametrize(
    ("module", "ignored"),
    [
        pytest.param("backbone.0.conv", True, id="below"),
        pytest.param("backbone", True, id="the module itself"),
        pytest.param("backbones", False, id="longer name"),
        pytest.param("head.backbone", False, id="elsewhere"),
        pytest.param("encoder.4", True, id="with the name of the model"),
    ],
)
def test_a_rule_can_be_ignored_in_some_modules_of_models(module: str, ignored: bool) -> None:
    patterns = (("backbone.*", ("init",)), ("Net.encoder.[0-9]", ("all",)))
    config = Config(per_module_ignores=patterns)
    assert config.ignores_in("init-scale", "init", "Net", module) is ignored
    assert not config.ignores_in("vanilla-rnn", "recurrent", "Net", "backbone.0")


def test_a_severity_can_be_changed() -> None:
    config = Config(severity=(("init-scale", Severity.NOTE),))
    assert config.severity_of("init-scale", Severity.ERROR) is Severity.NOTE
    assert config.severity_of("vanilla-rnn", Severity.ERROR) is Severity.ERROR


def test_selectors_of_rules_and_families_are_known() -> None:
    check_selectors(["all", "init", "gan", "init-scale"])
    with pytest.raises(ConfigError, match="no rule is called 'init'"):
        check_selectors(["init"], names_only=True)


@pytest.mark.parametrize(
    ("target", "path", "name", "matches"),
    [
        pytest.param("Net", "a/net.py", "Net", True, id="class"),
        pytest.param("net.py:Net", "a/net.py", "Net", True, id="end of the path"),
        pytest.param("a/net.py:Net", "a/net.py", "Net", True, id="whole path"),
        pytest.param("t.py:Net", "a/net.py", "Net", False, id="end of a name"),
        pytest.param("net.py:Net", "a/net.py", "Other", False, id="another class"),
        pytest.param("", "a/net.py", "Net", True, id="everything"),
    ],
)
def test_a_target_names_a_class_and_perhaps_its_file(
    target: str, path: str, name: str, matches: bool
) -> None:
    assert ModelSettings(target).matches(path, name) is matches


def test_the_command_line_fills_what_it_says_and_the_file_the_rest() -> None:
    config = Config(
        models=(
            ModelSettings("Net", inputs=("x",), command_line=True),
            ModelSettings("Net", arguments="10", inputs=("y",), optimizer="SGD"),
            ModelSettings("Other", skip=True),
        )
    )
    assert config.model("net.py", "Net") == ModelSettings(
        "net.py:Net", arguments="10", inputs=("x",), optimizer="SGD", command_line=True
    )


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param("Net", ModelSettings("Net", command_line=True), id="class"),
        pytest.param(
            "a/net.py:Net(10, hidden=(2, 3))",
            ModelSettings("a/net.py:Net", arguments="10, hidden=(2, 3)", command_line=True),
            id="file and arguments",
        ),
        pytest.param(
            "Net(path='a:b')",
            ModelSettings("Net", arguments="path='a:b'", command_line=True),
            id="colon in an argument",
        ),
        pytest.param(None, ModelSettings("", command_line=True), id="inputs alone"),
    ],
)
def test_a_model_on_the_command_line_is_read(text: str | None, settings: ModelSettings) -> None:
    assert model_settings(text, []) == settings


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Net(10", id="open parenthesis"),
        pytest.param("my net", id="no class"),
        pytest.param("Net(10)()(", id="no call"),
    ],
)
def test_a_malformed_model_on_the_command_line_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="--model"):
        model_settings(text, [])


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        pytest.param(
            "int64[8, 16]",
            "__import__('torch').randint(2, (8, 16), dtype=__import__('torch').int64)",
            id="integers",
        ),
        pytest.param(
            "mask=bool[4]",
            "mask=__import__('torch').randint(2, (4,), dtype=__import__('torch').bool)",
            id="named",
        ),
        pytest.param(
            "bfloat16[]",
            "__import__('torch').randn((), dtype=__import__('torch').bfloat16)",
            id="scalar",
        ),
        pytest.param(" torch.zeros(3) ", "torch.zeros(3)", id="expression"),
        pytest.param("= torch.zeros(3)", "torch.zeros(3)", id="expression with an equals sign"),
        pytest.param("*pair()", "*pair()", id="spread"),
        pytest.param("sizes[0]", "sizes[0]", id="subscript"),
    ],
)
def test_an_input_is_a_tensor_or_an_expression(text: str, expression: str) -> None:
    assert torch_input(text) == expression
