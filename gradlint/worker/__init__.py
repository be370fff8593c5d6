"""The half that runs beside the linted code: the standard library and torch, nothing else."""
