"""How each model of a file can be constructed."""
