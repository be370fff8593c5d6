"""One file among the files of its project: what it defines, inherits and is read beside."""
