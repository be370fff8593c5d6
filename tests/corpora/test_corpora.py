"""Sweeps over packages: counting, records, taking up again, and a real sample."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradlint.settings.toml import ConfigError
from tests.corpora.__main__ import main
from tests.corpora.coverage import (
    Coverage,
    coverage_table,
    missing_package,
    missing_packages,
    reasons_missed,
    with_roots,
)
from tests.corpora.judgements import Judgement, judged, outdated, read_judgements
from tests.corpora.linting import ENVIRONMENT, Sweep
from tests.corpora.registered import REGISTRIES, Registry, with_refusals, write_programs
from tests.corpora.results import Found, Model, Outcome, read_outcome
from tests.corpora.sources import find_folder, find_package
from tests.corpora.table import Row, built, by_rule, reasons, table

FOUND = Found("p/a.py", 3, "Net", "saturating-stack", "warning", "confirmed", "too deep")
RECORD = Judgement(True, "because it is")


def row(*models: Model, findings: tuple[Found, ...] = ()) -> Row:
    return Row("p", (Outcome("p/a.py", models=models, findings=findings, seconds=2.4),))


def counted(*rows: Row) -> dict[str, str]:
    titles, *lines = (line.split("  ") for line in table(rows).splitlines())
    cells = [[cell.strip() for cell in line if cell.strip()] for line in (titles, *lines)]
    return dict(zip(cells[0], cells[1], strict=True))


def test_models_probed_traced_and_part_of_another_count_as_covered() -> None:
    models = (
        Model("A", "probed", ""),
        Model("B", "probed", "as part of A"),
        Model("C", "traced", "no loss"),
        Model("D", "not-built", "build: no"),
        Model("E", "failed", "forward: no"),
        Model("F", "not-run", "skipped"),
    )
    cells = counted(row(*models))
    assert cells["models"] == "6"
    assert cells["covered"] == "3 (60%)"
    assert cells["not built"] == "1"
    assert cells["failed"] == "1"
    assert cells["not run"] == "1"
    assert cells["seconds"] == "2"


def test_what_needs_a_missing_package_is_set_apart_from_what_is_not_covered() -> None:
    models = (
        Model("A", "probed", ""),
        Model("B", "traced", "too large to run here", root=False),
        Model("C", "not-built", "build: ModuleNotFoundError: No module named 'gone' (imported)"),
        Model("D", "failed", "forward: no"),
        Model("E", "not-run", "has no parameters"),
    )
    rows = [row(*models)]
    assert Coverage.of(rows, "all").cells() == ("all", "5", "1", "1", "1", "1", "1", "66.7%")
    assert Coverage.of(rows, "roots", roots=True).cells()[1:4] == ("4", "1", "0")
    assert missing_packages(rows) == {"gone": 1}
    assert reasons_missed(rows) == {"failed: forward: no": 1}
    assert coverage_table(rows).splitlines()[-1].split()[-1] == "66.7%"


def test_a_package_that_the_error_itself_names_is_missing() -> None:
    reason = "build at a.py:3: ImportError: 'SparseTensor' requires 'torch-sparse'"
    assert missing_package(reason) == "torch-sparse"
    assert missing_package("build: ValueError: 'heads' requires 'dim'") == ""
    assert missing_package("RuntimeError: Couldn't load custom C++ ops.") == "custom C++ ops"


def test_weights_and_words_that_were_published_are_missing_where_nothing_is_fetched() -> None:
    weights = "OfflineModeIsEnabled: Cannot reach https://huggingface.co/some/where: offline mode"
    words = "ValueError: Couldn't instantiate the backend tokenizer from one of: (1) a file"
    assert missing_package(weights) == "huggingface.co"
    assert missing_package(words) == "tokenizer"


def test_what_its_own_program_refuses_is_set_apart() -> None:
    models = (
        Model("A", "probed", ""),
        Model("B", "failed", "forward: Could not run 'torchvision::nms' with arguments"),
        Model("C", "failed", "import: KeyError: 'x'", refused="KeyError: 'x'"),
    )
    assert Coverage.of([row(*models)], "all").cells()[4:] == ("2", "0", "0", "100.0%")
    assert missing_packages([row(*models)]).total() == 2


_EXAMPLE = """
class Model(torch.nn.Module):
    main_input_name = "x"
    dummy_inputs = {"x": torch.ones(2, 5)}
    def forward(self, x): raise RuntimeError("expects size 12, got 5")
