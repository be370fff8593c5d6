"""Small healthy architectures of installed packages, and faults that are written into them."""
