"""Signal propagation on the layer graph: what can be said of variance and gradient without data."""

from gradlint.theory.attribution import Attribution, Cause, explain
from gradlint.theory.prediction import Prediction, Signal, predict

__all__ = ["Attribution", "Cause", "Prediction", "Signal", "explain", "predict"]
