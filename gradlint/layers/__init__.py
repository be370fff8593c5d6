"""The layer graph of a traced model, and the words of the field in which rules ask about it."""
