"""The text of one file: its syntax, and what its expressions mean."""
