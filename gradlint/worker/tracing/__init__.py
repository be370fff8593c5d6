"""How one forward pass is recorded and described."""
