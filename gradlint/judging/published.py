"""What is not judged of a model whose published weights were not loaded."""

from __future__ import annotations

from dataclasses import replace

from gradlint.judging.evidence import Evidence, Verdict
from gradlint.layers.graph import LayerGraph
from gradlint.protocol.quantity import Quantity
from gradlint.rule import Hypothesis

_OF_STRUCTURE = frozenset(
    {
        Quantity.REACHED_SHARE,
        Quantity.STRAY_SHARE,
        Quantity.BIAS_GRADIENT,
        Quantity.NORMALIZED_VALUES,
        Quantity.PASSED_GRADIENT,
        Quantity.WRONG_GRADIENT,
        Quantity.OUTPUT_HIGHEST,
        Quantity.OUTPUT_LOWEST,
    }
)
"""What is the same whatever the weights are."""


def unless_unfetched(evidence: Evidence, hypothesis: Hypothesis, graph: LayerGraph) -> Evidence:
    """The evidence, inconclusive where it rests on values in place of published weights.

    It does where a layer of the hypothesis, or the loss of which it speaks, takes such weights:
    their random stand-ins say nothing about how the published ones train.
    """
    waiting = {parameter.id for parameter in graph.parameters if parameter.unfetched}
    if not waiting or evidence.claim.quantity in _OF_STRUCTURE:
        return evidence
    if evidence.verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE):
        return evidence
    if not waiting.isdisjoint(_weights_of(hypothesis, evidence, graph)):
        why = "its published weights are not on this machine, and random ones say nothing of them"
        return replace(evidence, verdict=Verdict.INCONCLUSIVE, reason=why)
    return evidence


def _weights_of(hypothesis: Hypothesis, evidence: Evidence, graph: LayerGraph) -> set[str]:
    speaks_of = {*hypothesis.region, hypothesis.layer, evidence.claim.of}
    if not hypothesis.region or graph.loss.id in speaks_of:
        return {parameter.id for parameter in graph.parameters}
    layers = (layer for layer in graph.layers if layer.id in speaks_of)
    return speaks_of | {p.id for layer in layers for p in graph.parameters_of(layer)}
