"""How files become modules: packages, plain files, scripts, and packages that are not installed."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gradlint.protocol.span import Span
from gradlint.protocol.wire import OpenFile
from gradlint.worker.loading import toplevel
from gradlint.worker.loading.load import Loaded, load
from gradlint.worker.running.failure import MissingPackageError, describe


@pytest.fixture(autouse=True)
def _interpreter_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source).lstrip(), encoding="utf-8")


def request(root: Path, name: str, module: str = "", *import_paths: str) -> OpenFile:
    return OpenFile(str(root / name), name, str(root), module, import_paths, 0)


def loaded(root: Path, source: str, name: str = "some_model.py") -> Loaded:
    write(root, {name: source})
    return load(request(root, name))


def skipped_lines(result: Loaded) -> list[int]:
    return [span.line for span in result.skipped]


class TestNames:
    def test_a_plain_file_is_a_registered_module(self, tmp_path: Path) -> None:
        source = """
            from __future__ import annotations
            from dataclasses import dataclass
            @dataclass
            class Size:
                width: int
        """
        size = loaded(tmp_path, source).module.Size
        assert dataclasses.fields(size)[0].name == "width"
        assert pickle.loads(pickle.dumps(size(3))) == size(3)
        assert inspect.getsource(size).startswith("@dataclass\nclass Size:")

    def test_the_main_block_of_a_file_does_not_run(self, tmp_path: Path) -> None:
        result = loaded(tmp_path, "x = 1\nif __name__ == '__main__':\n    raise SystemExit(9)")
        assert (result.module.x, result.skipped) == (1, ())

    @pytest.mark.parametrize(
        "name", ["json.py", "01-train me.py", "pytest.py"], ids=["standard", "odd", "installed"]
    )
    def test_a_file_whose_name_is_taken_or_odd_gets_a_name_of_its_own(
        self, tmp_path: Path, name: str
    ) -> None:
        result = loaded(tmp_path, "x = 1", name)
        assert result.module.x == 1
        assert result.module.__name__.startswith("_gradlint_")
        assert sys.modules[result.module.__name__] is result.module

    def test_a_file_in_a_package_is_imported_under_its_package_name(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {
                "pack/__init__.py": "",
                "pack/parts.py": "part = 7",
                "pack/nets/__init__.py": "",
                "pack/nets/net.py": "from ..parts import part",
            },
        )
        module = load(request(tmp_path, "pack/nets/net.py", "pack.nets.net")).module
        assert (module.__name__, module.part) == ("pack.nets.net", 7)

    def test_the_init_file_of_a_package_is_imported_as_the_package(self, tmp_path: Path) -> None:
        write(tmp_path, {"pack_b/__init__.py": "from .parts import x", "pack_b/parts.py": "x = 7"})
        module = load(request(tmp_path, "pack_b/__init__.py", "pack_b")).module
        assert (module.__name__, module.x) == ("pack_b", 7)

    def test_an_init_file_that_fails_does_not_hide_the_modules_of_its_package(
        self, tmp_path: Path
    ) -> None:
        write(
            tmp_path,
            {
                "pack_c/__init__.py": """
                    from importlib.metadata import version
                    from .parts import half
                    __version__ = version('pack-that-is-not-installed')
                """,
                "pack_c/parts.py": "half = 0.5",
                "pack_c/net.py": "from pack_c import half",
            },
        )
        assert load(request(tmp_path, "pack_c/net.py", "pack_c.net")).module.half == 0.5

    def test_nothing_is_compiled(self, tmp_path: Path) -> None:
        source = """
            import torch
            @torch.compile
            def plain(x): return x
            @torch.compile(mode="max-autotune")
            def tuned(x): return x
        """
        compiler = torch.compile
        module = loaded(tmp_path, source).module
        assert inspect.unwrap(module.plain) is module.plain
        assert inspect.unwrap(module.tuned) is module.tuned
        assert torch.compile is compiler

    def test_a_failure_of_the_file_itself_is_not_hidden(self, tmp_path: Path) -> None:
        write(
            tmp_path, {"pack_d/__init__.py": "from . import net", "pack_d/net.py": "x = 1\n1 / 0"}
        )
        opened = request(tmp_path, "pack_d/net.py", "pack_d.net")
        with pytest.raises(ZeroDivisionError) as caught:
            load(opened)
        span = describe(caught.value, "import", opened).span
        assert span is not None
        assert span.line == 2

    def test_a_checkout_of_an_installed_package_is_the_file_that_is_loaded(
        self, tmp_path: Path
    ) -> None:
        write(
            tmp_path, {"json/__init__.py": "", "json/decoder.py": "from .scanner import NUMBER_RE"}
        )
        module = load(request(tmp_path, "json/decoder.py", "json.decoder")).module
        assert module.__file__ == str(tmp_path / "json/decoder.py")
        assert module.NUMBER_RE.match("12")

    def test_the_root_its_src_and_the_import_paths_are_searched(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {"deep/net.py": "import in_root, in_src, in_extra, beside\nx = 1", "in_root.py": "",
             "src/in_src.py": "", "extra/in_extra.py": "", "deep/beside.py": ""},
        )  # fmt: skip
        assert load(request(tmp_path, "deep/net.py", "", str(tmp_path / "extra"))).module.x == 1

    def test_a_script_beside_the_file_does_not_hide_a_package_whose_modules_it_imports(
        self, tmp_path: Path
    ) -> None:
        write(tmp_path, {"utils/__init__.py": "", "utils/masking.py": "MASK = 3"})
        write(tmp_path / "layers", {"utils.py": "MASK = 4"})
        source = "from utils.masking import MASK"
        assert loaded(tmp_path, source, "layers/attention.py").module.MASK == 3

    def test_a_module_between_the_file_and_the_root_is_found(self, tmp_path: Path) -> None:
        write(tmp_path, {"a/b/net.py": "from odd_helpers import x", "a/odd_helpers.py": "x = 3"})
        assert load(request(tmp_path, "a/b/net.py")).module.x == 3


class TestScripts:
    def test_what_a_branch_sets_beside_data_that_is_not_there_is_set_all_the_same(
        self, tmp_path: Path
    ) -> None:
        source = """
            import sys
            kept = 5
            if "cifar" in sys.argv:
                data = open("cifar.bin")
                channels, kept = 3, 7
                side = 32
            elif "mnist" in sys.argv:
                side = 28
            else:
                raise ValueError("which data?")
            rows = data.read()
        """
        module = loaded(tmp_path, source).module
        assert (module.side, module.kept) == (32, 5)
        assert not hasattr(module, "channels")

    def test_work_is_left_out_and_what_it_needs_is_kept(self, tmp_path: Path) -> None:
        source = """
            import random
            from pathlib import Path
            size = 3 + 1
            def train(net):
                net.backward()
            def experiment():
                train(size)
            class Net:
                size = size
            net = Net()
            random.seed(1)
            for epoch in range(10):
                loss = net.loss()
                loss.backward()
            experiment()
            history = train(net)
            print(size)
            Path('made').mkdir()
            open('made', 'w')
            with open('made', 'a') as file:
                file.write('x')
            double = 2 * size
        """
        result = loaded(tmp_path, source)
        assert skipped_lines(result) == [12, 15, 16, 17, 18, 19, 20]
        assert result.module.double == 8
        assert result.module.net.size == 4
        assert not Path("made").exists()
        assert not hasattr(result.module, toplevel.GUARD)

    def test_sizes_of_data_that_are_not_there_are_the_usual_ones(self, tmp_path: Path) -> None:
        source = """
            import numpy as np
            import tables_that_are_gone as tables
            data = open('gone.csv').read()
            n_features = len(data)
            n_classes = len(np.unique(tables.read('gone.csv')))
            hidden_size = tables.read('gone.csv').shape[1]
            width = 7
            depth = len(data)
            n_layers = len(data)
            columns = ["store", "day"]
            sizes = [data[column].nunique() for column in columns]
            pairs = [(size, min(50, size // 2)) for size in sizes]
            words = len(data.vocab)
            n_words = len(data.word2idx)
            print(data)
        """
        result = loaded(tmp_path, source)
        known: dict[str, object] = {"n_features": 64, "n_classes": 10, "hidden_size": 64}
        known |= {"words": 1000, "n_words": 1000, "sizes": [64, 64], "pairs": [(64, 32), (64, 32)]}
        assert result.journal.assumed == known
        assert vars(result.module).items() >= (known | {"width": 7}).items()
        assert not hasattr(result.module, "depth")

    def test_a_statement_that_fails_in_a_script_is_skipped_and_explained(
        self, tmp_path: Path
    ) -> None:
        source = """
            print('starting')
            text = open('no such file').read()
            letters = sorted(set(text))
            class Net: pass
        """
        result = loaded(tmp_path, source)
        assert skipped_lines(result) == [1, 2, 3]
        assert result.module.Net
        entry = result.not_run("letters")
        assert entry is not None
        assert entry.span == Span("some_model.py", 3, 1, 3, 28)
        assert entry.reason == "NameError: name 'text' is not defined"
        assert result.not_run("Net") is None

    def test_an_assertion_about_what_was_left_out_does_not_end_the_import(
        self, tmp_path: Path
    ) -> None:
        result = loaded(tmp_path, "data = train()\nassert data\nclass Net: pass")
        assert result.module.Net
        assert skipped_lines(result) == [1, 2]

    def test_a_text_that_a_script_reads_is_read(self, tmp_path: Path) -> None:
        write(tmp_path, {"input.txt": "abca"})
        source = f"""
            with open({str(tmp_path / "input.txt")!r}) as file:
                text = file.read()
            vocabulary = len(set(text))
            print(vocabulary)
        """
        result = loaded(tmp_path, source)
        assert (result.module.vocabulary, skipped_lines(result)) == (3, [4])

    def test_arguments_get_their_default_values(self, tmp_path: Path) -> None:
        source = """
            import argparse
            parser = argparse.ArgumentParser()
            parser.add_argument('--hidden', type=int, default=12)
            args = parser.parse_args()
            hidden = args.hidden
        """
        result = loaded(tmp_path, source)
        assert (result.module.hidden, result.skipped) == (12, ())

    def test_required_arguments_do_not_end_the_import(self, tmp_path: Path) -> None:
        source = """
            import argparse
            parser = argparse.ArgumentParser()
            parser.add_argument('data')
            args = parser.parse_args()
            class Net: pass
        """
        result = loaded(tmp_path, source)
        assert result.module.Net
        assert result.module.args.data is None
        assert not result.skipped

    def test_an_exit_at_top_level_is_left_out(self, tmp_path: Path) -> None:
        source = """
            import sys
            if len(sys.argv) < 2:
                sys.exit('usage: …')
            class Net: pass
        """
        result = loaded(tmp_path, source)
        assert result.module.Net
        assert result.skipped == (Span("some_model.py", 3, 5, 3, 25),)

    def test_a_statement_that_takes_too_long_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(toplevel, "STATEMENT_SECONDS", 0.05)
        result = loaded(tmp_path, "n = 0\nwhile True:\n    n += 1\nx = 1")
        assert (result.module.x, skipped_lines(result)) == (1, [2])
        entry = result.not_run("n")
        assert entry is not None
        assert entry.reason == "it took more than 0.05 s"

    @pytest.mark.parametrize("package", ["", "pack_e"], ids=["plain", "in a package"])
    def test_a_definition_that_fails_does_not_hide_the_others(
        self, tmp_path: Path, package: str
    ) -> None:
        source = "class Net: pass\nclass Lost(Module): pass\nclass Other(Net): pass"
        path = f"{package}/nets.py" if package else "nets.py"
        write(tmp_path, {path: source} | ({f"{package}/__init__.py": ""} if package else {}))
        given = load(request(tmp_path, path, f"{package}.nets" if package else ""))
        assert issubclass(given.module.Other, given.module.Net)
        lost = given.not_run("Lost")
        assert lost is not None
        assert lost.reason == "NameError: name 'Module' is not defined"

    def test_a_folder_that_the_file_adds_to_the_path_is_beside_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "path", [*sys.path])
        source = "import sys\nsys.path.append('parts_of_it')\nfrom sizes_of_it import width\n"
        write(tmp_path, {"some_model.py": source, "parts_of_it/sizes_of_it.py": "width = 3"})
        assert load(request(tmp_path, "some_model.py")).module.width == 3

    def test_a_file_of_definitions_fails_as_it_would_elsewhere(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            loaded(tmp_path, "x = 1 / 0\nclass Net: pass")

    @pytest.mark.parametrize(
        "source",
        [
            "import sys\nsys.path.append('x')",
            "import warnings\nwarnings.filterwarnings('ignore')",
            "import os\nos.environ['X'] = '1'",
            "import logging\nlogger = logging.getLogger()\nlogger.setLevel(10)",
            "try:\n    import json\nexcept ImportError:\n    json = None",
            "import sys\nif sys.version_info > (3,):\n    x = [1]\nelse:\n    x = []",
            "models = {}\nmodels.update(a=1)\n__all__ = ['models']\n__all__ += ['b']",
        ],
        ids=["path", "warnings", "environment", "logging", "try", "if", "registry"],
    )
    def test_harmless_statements_do_not_make_a_script(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
    ) -> None:
        monkeypatch.setenv("X", "0")
        guarded: list[object] = []
        monkeypatch.setattr(toplevel.Journal, "expect", lambda self, statement: guarded.append(1))
        assert loaded(tmp_path, source).skipped == ()
        assert guarded == []

    def test_setting_a_mode_is_not_training(self, tmp_path: Path) -> None:
        source = """
            def make():
                net = Net()
                net.train()
                return net
            class Net:
                def train(self): self.training = True
            net = make()
            trained = net.training
        """
        result = loaded(tmp_path, source)
        assert (result.module.trained, result.skipped) == (True, ())

    def test_a_script_beside_the_file_is_imported_without_its_work(self, tmp_path: Path) -> None:
        write(tmp_path, {"training_script.py": "class Net: pass\nraised = Net().fit()\nprint(1)"})
        module = loaded(tmp_path, "from training_script import Net").module
        assert module.Net.__name__ == "Net"

    def test_a_file_without_a_cycle_of_its_own_name_is_imported_once(self, tmp_path: Path) -> None:
        write(tmp_path, {"blocks_beside.py": "import some_model\nx = 1"})
        module = loaded(tmp_path, "count = 0\nimport blocks_beside\ncount += 1").module
        assert module.count == 1
        assert module.blocks_beside.some_model is module


class TestMissingPackages:
    def test_classes_and_functions_can_be_defined_without_the_package(self, tmp_path: Path) -> None:
        source = """
            import lightning_gone as pl
            import gone.sub.deep
            from typing import Optional
            from gone.typing import Float, typed
            class Base(pl.Module, gone.sub.Mixin, strict=True): pass
            class Derived(Base): pass
            @typed
            @gone.sub.deep.register('net', size=1)
            class Net:
                def forward(self, x: Float[int, 'b c'], y: Optional[pl.T] = None) -> pl.A | None:
                    return isinstance(x, pl.Tensor)
            optimizer = gone.Optimizer(lr=1)
        """
        result = loaded(tmp_path, source)
        assert result.missing == ("gone", "lightning_gone")
        assert result.module.Net().forward(1) is False
        assert result.skipped == ()

    @pytest.mark.parametrize(
        ("source", "use", "package", "line"),
        [
            ("\nimport gone\nclass Net(gone.Base): pass", "Net()", "gone", 2),
            ("from gone_b.x import f\ndef use():\n    return f(1)", "use()", "gone_b", 3),
            (
                "import gone_c\nx = gone_c.config\ndef use():\n    return x + 1",
                "use()",
                "gone_c",
                4,
            ),
            ("import gone_d\ndef use():\n    return len(gone_d.names)", "use()", "gone_d", 3),
            ("import gone_e\ndef use():\n    if gone_e.flag: pass", "use()", "gone_e", 3),
        ],
        ids=["inherits", "calls", "adds", "measures", "asks"],
    )
    def test_real_use_fails_and_names_the_package(
        self, tmp_path: Path, source: str, use: str, package: str, line: int
    ) -> None:
        write(tmp_path, {"some_model.py": ""})
        (tmp_path / "some_model.py").write_text(source)
        opened = request(tmp_path, "some_model.py")
        module = load(opened).module
        with pytest.raises(MissingPackageError) as caught:
            eval(use, vars(module))
        failure = describe(caught.value, "build", opened)
        assert failure.error == "ModuleNotFoundError"
        assert f"No module named {package!r} (imported by some_model.py at line" in failure.message
        assert failure.span is not None
        assert failure.span.line == line

    @pytest.mark.parametrize(
        "source",
        [
            "try:\n    import gone\n    there = True\nexcept ImportError:\n    there = False",
            "try:\n    import gone.x\n    there = True\nexcept Exception:\n    there = False",
            "import importlib.util as u\nthere = u.find_spec('gone') is not None",
            (
                "from contextlib import suppress\nthere = False\n"
                "with suppress(ImportError):\n    import gone\n    there = True"
            ),
            (
                "def f():\n    import gone\ntry:\n    f()\n    there = True\n"
                "except ModuleNotFoundError:\n    there = False"
            ),
            (
                "import sys, gone\ndel sys.modules['gone']\nimport importlib\n"
                "try:\n    importlib.import_module('gone')\n    there = True\n"
                "except ModuleNotFoundError:\n    there = False"
            ),
        ],
        ids=["try", "any exception", "find_spec", "suppress", "in a function", "import_module"],
    )
    def test_code_that_asks_whether_a_package_is_there_is_told_the_truth(
        self, tmp_path: Path, source: str
    ) -> None:
        assert loaded(tmp_path, source).module.there is False

    def test_what_a_file_makes_with_a_missing_package_does_not_hide_its_classes(
        self, tmp_path: Path
    ) -> None:
        source = """
            import gone
            class Net:
                def __init__(self, size):
                    self.places = [0] * size
            world = gone.make('world')
            net = Net(world.space.shape[0])
        """
        result = loaded(tmp_path, source)
        assert result.module.Net(2).places == [0, 0]
        assert "net" not in vars(result.module)
        assert [span.line for span in result.skipped] == [6]

    def test_a_missing_module_of_a_package_that_is_there_is_named_where_it_is_used(
        self, tmp_path: Path
    ) -> None:
        source = "from json.gone import lost\nfrom json import missing\ndef use(): lost()"
        result = loaded(tmp_path, source)
        assert result.missing == ("json.gone", "json.missing")
        with pytest.raises(MissingPackageError, match=r"json\.gone"):
            result.module.use()

    def test_a_file_of_the_project_that_fails_does_not_keep_its_importer_from_running(
        self, tmp_path: Path
    ) -> None:
        files = {
            "op/__init__.py": "from .fused import act, fused",
            "op/fused.py": "fused = open('gone.cpp').read()\ndef act(x): return x + 1",
            "net.py": "from op import act\nvalue = act(1)",
        }
        write(tmp_path, files)
        assert load(request(tmp_path, "net.py")).module.value == 2

    @pytest.mark.parametrize(
        ("fault", "told"),
        [
            ("import gone", "No module named 'gone'"),
            ("raise OSError('libsound.so: no such file')", "libsound.so: no such file"),
        ],
        ids=["lacks a package of its own", "lacks a library"],
    )
    def test_an_installed_package_that_fails_is_stood_in_for_until_it_is_used(
        self, tmp_path: Path, fault: str, told: str
    ) -> None:
        site, project = tmp_path / "site-packages", tmp_path / "project"
        write(site, {"broken/__init__.py": "", "broken/log.py": fault})
        sys.path.append(str(site))
        source = "from broken.log import Writer\nclass Net: pass\ndef main(): Writer()"
        module = loaded(project, source, "net.py").module
        assert module.Net()
        with pytest.raises(MissingPackageError, match=re.escape(f"{told} (imported by net.py at")):
            module.main()

    def test_stand_ins_are_forgotten_after_the_import(self, tmp_path: Path) -> None:
        loaded(tmp_path, "import gone.sub")
        assert not [name for name in sys.modules if name.startswith("gone")]
        with pytest.raises(ModuleNotFoundError):
            import gone  # type: ignore[import-not-found]  # noqa: F401


class TestMainBlocks:
    SCRIPT = """
        class Net:
            def __init__(self):
                self.sizes = [n_class, n_hidden]

        def make_batch():
            return [len(word) for word in words]

        def train():
            loss_of(model).backward()

        if __name__ == "__main__":
            import math
            words = ["a", "be"]
            if len(words) > 1:
                n_class = len(words)
            else:
                n_class = 1
            n_hidden = int(math.sqrt(16))
            model = print("a model is made")
            batch = make_batch()
            train()
    """

    def test_what_classes_and_functions_read_is_set(self, tmp_path: Path) -> None:
        module = loaded(tmp_path, self.SCRIPT).module
        assert module.Net().sizes == [2, 4]
        assert module.make_batch() == [1, 2]

    def test_options_of_the_command_line_have_their_defaults(self, tmp_path: Path) -> None:
        source = """
            import argparse

            class Net:
                def __init__(self):
                    self.sizes = [args.width, args.layers, args.kind, args.data]

            if __name__ == "__main__":
                parser = argparse.ArgumentParser()
                parser.add_argument("data")
                parser.add_argument("--width", type=int, default=8)
                parser.add_argument("--layers", type=int, required=True)
                parser.add_argument("--kind", choices=["a", "b"], required=True)
                args = parser.parse_args()
        """
        assert loaded(tmp_path, source).module.Net().sizes == [8, 2, "a", None]

    def test_what_only_training_reads_is_left_out(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        module = loaded(tmp_path, self.SCRIPT).module
        assert not {"model", "batch"} & set(vars(module))
        assert not capsys.readouterr().out

    def test_a_setting_that_fails_is_skipped(self, tmp_path: Path) -> None:
        source = self.SCRIPT.replace('["a", "be"]', "unknown")
        result = loaded(tmp_path, source)
        assert isinstance(result.module.Net, type)
        assert result.not_run("n_class") is not None


class TestModelsAtTheTop:
    def test_one_that_is_too_large_is_given_up_before_it_takes_memory(self, tmp_path: Path) -> None:
        source = """
            from torch import nn
            large = nn.Linear(10**6, 10**6)
            small = nn.Linear(2, 3)
        """
        result = loaded(tmp_path, source)
        assert skipped_lines(result) == [2]
        assert isinstance(result.module.small, torch.nn.Linear)
        entry = result.not_run("large")
        assert entry is not None
        assert "above the limit" in entry.reason

    def test_one_that_fetches_its_weights_keeps_its_own(self, tmp_path: Path) -> None:
        source = """
            import torch
            layer = torch.nn.Linear(2, 3)
            before = layer.weight.clone()
            layer.load_state_dict(torch.hub.load_state_dict_from_url("https://nowhere.invalid/a.pt"))
        """
        module = loaded(tmp_path, source).module
        assert torch.equal(module.before, module.layer.weight)
