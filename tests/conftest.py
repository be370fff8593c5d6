"""All tests compute on one thread, as the worker does: what is this small is slower on several."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is imported
