"""The command line as a program of its own: ``velotime`` and ``python -m velotime``."""

from __future__ import annotations

import os
import sys

from velotime.cli import INTERRUPTED, main


def start() -> None:
    """Run the command line; an interrupted run ends at once, with its exit code.

    Python would wait for threads that still compute, and where the signal came within an import it would end by the
    signal, whatever code was asked for.
    """
    try:
        main(prog_name="velotime")
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    start()
