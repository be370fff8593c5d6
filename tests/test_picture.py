"""The picture of a model: what is where in it, and which numbers it shows."""

from __future__ import annotations

import math

from gradlint.picture import picture_of, pictured, signals_of
from gradlint.protocol.wire import Picture, Probed
from gradlint.theory import predict
from tests.graphs import Sketch


def sketched() -> Sketch:
    sketch = Sketch()
    first = sketch.dense()
    second = sketch.layer("torch.nn.ReLU")
    sketch.layer("aten.add", first, second)
    return sketch


def test_inputs_come_first_and_the_loss_last() -> None:
    graph = sketched().graph()
    layers = picture_of(graph, Probed((), (), True, 0.0), None).layers
    assert [layer.op for layer in layers] == [
        *("input", "torch.nn.Linear", "torch.nn.ReLU", "aten.add", "loss")
    ]
    assert [layer.producers for layer in layers] == [(), (0,), (1,), (1, 2), (3,)]


def test_signals_stand_at_the_places_of_their_layers() -> None:
    graph = sketched().graph()
    plain = Picture(-1, (-3.0, -2.0, -1.0), (0.1, 0.2, 0.3))
    remedied = Picture(0, (-0.3, -0.2, -0.1), (0.0, 0.0, 0.0))
    probed = Probed((), (), True, 0.0, (plain, remedied))
    picture = picture_of(graph, probed, predict(graph))
    assert len(pictured(graph)) == len(plain.decades)
    assert picture.measured.decades[1:] == (-3.0, -2.0, -1.0, 0.0)
    assert math.isnan(picture.measured.decades[0])
    assert picture.predicted is not None
    assert len(picture.predicted.activations) == len(picture.layers)
    after = signals_of(graph, probed, 0)
    assert after is not None
    assert after.decades[1:4] == remedied.decades
    assert signals_of(graph, probed, 1) is None


def test_a_picture_without_a_probe_shows_nothing_measured() -> None:
    graph = sketched().graph()
    measured = picture_of(graph, Probed((), (), True, 0.0), None).measured
    assert [math.isnan(value) for value in measured.decades] == [True, True, True, True, False]
