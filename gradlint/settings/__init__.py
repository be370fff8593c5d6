"""What the user asks for, in `pyproject.toml` or on the command line."""
