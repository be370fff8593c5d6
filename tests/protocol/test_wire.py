"""Messages survive the pipe: what is encoded is decoded to the same value."""

from __future__ import annotations

import json
import math

import pytest

from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.nodes import Initialisation, Input, Layer, Loss, Parameter, Stop, Stray
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.remedy import (
    AddSkip,
    ClipGradients,
    ExchangeWithNorm,
    Initialise,
    LetThrough,
    LowerRate,
    Normalise,
    Register,
    Remedy,
    ReplaceActivation,
    ReplaceRecurrent,
)
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily, Training
from gradlint.protocol.wire import (
    BuiltFrom,
    Candidate,
    CloseFile,
    Ended,
    Imported,
    Measurement,
    Opened,
    OpenFile,
    Probed,
    ProbeModel,
    Ready,
    Reply,
    Request,
    Traced,
    TraceModel,
    TrunkGradient,
    UserFailure,
    decode,
    encode,
)
from tests.graphs import chain

SPAN = Span("model.py", 3, 5, 3, 17)
CLAIM = Claim(Quantity.RECURRENT_DECAY, "rnn", Bound(at_least=-2), error=Bound(-3), steps=50)
REMEDY = Remedy(
    "everything at once",
    (
        ReplaceActivation(("a", "b"), "relu"),
        Initialise(("l",), 1.4142135623730951),
        Normalise(("l",), "batch"),
        AddSkip((("l", "a"), ("m", "b"))),
        ReplaceRecurrent("rnn", "LSTM", 2.0),
        LetThrough(),
        Register("layers"),
        ExchangeWithNorm((("a", "n"),)),
        ClipGradients(1.0),
        LowerRate(0.2),
    ),
)
WEIGHT = Parameter(
    "w", (2, 3), "float32", 0.0, 0.5, 1.5, 3, 2, 2, True,
    Initialisation("normal_", (("mean", 0.0), ("std", 0.02)), SPAN),
)  # fmt: skip
LAYER = Layer(
    "l", "torch.nn.Linear", "l", 0, (8, 2), "float32", SPAN, None,
    (("bias", True), ("in_features", 3), ("slope", 0.1), ("mode", "fan_in")),
)  # fmt: skip
STOP = Stop("stop 0", "detach", "l", SPAN, ("w", "l"), ("m",), leaves=True)
STRAY = Stray("layers[0].weight", "layers", "list", (3, 3), "float32", True, False, None)
TRAINING = Training(
    OptimizerFamily.SGD, "SGD", 0.1, (("momentum", 0.9), ("nesterov", True)), "CrossEntropyLoss"
)

MESSAGES: tuple[Request | Reply, ...] = (
    OpenFile("/a/b.py", "b.py", "/a", "pkg.b", ("/a", "/a/src"), 2048),
    TraceModel(
        "Net",
        (
            Candidate(BuiltFrom.DEFAULTS, "Net()"),
            Candidate(BuiltFrom.USE_IN_FILE, "Net(n)", ("torch.randn(8, n)",), (("n", "4"),)),
        ),
        seed=7,
    ),
    ProbeModel((CLAIM,), (REMEDY,), ("l",), (0, 1, 2), TRAINING),
    ProbeModel((), (), (), (0,), Training()),
    ProbeModel((), (), (), (0,), Training(), ("l", "m")),
    CloseFile(),
    Ready("2.13.0", "3.11.9"),
    Opened(4711),
    Imported((SPAN,)),
    Traced(
        BuiltFrom.FACTORY, "resnet()", ("float32[8,3]",), 6,
        (Input("x", (8, 3), "float32"), WEIGHT, LAYER, STOP, STRAY, Loss("loss()")), (), 0.25,
    ),
    Probed(
        (Measurement(0, -1, 0, -9.41), Measurement(0, 0, 0, math.inf, "exploded")),
        (TrunkGradient("l", (-9.4, -math.inf)),), True, 1.5,
    ),
    UserFailure("forward", "ValueError", "sizes", SPAN),
    UserFailure("import", "ModuleNotFoundError", "", None),
    Ended(-9),
)  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_comes_out_as_it_went_in(message: Request | Reply) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_a_message_is_one_line_of_strict_json(message: Request | Reply) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_not_a_number_travels() -> None:
    probed = Probed((Measurement(0, -1, 0, math.nan, "not run"),), (), True, 0.0)
    decoded = decode(encode(probed))
    assert isinstance(decoded, Probed)
    assert math.isnan(decoded.measurements[0].value)


def test_a_whole_number_in_a_field_of_real_numbers_stays_real() -> None:
    line = encode(Probed((Measurement(0, -1, 0, 2),), (), True, 1))
    decoded = decode(line)
    assert isinstance(decoded, Probed)
    assert isinstance(decoded.measurements[0].value, float)


def test_settings_keep_their_kinds() -> None:
    traced = next(m for m in MESSAGES if isinstance(m, Traced))
    decoded = decode(encode(traced))
    assert isinstance(decoded, Traced)
    layer = next(node for node in decoded.nodes if isinstance(node, Layer))
    assert [type(value) for _, value in layer.settings] == [bool, int, float, str]


def test_a_graph_of_many_layers_survives() -> None:
    graph = chain(40, "Tanh", "BatchNorm1d").graph()
    nodes: tuple[Layer | Parameter | Loss, ...] = (*graph.layers, *graph.parameters, graph.loss)
    traced = Traced(BuiltFrom.DEFAULTS, "Net()", (), 1, nodes, (), 0.0)
    assert decode(encode(traced)) == traced


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello from user code\n", id="a print"),
        pytest.param(b"[1, 2]\n", id="a list"),
        pytest.param(b"12\n", id="a number"),
        pytest.param(b'{"type": "Rocket"}\n', id="an unknown type"),
        pytest.param(b'{"seed": 1}\n', id="no type"),
        pytest.param(b'{"type": "Opened", "pod": 1}\n', id="an unknown field"),
        pytest.param(b'{"type": "Opened"}\n', id="a missing field"),
        pytest.param(b"\xff\xfe\n", id="not text"),
        pytest.param(b'{"type": "Measurement", "claim": 0}\n', id="half a message"),
    ],
)
def test_what_is_no_message_is_refused_with_its_beginning(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a message|Expecting value|codec"):
        decode(line)