model = Model()
"""


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        pytest.param("raise ValueError('no length')", "ValueError: no length", id="the program"),
        pytest.param("torch.ones(2).tolist()", "", id="the meta device alone"),
        pytest.param("torch.ones(2)", "", id="nothing"),
        pytest.param(_EXAMPLE, "RuntimeError: expects size 12, got 5", id="its own example"),
        pytest.param(_EXAMPLE.replace("size 12", "images"), "", id="half an example"),
    ],
)
def test_a_program_says_by_itself_what_it_refuses(tmp_path: Path, text: str, refused: str) -> None:
    (tmp_path / "net.py").write_text(f"import torch\n{text}\n", encoding="utf-8")
    outcome = Outcome("net.py", models=(Model("model", "failed", "import: …"),))
    assert with_refusals(outcome, tmp_path).models[0].refused == refused


def test_a_class_that_another_builds_is_no_root(tmp_path: Path) -> None:
    text = """
from torch import nn
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
    def forward(self, x): return self.layer(x)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()
    def forward(self, x): return self.part(x)
"""
    (tmp_path / "net.py").write_text(text)
    outcome = Outcome("net.py", models=(Model("Part", "probed", ""), Model("Net", "probed", "")))
    assert [model.root for model in with_roots(outcome, tmp_path).models] == [False, True]


def test_the_files_of_a_folder_are_linted_from_its_top(tmp_path: Path) -> None:
    for name in ("a/model.py", "b.ipynb", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert find_folder(tmp_path).files == (Path("a/model.py"), Path("b.ipynb"))
    with pytest.raises(LookupError, match="no such folder"):
        find_folder(tmp_path / "gone")


def test_only_confirmed_findings_are_counted_by_severity_and_rule() -> None:
    refuted = Found("p/a.py", 9, "Net", "saturating-stack", "error", "refuted", "no")
    with_both = row(findings=(FOUND, refuted))
    cells = counted(with_both)
    assert (cells["confirmed"], cells["refuted"]) == ("1", "1")
    assert (cells["error"], cells["warning"]) == ("0", "1")
    assert by_rule([with_both]) == {"warning saturating-stack": 1}


def test_reasons_that_differ_in_place_name_and_number_are_counted_together() -> None:
    counts = reasons(
        [
            row(
                Model("A", "failed", "build at p/a.py:3:1: TypeError: no 'x' of 3"),
                Model("B", "failed", "build at p/b.py:30:12: TypeError: no 'y' of 44"),
                Model("C", "probed", "as part of B"),
            )
        ]
    )
    assert counts == {"failed: build: TypeError: no … of …": 2}


def test_a_finding_nobody_has_read_has_no_record() -> None:
    key = ("p", "p/a.py", "Net", "saturating-stack")
    rows = [row(findings=(FOUND,))]
    assert list(judged(rows, {key: RECORD})) == [(FOUND, RECORD)]
    assert list(judged(rows, {("q", *key[1:]): RECORD})) == [(FOUND, None)]


def test_a_record_is_outdated_where_its_file_was_linted_without_the_finding() -> None:
    gone = ("p", "p/a.py", "Net", "zero-init")
    elsewhere = ("p", "p/b.py", "Net", "zero-init")
    assert list(outdated([row(findings=(FOUND,))], [gone, elsewhere])) == [gone]


def test_an_incomplete_record_is_an_error_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.toml"
    file.write_text('[[finding]]\npackage = "p"\npath = "p/a.py"\nmodel = "Net"\n')
    with pytest.raises(ConfigError, match=r"`rule` is missing"):
        read_judgements(file)


def test_a_record_that_stands_there_twice_is_an_error(tmp_path: Path) -> None:
    record = (
        '[[finding]]\npackage = "p"\npath = "p/a.py"\nmodel = "Net"\nrule = "r"\n'
        'true = true\nwhy = "so"\n'
    )
    (tmp_path / "verdicts.toml").write_text(record * 2)
    with pytest.raises(ConfigError, match="twice"):
        read_judgements(tmp_path / "verdicts.toml")


def test_the_committed_records_are_complete() -> None:
    assert all(judgement.why for judgement in read_judgements().values())


def test_a_kept_result_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "p.a.py.json").write_text(json.dumps({"failure": "kept"}))
    outcome = Sweep(tmp_path, 1.0).outcome(tmp_path / "absent", Path("p/a.py"))
    assert outcome.failure == "kept"


def test_what_is_traced_alone_is_covered_with_what_it_was_built_from(tmp_path: Path) -> None:
    text = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
    def forward(self, x): return self.layer(x)
"""
    (tmp_path / "net.py").write_text(text)
    outcome = Sweep(tmp_path, 20.0, traced=True).outcome(tmp_path, Path("net.py"))
    assert not outcome.failure
    assert [model.status for model in outcome.models] == ["traced"]
    assert list(built(Row("p", (outcome,)))) == ["net.py: defaults: Net() <- float32[8,2]"]


