"""The command line over real models, from end to end."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from gradlint import cli

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs models that run")

SICK = """\
import torch
from torch import nn


class Deep(nn.Module):
    def __init__(self, width):
        super().__init__()
        layers = []
        for _ in range(10):
            layers += [nn.Linear(width, width), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        return self.head(self.body(x))


if __name__ == "__main__":
    Deep(16)(torch.randn(8, 16))
"""

GATED = """\
import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.table = table["sizes"]
        self.a = nn.Linear(self.table[0], self.table[1])

    def forward(self, x, scale):
        return self.a(x) * scale
"""

OVERWRITTEN = """\
import torch
from torch import nn


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        out = self.layer(x)
        out /= out.pow(2).sum(1, keepdim=True).sqrt()
        return out
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the working directory."""
    (tmp_path / "pyproject.toml").write_text("[tool.gradlint]\nseeds = 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_json(*arguments: str) -> dict[str, list[dict[str, object]]]:
    cli.run([*arguments, "--format", "json", "-o", "out.json"])
    document: dict[str, list[dict[str, object]]] = json.loads(Path("out.json").read_text())
    return document


def test_a_sick_model_is_a_confirmed_finding_with_its_line_and_numbers(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep.py").write_text(SICK)
    assert cli.run(["deep.py"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"^deep\.py:\d+:\d+: error: .* \[saturating-stack\] confirmed$", out, re.M)
    assert re.search(r"gradient at \S+, relative to the output: -\d", out)
    assert "times weaker" in out
    assert re.search(r"to do: .*restores\)", out)
    assert "probed 1 of 1 model, seeds 0 to 1, torch" in out


def test_the_same_seed_gives_the_same_bytes_but_for_the_seconds(project: Path) -> None:
    (project / "deep.py").write_text(SICK)
    texts = []
    for name in ("one.json", "two.json"):
        assert cli.run(["deep.py", "--format", "json", "-o", name, "--show", "all"]) == 1
        texts.append(re.sub(rb'"seconds": [\d.]+', b'"seconds"', Path(name).read_bytes()))
    assert texts[0] == texts[1]
    assert b'"verdict": "confirmed"' in texts[0]


def test_without_tracing_no_code_of_the_user_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep.py").write_text(f"open('ran', 'w').close()\n{SICK}")
    assert cli.run(["deep.py", "--no-trace"]) == 0
    assert "--no-trace: none of 1 model was run" in capsys.readouterr().out
    assert not (project / "ran").exists()


@pytest.mark.parametrize(
    ("table", "options", "built_from"),
    [
        pytest.param(
            '[[tool.gradlint.model]]\ntarget = "scaled.py:Scaled"\n'
            'args = [{ sizes = [3, 5] }]\ninputs = ["float32[7,3]", "=torch.ones(5)"]\n',
            [],
            "configuration",
            id="settings",
        ),
        pytest.param(
            "",
            [
                *("--model", "Scaled({'sizes': (3, 5)})"),
                *("--input", "float32[7,3]", "--input", "scale=float32[5]"),
            ],
            "command-line",
            id="command line",
        ),
    ],
)
def test_a_model_is_built_and_fed_as_the_user_says(
    project: Path, table: str, options: list[str], built_from: str
) -> None:
    (project / "scaled.py").write_text(GATED)
    (project / "pyproject.toml").write_text(f"[tool.gradlint]\nseeds = 1\n{table}")
    (model,) = run_json("scaled.py", *options)["models"]
    assert (model["status"], model["built_from"]) == ("probed", built_from)
    assert str(model["inputs"]).count("float32[7,3]") == 1


def test_a_model_that_writes_over_what_its_gradient_needs_fails_with_the_line(
    project: Path,
) -> None:
    (project / "unit.py").write_text(OVERWRITTEN)
    (model,) = run_json("unit.py")["models"]
    assert model["status"] == "failed"
    assert str(model["reason"]).startswith("backward at unit.py:12:16: RuntimeError: one of the")


def test_a_skipped_model_is_left_out(project: Path) -> None:
    (project / "deep.py").write_text(SICK)
    (project / "pyproject.toml").write_text(
        '[tool.gradlint]\n[[tool.gradlint.model]]\ntarget = "Deep"\nskip = true\n'
    )
    document = run_json("deep.py")
    assert document["findings"] == []
    assert [model["status"] for model in document["models"]] == ["not-run"]


def test_a_rule_that_is_ignored_finds_nothing(project: Path) -> None:
    (project / "deep.py").write_text(SICK)
    document = run_json("deep.py", "--select", "saturating-stack", "--ignore", "all")
    assert {found["rule"] for found in document["findings"]} == {"saturating-stack"}
    document = run_json("deep.py", "--ignore", "all")
    assert document["findings"] == []


def test_a_suppressed_finding_is_counted_and_does_not_fail(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SICK.replace("class Deep(nn.Module):", "class Deep(nn.Module):  # gradlint: ignore why")
    (project / "deep.py").write_text(text)
    assert cli.run(["deep.py"]) == 0
    assert "1 suppressed" in capsys.readouterr().out


def test_the_graph_of_a_model_shows_lines_shapes_and_decades(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep.py").write_text(SICK)
    assert cli.run(["graph", "deep.py:Deep"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^│  ├─ 0: Linear +15  \[8,16\] +-\d\.\d\d +\(-\d\.\d\d\)  █+$", out, re.M)
    assert re.search(r"^└─ head: Linear +15  \[8,4\]", out, re.M)
    assert out.rstrip().endswith("loss")


def test_the_graph_of_a_class_that_is_not_there_is_misuse(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep.py").write_text(SICK)
    assert cli.run(["graph", "deep.py:Dep"]) == 2
    assert "no model called 'Dep' is in it" in capsys.readouterr().err


def test_the_graph_of_a_model_that_cannot_be_built_says_why(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "broken.py").write_text(SICK.replace("nn.Linear(width, 4)", "nn.Linear(1 / 0, 4)"))
    assert cli.run(["graph", "broken.py"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_model_that_fails_does_not_keep_the_next_file_from_being_linted(project: Path) -> None:
    (project / "a.py").write_text(SICK.replace("return self.head", "raise SystemExit\n        #"))
    (project / "b.py").write_text(SICK)
    document = run_json("a.py", "b.py")
    assert [model["status"] for model in document["models"]] != ["probed", "probed"]
    assert {found["path"] for found in document["findings"]} == {"b.py"}


def test_rules_are_silent_about_modules_that_they_are_to_ignore(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep.py").write_text(SICK)
    with (project / "pyproject.toml").open("a") as settings:
        settings.write('[tool.gradlint.per-module-ignores]\n"body.*" = ["all"]\n')
    assert cli.run(["deep.py"]) == 0
    assert capsys.readouterr().out.startswith("no findings in 1 file")
    assert cli.run(["deep.py", "--isolated", "--seeds", "2"]) == 1


DECODER = """\
import torch
from torch import nn


class Decoder(nn.Module):
    def __init__(self, table):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(n, 4) for n in table["sizes"].values()])

    def forward(self, features):
        return sum(layer(f) for layer, f in zip(self.layers, features, strict=True))
"""

WHOLE = """\
from torch import nn

from .decoder import Decoder


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(6, 9)
        self.decoder = Decoder({"sizes": {"first": 6, "second": 9}})

    def forward(self, x):
        return self.decoder([x, self.wide(x)])
"""


def test_a_part_that_cannot_be_had_alone_is_built_as_in_a_whole_of_the_project(
    project: Path,
) -> None:
    package = project / "package"
    package.mkdir()
    for name, text in (("__init__", ""), ("decoder", DECODER), ("net", WHOLE)):
        (package / f"{name}.py").write_text(text)
    (model,) = run_json("package/decoder.py")["models"]
    assert model["status"] == "probed"
    assert model["built_from"] == "use-in-project"
    assert model["constructor"] == "Decoder(table={'sizes': {'first': 6, 'second': 9}})"
    assert model["inputs"] == ["features: [float32[8,6], float32[8,9]]"]
