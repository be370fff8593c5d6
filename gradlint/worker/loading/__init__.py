"""How the linted file becomes a module."""
