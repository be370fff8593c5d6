"""Notebooks: their Python, the places in their cells, and what of them runs."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gradlint.cells import in_cells
from gradlint.discovery import discover
from gradlint.discovery.text.files import find_files
from gradlint.engine import layer_graphs, lint
from gradlint.program import Program, Unreadable
from gradlint.protocol.span import Span
from gradlint.report import FileReport, ModelStatus, ModelSummary, TrunkLayer
from gradlint.reporters.presentation import stands
from gradlint.settings.config import Config

NET = """\
class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(hidden, hidden), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(hidden, 4)

    def forward(self, x):
        return self.head(self.body(x))"""


def notebook(*cells: str, language: str = "python") -> str:
    """A notebook whose cells are code, but for those that begin with `# Title`."""
    written = [
        {
            "cell_type": "markdown" if cell.startswith("# Title") else "code",
            "source": cell.splitlines(keepends=True),
        }
        for cell in cells
    ]
    metadata = {"kernelspec": {"language": language}}
    return json.dumps({"cells": written, "metadata": metadata, "nbformat": 4})


def read(tmp_path: Path, text: str) -> Program | Unreadable:
    path = tmp_path / "a.ipynb"
    path.write_text(text)
    return discover(path, "a.ipynb", tmp_path)


def program(tmp_path: Path, *cells: str) -> Program:
    found = read(tmp_path, notebook(*cells))
    assert isinstance(found, Program), found
    return found


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        pytest.param("%matplotlib inline\nx = 1", ("pass", "x = 1"), id="line magic"),
        pytest.param("!pip install torch", ("pass",), id="shell"),
        pytest.param("!pip install \\\n  torch\nx = 1", ("pass", "", "x = 1"), id="continued"),
        pytest.param("if x:\n    !ls", ("if x:", "    pass"), id="indented"),
        pytest.param("files = !ls", ("files = None",), id="assigned shell"),
        pytest.param("t = %timeit -o f()", ("t = None",), id="assigned magic"),
        pytest.param("nn.Linear?", ("pass",), id="help"),
        pytest.param("?nn.Linear", ("pass",), id="help in front"),
        pytest.param("%%bash\nrm -rf x", ("", ""), id="another language"),
        pytest.param("%%time\nx = 1", ("pass", "x = 1"), id="timed"),
        pytest.param("s = '''\n%d\n!x\n'''", ("s = '''", "%d", "!x", "'''"), id="in a string"),
        pytest.param("f(7\n%3)", ("f(7", "%3)"), id="modulo"),
        pytest.param("x = 1\r\ny = 2", ("x = 1", "y = 2"), id="carriage returns"),
        pytest.param("", ("",), id="empty"),
    ],
)
def test_what_is_not_python_in_a_cell_does_nothing(
    tmp_path: Path, cell: str, lines: tuple[str, ...]
) -> None:
    assert program(tmp_path, cell).lines == lines


def test_cells_begin_where_their_code_does(tmp_path: Path) -> None:
    found = program(tmp_path, "# Title", "a = 1\nb = 2", "# Title", "c = 3")
    assert found.lines == ("a = 1", "b = 2", "c = 3")
    assert found.cells == (0, 0, 2, 2)


def test_source_may_be_one_string(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": "x = 1\ny = 2"}]
    found = read(tmp_path, json.dumps({"cells": cells}))
    assert isinstance(found, Program)
    assert found.lines == ("x = 1", "y = 2")


def test_a_notebook_in_another_language_has_no_code(tmp_path: Path) -> None:
    found = read(tmp_path, notebook("x <- 1", language="R"))
    assert isinstance(found, Program)
    assert found.lines == ("",)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        pytest.param('{\n  "cells": [,]\n}', "a.ipynb:2:13", "is not JSON", id="not JSON"),
        pytest.param("[]", "a.ipynb:1:1", "is no notebook of version 4", id="no notebook"),
        pytest.param(
            '{"worksheets": []}', "a.ipynb:1:1", "is no notebook of version 4", id="version 3"
        ),
        pytest.param('{"cells": [{}]}', "a.ipynb:1:1", "is no notebook", id="no cell"),
        pytest.param(
            notebook("# Title", "x = 1", "x = 1\nx = (1"),
            "a.ipynb:cell 3:2:5",
            "syntax error: '(' was never closed",
            id="syntax error",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, text: str, place: str, reason: str
) -> None:
    found = read(tmp_path, text)
    assert isinstance(found, Unreadable)
    assert str(found.span) == place
    assert reason in found.reason


def test_only_what_a_model_needs_is_left_to_run(tmp_path: Path) -> None:
    found = program(
        tmp_path,
        "import torch\nfrom torch import nn\nimport wandb\nimport sys\nsys.path.append('..')",
        "sizes = {}\nsizes['hidden'] = base * 2\nhidden = sizes['hidden']\nrun = wandb.init()",
        "base = 8\ndata = torch.load('huge.pt')\nprint(data)",
        NET,
        "model = Net(depth=10)\nfor epoch in range(9):\n    train(model)",
    )
    assert found.code is not None
    assert [line for line in found.code.split("\n") if line][:8] == [
        "from torch import nn",
        "import sys",
        "sys.path.append('..')",
        "sizes = {}",
        "sizes['hidden'] = base * 2",
        "hidden = sizes['hidden']",
        "base = 8",
        "class Net(nn.Module):",
    ]
    assert found.code.rstrip().endswith("return self.head(self.body(x))")
    assert len(found.code.splitlines()) == len(found.lines)


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        pytest.param("@add_to_class(Net)\ndef forward(self, x):\n    pass", True, id="decorated"),
        pytest.param("Net.forward = lambda self, x: x", True, id="attribute"),
        pytest.param("@add_to_class(Other)\ndef forward(self, x):\n    pass", False, id="other"),
        pytest.param("@torch.no_grad()\ndef test(net):\n    net(data)", False, id="evaluation"),
        pytest.param("try:\n    hidden = 3\nexcept OSError:\n    pass", True, id="in a try"),
        pytest.param("for i in range(3):\n    loss = 1", False, id="loop"),
        pytest.param("from layers import *", True, id="star"),
        pytest.param("net = Net(3)", False, id="instance"),
    ],
)
def test_what_makes_a_model_what_it_is_runs(tmp_path: Path, cell: str, kept: bool) -> None:
    found = program(tmp_path, "import torch\nfrom torch import nn\nhidden = 2", NET, cell)
    first = cell.split("\n", maxsplit=1)[0]
    assert (first in (found.code or "").split("\n")) is kept


def test_nothing_of_a_notebook_without_a_model_runs(tmp_path: Path) -> None:
    assert program(tmp_path, "import torch\nprint(torch.ones(3))").code == ""


def test_names_that_only_a_function_binds_do_not_keep_cells(tmp_path: Path) -> None:
    cell = NET.replace("def forward(self, x):", "def forward(self, x):\n        images = x")
    found = program(tmp_path, "from torch import nn\nhidden = 3\nimages = download()", cell)
    assert "download" not in (found.code or "")


def test_notebooks_are_found_and_their_copies_are_not(tmp_path: Path) -> None:
    (tmp_path / ".ipynb_checkpoints").mkdir()
    for name in ("a.ipynb", "b.py", "c.txt", ".ipynb_checkpoints/a-checkpoint.ipynb"):
        (tmp_path / name).touch()
    paths = [file.path.name for file in find_files([tmp_path], tmp_path) if hasattr(file, "path")]
    assert paths == ["a.ipynb", "b.py"]


def test_lines_of_a_report_are_counted_in_cells() -> None:
    model = ModelSummary(
        "Net",
        Span("a.ipynb", 4, 1, 6, 2),
        ModelStatus.FAILED,
        reason="forward at a.ipynb:5:9: needs line 2",
        trunk=(TrunkLayer("fc", "Linear", 5, (0.0,)), TrunkLayer("x", "aten.mul", 0, (0.0,))),
    )
    report = FileReport("a.ipynb", models=(model,), lines=("line 1", "b", "c", "d", "e", "f"))
    placed = in_cells(report, (0, 0, 3))
    assert placed.lines[0] == "line 1"
    assert placed.models[0].span == Span("a.ipynb", 1, 1, 3, 2, cell=3)
    assert placed.models[0].reason == "forward at a.ipynb:cell 3:2:9: needs line 2 of cell 2"
    assert [(layer.cell, layer.line) for layer in placed.models[0].trunk] == [(3, 2), (0, 0)]
    assert placed.text_at(placed.models[0].span) == "d"


@pytest.mark.skipif(find_spec("torch") is None, reason="needs a model that runs")
def test_a_notebook_is_linted_without_running_its_other_cells(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "a.ipynb").write_text(
        notebook(
            "# Title",
            f"%load_ext autoreload\nimport torch\nfrom torch import nn\nopen({str(ran)!r}, 'w')",
            "hidden = 16",
            NET,
            "model = Net(10)\nfor _ in range(3):\n    loss = model(torch.randn(8, 16)).sum()\n"
            "    loss.backward()",
        )
    )
    config = Config(seeds=1, python=sys.executable, cache=False)
    report = lint([tmp_path], config, tmp_path)
    assert [(m.name, m.status, str(m.span)) for m in report.models] == [
        ("Net", ModelStatus.PROBED, "a.ipynb:cell 4:1:1")
    ]
    [finding] = [f for f in report.findings if f.rule == "saturating-stack" and stands(f)]
    assert str(finding.span) == "a.ipynb:cell 4:6:51"
    assert (report.files[0].text_at(finding.span) or "").endswith("nn.Sigmoid()]")
    [(summary, graph)] = layer_graphs(tmp_path / "a.ipynb", "Net", config, tmp_path)
    assert summary.span.cell == 4
    assert graph is not None
    assert {(span.cell, span.line) for layer in graph.layers if (span := layer.span)} == {(4, 11)}
    assert not ran.exists()
