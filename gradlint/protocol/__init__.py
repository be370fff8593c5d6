"""What parent and worker say to each other: values that need the standard library alone."""
