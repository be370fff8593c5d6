"""How inputs are found with which a model runs."""
