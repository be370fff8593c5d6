"""Why a class gives no model that can be run or trained, though nothing is wrong with it."""

from __future__ import annotations


class NoForwardError(Exception):
    """Neither a forward of its own nor another method runs the module: a base, a container."""


class NoParametersError(Exception):
    """The module has nothing to train: a transform, a loss, a frozen or functional module."""


class AbstractError(Exception):
    """The constructor calls a method that subclasses are to write, or the forward is or does so."""


class NoGradientError(Exception):
    """The forward is marked to run without gradients: it serves models that others trained."""
