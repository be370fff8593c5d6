"""gradlint as a library: live models, files, and what importing it costs."""

from __future__ import annotations

import linecache
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gradlint
from gradlint.judging.evidence import Severity
from gradlint.protocol.training import OptimizerFamily
from gradlint.report import ModelStatus
from gradlint.reporters.presentation import stands

if TYPE_CHECKING or find_spec("torch") is not None:
    import torch
    from torch import nn

    class Chain(nn.Module):
        """Sigmoids in a row, as many as are asked for."""

        def __init__(self, depth: int = 10) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += [nn.Linear(16, 16), nn.Sigmoid()]
            self.body = nn.Sequential(*layers)
            self.head = nn.Linear(16, 4)
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.head(self.body(x))

    class Allowed(Chain):  # gradlint: ignore[saturating-stack] a test of suppressions
        """The same, and the user says that it is meant."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(x))


needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="measures live models")


@needs_torch
class TestCheck:
    """Models of this process."""

    def test_a_sick_model_is_found_with_its_line(self) -> None:
        report = gradlint.check(Chain(), torch.randn(8, 16), isolated=True)
        [finding] = [f for f in report.findings if f.rule == "saturating-stack"]
        assert finding.severity is Severity.ERROR
        assert finding.span.path == "tests/test_api.py"
        line = Path(__file__).read_text().splitlines()[finding.span.line - 1]
        assert line.strip() == "return self.head(self.body(x))"
        assert len(finding.evidence[0].measured) == 1
        assert finding.remedies

    def test_a_healthy_model_has_no_findings(self) -> None:
        report = gradlint.check(Chain(1), torch.randn(8, 16), isolated=True)
        assert [model.status for model in report.models] == [ModelStatus.PROBED]
        assert not any(map(stands, report.findings))

    def test_a_class_is_measured_over_several_initialisations(self) -> None:
        report = gradlint.check(Chain, torch.randn(8, 16), seeds=2, isolated=True)
        measured = report.findings[0].evidence[0].measured
        assert len(set(measured)) == 2
        line = Path(__file__).read_text().splitlines()[report.findings[0].span.line - 1]
        assert "nn.Sigmoid()" in line

    def test_the_model_its_inputs_and_the_random_state_stay_as_they_are(self) -> None:
        model, inputs = Chain(2).eval(), torch.randn(8, 16, requires_grad=True)
        weights = [parameter.clone() for parameter in model.parameters()]
        torch.manual_seed(1)
        random.seed(1)
        expected = (torch.rand(1), random.random())
        torch.manual_seed(1)
        random.seed(1)
        gradlint.check(model, inputs, isolated=True)
        assert (torch.rand(1), random.random()) == expected
        assert not model.training
        assert model.calls == 0
        assert all(parameter.grad is None for parameter in model.parameters())
        assert inputs.grad is None
        for before, after in zip(weights, model.parameters(), strict=True):
            assert torch.equal(before, after)

    @pytest.mark.parametrize(
        "kind",
        [
            pytest.param(lambda x: x, id="tensor"),
            pytest.param(lambda x: (x,), id="tuple"),
            pytest.param(lambda x: [x], id="list"),
            pytest.param(lambda x: {"x": x}, id="keywords"),
            pytest.param(lambda x: lambda: x, id="function"),
        ],
    )
    def test_inputs_come_in_several_forms(self, kind: object) -> None:
        assert callable(kind)
        report = gradlint.check(Chain(1), kind(torch.randn(8, 16)), isolated=True)
        assert report.models[0].inputs in {("float32[8,16]",), ("x: float32[8,16]",)}

    def test_a_small_batch_is_enlarged(self) -> None:
        report = gradlint.check(Chain(1), torch.randn(2, 16), isolated=True)
        assert report.models[0].inputs == ("float32[8,16]",)

    @pytest.mark.parametrize(
        "optimizer",
        [
            pytest.param(lambda model: "AdamW", id="name"),
            pytest.param(lambda model: torch.optim.AdamW, id="class"),
            pytest.param(lambda model: torch.optim.AdamW(model.parameters()), id="instance"),
        ],
    )
    def test_the_optimizer_counts(self, optimizer: object) -> None:
        model = Chain(5)
        assert callable(optimizer)
        report = gradlint.check(
            model, torch.randn(8, 16), optimizer=optimizer(model), isolated=True
        )
        assert report.models[0].optimizer is OptimizerFamily.ADAM

    def test_a_model_that_fails_is_a_failed_model(self) -> None:
        report = gradlint.check(Chain(1), torch.randn(8, 17), isolated=True)
        assert report.models[0].status is ModelStatus.FAILED
        assert "mat1 and mat2" in report.models[0].reason

    def test_what_is_no_model_is_a_type_error(self) -> None:
        with pytest.raises(TypeError, match="expected a module or a function that makes one"):
            gradlint.check(3, torch.randn(8, 16), isolated=True)

    def test_a_layer_of_torch_stands_where_it_is_checked(self) -> None:
        report = gradlint.check(nn.Sequential(nn.Linear(3, 4)), torch.randn(8, 3), isolated=True)
        assert report.models[0].name == "Sequential"
        assert report.models[0].span.path == "tests/test_api.py"

    def test_comments_in_the_source_count(self) -> None:
        report = gradlint.check(Allowed(), torch.randn(8, 16), isolated=True)
        assert [f.suppressed for f in report.findings if f.rule == "saturating-stack"] == [True]
        gradlint.assert_healthy(Allowed(), torch.randn(8, 16), isolated=True)

    def test_the_settings_of_the_project_count(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "pyproject.toml").write_text('[tool.gradlint]\nselect = ["gan"]\n')
        monkeypatch.chdir(tmp_path)
        assert gradlint.check(Chain(), torch.randn(8, 16)).findings == ()

    def test_cells_of_a_notebook_are_shown_with_their_lines(self) -> None:
        text = (
            "class Cell(Chain):\n    def forward(self, x):\n"
            "        return self.head(self.body(x))\n"
        )
        linecache.cache["<input 7>"] = (len(text), None, text.splitlines(keepends=True), "")
        names: dict[str, type[Chain]] = {"Chain": Chain}
        exec(compile(text, "<input 7>", "exec"), names)
        report = gradlint.check(names["Cell"](), torch.randn(8, 16), isolated=True)
        assert str(report.models[0].span) == "<cell>:1:1"
        assert "    3 |         return self.head(self.body(x))\n" in str(report)
        assert repr(report).startswith("<Report: 1 finding (1 error) in 1 of 1 file")

    def test_jupyter_shows_what_was_found(self) -> None:
        report = gradlint.check(Chain(), torch.randn(8, 16), isolated=True)
        page = report._repr_html_()
        assert "<code>saturating-stack</code>" in page
        assert "<polyline" in page
        assert "<script" not in page


@needs_torch
class TestAssertHealthy:
    """The assertion for tests."""

    def test_a_healthy_model_passes(self) -> None:
        gradlint.assert_healthy(Chain(1), torch.randn(8, 16), isolated=True)

    def test_a_sick_model_fails_with_the_report(self) -> None:
        with pytest.raises(AssertionError, match="saturating-stack") as caught:
            gradlint.assert_healthy(Chain(), torch.randn(8, 16), isolated=True)
        assert isinstance(caught.value, gradlint.UnhealthyModelError)
        assert caught.value.report.findings

    def test_a_model_that_was_not_measured_is_not_healthy(self) -> None:
        with pytest.raises(gradlint.UnhealthyModelError, match="mat1 and mat2"):
            gradlint.assert_healthy(Chain(1), torch.randn(8, 17), isolated=True)

    def test_what_is_ignored_does_not_count(self) -> None:
        gradlint.assert_healthy(Chain(), torch.randn(8, 16), ignore=["all"], isolated=True)


@needs_torch
def test_files_are_linted_as_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.out = nn.Linear(2, 2)\n\n"
        "    def forward(self, x):\n        return self.out(x)\n"
    )
    report = gradlint.lint(tmp_path / "model.py", seeds=1, python=sys.executable)
    assert [model.status for model in report.models] == [ModelStatus.PROBED]
    assert "probed 1 of 1 model, seed 0" in str(report)
    assert gradlint.lint([tmp_path], trace=False).models[0].status is ModelStatus.NOT_RUN


def test_an_unknown_rule_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'init-scale'"):
        gradlint.lint(tmp_path, select=["init-scal"])


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lnt'"):
        _ = gradlint.lnt


def test_importing_gradlint_imports_nothing_else_of_weight() -> None:
    heavy = ("torch", "click", "networkx", "pathspec", "gradlint.settings.config")
    code = f"import sys, gradlint; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_asking_for_the_functions_imports_no_torch() -> None:
    code = "import sys, gradlint; gradlint.check, gradlint.lint; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
