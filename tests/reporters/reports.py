"""Reports made by hand, for the tests of reporters and of the command line."""

from __future__ import annotations

import math

from gradlint.judging.evidence import Evidence, RemedyVerdict, Severity, Verdict
from gradlint.protocol.claim import Bound, Claim
from gradlint.protocol.quantity import Quantity
from gradlint.protocol.span import Span
from gradlint.protocol.training import OptimizerFamily
from gradlint.report import (
    FileReport,
    Finding,
    ModelStatus,
    ModelSummary,
    Picture,
    PicturedLayer,
    Report,
    Signals,
    TriedRemedy,
    TrunkLayer,
)

SOURCE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, depth=12):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(32, 32), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(x))


class Wide(nn.Module):
    def __init__(self, width, heads, *, bias=True):
        super().__init__()
"""

_LINES = tuple(SOURCE.splitlines())

DECADES = Claim(
    Quantity.GRADIENT_DECADES, "body.0", Bound(at_least=-2.5, at_most=2.5), Bound(at_least=-3)
)


def finding(**changes: object) -> Finding:
    """A confirmed finding with evidence, three remedies and a note."""
    fields: dict[str, object] = {
        "rule": "saturating-stack",
        "family": "activation",
        "severity": Severity.ERROR,
        "span": Span("model.py", 10, 43, 10, 55),
        "model": "Net",
        "layer": "body.1",
        "message": "12 Sigmoid layers in a row with no normalisation between them",
        "verdict": Verdict.CONFIRMED,
        "evidence": (
            Evidence(DECADES, (-9.41234, -9.391, -9.4449), Verdict.CONFIRMED, predicted=-9.3),
        ),
        "remedies": (
            TriedRemedy("put BatchNorm in front of each Sigmoid", (-1.6,), RemedyVerdict.IMPROVES),
            TriedRemedy(
                "replace Sigmoid by ReLU, He initialisation, BatchNorm",
                (-0.31, -0.3, -0.312),
                RemedyVerdict.RESTORES,
            ),
            TriedRemedy("initialise anew", (-7.0,), RemedyVerdict.INSUFFICIENT),
        ),
        "advice": "use another activation",
        "causes": (("activation derivative", -7.12), ("weight scale", -2.29)),
        "notes": (
            Finding(
                rule="init-scale",
                family="init",
                severity=Severity.WARNING,
                span=Span("model.py", 10, 24, 10, 41),
                model="Net",
                layer="body.0",
                message="weights of 12 layers start too small",
                verdict=Verdict.CONFIRMED,
            ),
        ),
    }
    return Finding(**{**fields, **changes})  # type: ignore[arg-type]


def net(**changes: object) -> ModelSummary:
    """A probed model whose gradient falls by 9.4 decades along 25 layers."""
    trunk = tuple(
        TrunkLayer(
            layer=f"body.{index}" if index < 24 else "head",
            op="torch.nn.Linear" if index % 2 == 0 else "torch.nn.Sigmoid",
            line=15,
            measured=tuple(round((index - 24) * step, 2) for step in (0.392, 0.391, 0.394)),
        )
        for index in range(25)
    )
    fields: dict[str, object] = {
        "name": "Net",
        "span": Span("model.py", 5, 1, 5, 22),
        "status": ModelStatus.PROBED,
        "built_from": "defaults",
        "inputs": ("float32[8,32]",),
        "optimizer": OptimizerFamily.SGD,
        "parameters": 13002,
        "layers": 25,
        "seconds": 0.41234,
        "trunk": trunk,
    }
    return ModelSummary(**{**fields, **changes})  # type: ignore[arg-type]


def pictured(depth: int = 24) -> Report:
    """A run over a model of `depth` layers and a skip around each pair, with a remedy tried."""
    layers = [PicturedLayer("input 0", "input", "", 0, (8, 32), ())]
    for place in range(1, depth + 1):
        joins = place % 3 == 0
        layers.append(
            PicturedLayer(
                id=f"body.{place - 1}",
                op="aten.add" if joins else "torch.nn.Linear",
                module="body",
                line=10,
                shape=(8, 32),
                producers=(place - 1, place - 3) if joins else (place - 1,),
                parameters=0 if joins else 1056,
            )
        )
    layers.append(PicturedLayer("loss", "loss", "", 0, (), (depth,)))
    slope = tuple((place - depth) * 9.4 / depth for place in range(depth + 1))
    measured = Signals((math.nan, *slope[1:], 0.0), (math.nan, *slope[1:], math.nan))
    flat = Signals((0.0,) * (depth + 2), (0.0,) * (depth + 2))
    trunk = tuple(
        TrunkLayer(layer.id, layer.op, layer.line, (value, value - 0.1, value + 0.1), value + 0.2)
        for layer, value in zip(layers[1:-1], slope[1:], strict=True)
    )
    model = net(trunk=trunk, layers=depth, picture=Picture(tuple(layers), measured, flat))
    remedy = TriedRemedy("use <norms> & skips", (-0.3,), RemedyVerdict.RESTORES, signals=flat)
    found = finding(layer="body.0", remedies=(remedy,))
    file = FileReport("model.py", models=(model, wide()), findings=(found,), lines=_LINES)
    return Report((file,), "0.1.0", "2.13.0", 0, 3, 2.3)


def wide() -> ModelSummary:
    """A model that was not built for want of arguments."""
    return ModelSummary(
        name="Wide",
        span=Span("model.py", 18, 1),
        status=ModelStatus.NOT_BUILT,
        reason="build: TypeError: Wide.__init__() missing 2 required positional arguments: "
        "'width' and 'heads'",
    )


def report(*findings: Finding, **changes: object) -> Report:
    """A run over a file that could be read and one that could not."""
    unreadable = Finding(
        rule="unreadable-file",
        family="file",
        severity=Severity.ERROR,
        span=Span("broken.py", 3, 7),
        model="",
        layer="",
        message="not Python: '(' was never closed",
        verdict=Verdict.CONFIRMED,
    )
    files = (
        FileReport(
            path="model.py",
            models=(
                net(),
                wide(),
                ModelSummary("Block", Span("model.py", 30), ModelStatus.PROBED, covered_by="Net"),
            ),
            findings=findings or (finding(), refuted(), suppressed(), inconclusive()),
            lines=tuple(SOURCE.splitlines()),
        ),
        FileReport(
            path="broken.py",
            reason="not Python: '(' was never closed",
            findings=(unreadable,),
        ),
    )
    fields: dict[str, object] = {
        "files": files,
        "gradlint": "0.1.0",
        "torch": "2.13.0",
        "seed": 0,
        "seeds": 3,
        "seconds": 2.31234,
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def refuted() -> Finding:
    """A suspicion that the probe withdrew."""
    return finding(
        rule="missing-skip",
        family="topology",
        span=Span("model.py", 12, 9),
        message="12 weighted layers one behind the other",
        verdict=Verdict.REFUTED,
        evidence=(Evidence(DECADES, (-0.2, -0.1, 0.004), Verdict.REFUTED),),
        remedies=(),
        notes=(),
    )


def suppressed() -> Finding:
    """A finding that a comment suppresses."""
    return finding(
        rule="vanilla-rnn",
        family="recurrent",
        span=Span("model.py", 12, 21),
        layer="rnn",
        suppressed=True,
        suppression_reason="only 5 steps here",
        remedies=(),
        notes=(),
    )


def inconclusive() -> Finding:
    """A suspicion that could not be settled, with numbers that are not finite."""
    evidence = Evidence(DECADES, (-9.0, math.nan, -math.inf), Verdict.INCONCLUSIVE, "not finite")
    return finding(
        span=Span("model.py", 15, 1),
        verdict=Verdict.INCONCLUSIVE,
        reason="not finite",
        evidence=(evidence,),
        remedies=(),
        notes=(),
    )
