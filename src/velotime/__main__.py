"""``python -m velotime``."""

from __future__ import annotations

from velotime.cli import main

main(prog_name="velotime")
