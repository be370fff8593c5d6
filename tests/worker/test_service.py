from __future__ import annotations

import pytest

from gradlint.protocol.nodes import Parameter
from gradlint.protocol.wire import BuiltFrom, OpenFile
from gradlint.worker.running.failure import UserError
from gradlint.worker.service import FileService
from tests.worker.models import module_of, request

HUNGRY = """
    class Net(nn.Module):
        passes = 0

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 4)

        def forward(self, x):
            Net.passes += 1
            if Net.passes > 1 and len(x) > LARGEST:  # tracing keeps what searching let go of
                raise MemoryError
            return self.layer(x)
"""


def service(largest: int) -> FileService:
    opened = OpenFile("net.py", "net.py", ".", "", (), 0)
    return FileService(module_of(HUNGRY.replace("LARGEST", str(largest))), opened)


def test_a_model_that_runs_out_of_memory_is_fed_with_half_of_the_batch() -> None:
    assert service(largest=4).trace(request("Net()")).inputs == ("float32[4,3]",)


def test_a_model_that_runs_out_of_memory_with_two_samples_has_failed() -> None:
    with pytest.raises(UserError) as caught:
        service(largest=1).trace(request("Net()"))
    assert isinstance(caught.value.error, MemoryError)
    assert caught.value.stage == "forward"


def test_a_model_that_runs_out_of_memory_is_traced_on_tensors_that_take_none() -> None:
    opened = OpenFile("net.py", "net.py", ".", "", (), 0)
    hungry = HUNGRY.replace("len(x) > LARGEST", 'type(x).__name__ != "FakeTensor"')
    traced = FileService(module_of(hungry), opened).trace(request("Net()"))
    assert not traced.measurable
    assert traced.inputs == ("float32[2,3]",)


def test_inputs_of_the_source_that_do_not_run_are_searched_and_said_to_be() -> None:
    inputs = ("torch.randn(2, 7)",)
    assert service(largest=8).trace(request("Net()", inputs=inputs)).searched


def test_a_model_that_takes_few_samples_is_traced_with_as_many_as_it_takes() -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(4, 4)

            def forward(self, x):
                if len(x) > 5:
                    raise ValueError("too many")
                return self.layer(x)
    """
    opened = OpenFile("net.py", "net.py", ".", "", (), 0)
    traced = FileService(module_of(source), opened).trace(request("Net()"))
    assert traced.inputs == ("float32[4,4]",)


def test_a_usual_value_in_place_of_one_that_was_lost_is_told_where_the_model_reads_it() -> None:
    source = """
        n_features, n_classes = 64, 10

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(n_features, 4)

            def forward(self, x):
                return self.layer(x)
    """
    opened = OpenFile("net.py", "net.py", ".", "", (), 0)
    assumed = {"n_features": 64, "n_classes": 10}
    asked = request("Net()", bindings=(("n_features", "len(lost)"),))
    traced = FileService(module_of(source), opened, assumed).trace(asked)
    assert traced.assumed == ("n_features = 64",)
    assert traced.built_from is BuiltFrom.NAMES


def test_a_model_that_names_only_some_of_its_parameters_is_traced_whole() -> None:
    source = """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fixed, self.layer = nn.Linear(3, 3), nn.Linear(3, 4)

            def parameters(self):
                return self.layer.parameters()

            def forward(self, x):
                return self.layer(self.fixed(x))
    """
    opened = OpenFile("net.py", "net.py", ".", "", (), 0)
    traced = FileService(module_of(source), opened).trace(request("Net()"))
    weights = {node.id for node in traced.nodes if isinstance(node, Parameter)}
    assert weights == {"fixed.weight", "fixed.bias", "layer.weight", "layer.bias"}