def test_a_part_is_covered_by_a_whole_below_it_where_the_root_cannot_be_built(
    tmp_path: Path,
) -> None:
    text = """
from torch import nn
class Part(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.layer, self.gate = nn.Linear(4, 4), gate
    def forward(self, x, state): return self.layer(x) * self.gate[state["a"].secret]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part({3: 1.0})
    def forward(self, x):
        class State: secret = 3
        return self.part(x.view(-1, 4), {"a": State})
class Root(nn.Module):
    def __init__(self, file):
        super().__init__()
        self.net, self.data = Net(), open(file)
    def forward(self, x): return self.net(x)
"""
    (tmp_path / "net.py").write_text(text)
    outcome = Sweep(tmp_path, 20.0, traced=True).outcome(tmp_path, Path("net.py"))
    assert [model.status for model in outcome.models] == ["traced", "traced", "not-built"]
    assert outcome.models[0].reason == "as part of Net"


def test_a_kept_result_that_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(ValueError, match=r"r\.json: not a report"):
        read_outcome(tmp_path / "r.json", "p/a.py")


def test_a_package_that_is_not_installed_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["surely_not_installed"]) == 2
    assert "surely_not_installed: no package" in capsys.readouterr().err


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    package = find_package("torch")
    assert package.sample(4, 1) == package.sample(4, 1) != package.sample(4, 2)


def test_the_environment_for_torchvision_does_not_import_torch_at_the_start() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ENVIRONMENT)}
    code = "import sys; print('sitecustomize' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.corpora
@pytest.mark.timeout(1200)
def test_a_sample_of_vit_pytorch_is_linted_and_all_that_is_confirmed_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["vit_pytorch", "--sample", "5", "--results", str(tmp_path)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    outcomes = [read_outcome(file, file.stem) for file in tmp_path.glob("*.json")]
    assert len(outcomes) == 5
    assert not [outcome for outcome in outcomes if outcome.failure]
    assert any(model.status == "probed" for outcome in outcomes for model in outcome.models)


def test_a_package_without_a_register_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["json", "--registered", "--results", str(tmp_path)]) == 2
    assert "choose from pytorchcv, timm, torchvision, transformers" in capsys.readouterr().err


def test_a_program_is_written_for_each_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Registry("string", "['a.b', 'c']", "capwords", "capwords({})")
    monkeypatch.setitem(REGISTRIES, "words", words)
    package = write_programs("words", tmp_path, sample=0, seed=0)
    assert package.files == (Path("words/train_a_b.py"), Path("words/train_c.py"))
    text = (tmp_path / "words/train_a_b.py").read_text(encoding="utf-8")
    assert "from string import capwords\n\nmodel = capwords('a.b')\n" in text
