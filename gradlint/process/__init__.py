"""The interpreter that runs user code: which one, how it starts, answers and is given up."""
