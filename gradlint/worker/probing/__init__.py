"""How what is claimed of a model is measured."""
