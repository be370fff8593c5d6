"""The layer graph as lanes beside its list of layers, one row a layer, as logs of git are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradlint.report import PicturedLayer


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its lane, the lanes that end in it from above, and those that pass it by.

    `goes_on` is whether anything takes its output.
    """

    lane: int
    arriving: tuple[int, ...]
    passing: tuple[int, ...]
    goes_on: bool


def rows_of(layers: Sequence[PicturedLayer]) -> tuple[Row, ...]:
    """The rows of the layers in their order; producers stand before their consumers.

    A tensor keeps its lane until its last consumer, so a skip runs straight down beside the branch
    that it skips, and what joins them takes the lane of the skip again.
    """
    waiting = Counter(producer for layer in layers for producer in layer.producers)
    total = dict(waiting)
    lanes: dict[int, int] = {}  # the lane of each tensor that is still awaited
    rows = []
    for place, layer in enumerate(layers):
        arriving = sorted({lanes[producer] for producer in layer.producers if producer in lanes})
        for producer in layer.producers:
            waiting[producer] -= 1
            if not waiting[producer]:
                lanes.pop(producer, None)
        taken = set(lanes.values())
        lane = next((lane for lane in arriving if lane not in taken), None)
        if lane is None:
            lane = next(lane for lane in range(len(taken) + 1) if lane not in taken)
        goes_on = bool(total.get(place))
        rows.append(Row(lane, tuple(arriving), tuple(sorted(taken)), goes_on))
        if goes_on:
            lanes[place] = lane
    return tuple(rows)
