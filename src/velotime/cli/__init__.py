"""The command line: ``velotime run`` and what goes with it."""

from __future__ import annotations

import click

from velotime.cli.commands.compare import compare
from velotime.cli.commands.demo import demo
from velotime.cli.commands.plot import plot
from velotime.cli.commands.report import report
from velotime.cli.commands.run import run
from velotime.cli.console import INTERRUPTED

__all__ = ["INTERRUPTED", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="velotime")
def main() -> None:
    """Latent time and RNA velocity from unspliced and spliced counts."""


for command in (run, report, plot, compare, demo):
    main.add_command(command)
