"""How the models of a file are trained."""
