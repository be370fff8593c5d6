"""gradlint: a linter for PyTorch models that proves its findings by measuring gradients."""

__version__ = "0.1.0"
