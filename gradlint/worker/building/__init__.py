"""How a model is constructed, until it runs."""
