"""The start of a worker process: the parent's settings are its last argument, as JSON."""

from __future__ import annotations

import json
import os
import sys

from gradlint.worker.isolate import Pipes, Settings, run


def main() -> None:
    """Serve files until the parent is gone, and end without running anybody's exit handlers."""
    settings = Settings(**json.loads(sys.argv[-1]))
    run(settings, Pipes())
    os._exit(0)


if __name__ == "__main__":
    main()
