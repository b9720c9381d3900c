"""What every command does on the terminal: stages, warnings, errors and exit codes."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from velotime._status import FitError, InputError, InputWarning, UnclearWarning
from velotime.cli.words import in_options, warning_text

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
OUR_WARNINGS = (InputWarning, UnclearWarning)
#: Variables by which libraries learn how many threads they may use, read when they are imported.
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Written(list[Path]):
    """The files that a command wrote so far, and where it keeps what is not written yet."""

    checkpoint: Path | None = None

    @property
    def text(self) -> str:
        """What is there of a command that was interrupted."""
        there = f"{', '.join(map(str, self))} was written before" if self else "nothing was written"
        if self.checkpoint is None or not self.checkpoint.exists():
            return f"{there}."
        return f"{there}. {self.checkpoint} keeps what was computed: the same command with --resume goes on from it."


@contextmanager
def exit_codes() -> Iterator[Written]:
    """Turn errors into one line and an exit code: 1 the fit failed, 2 bad input, 130 interrupted.

    Gives a list of the files written so far, which the line of an interrupted run names. A request to end, as of a
    scheduler, interrupts as Ctrl-C does.
    """
    written = Written()
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield written
    except InputError as error:
        click.echo(f"Error: {in_options(str(error))}", err=True)
        sys.exit(BAD_INPUT)
    except FitError as error:
        click.echo(f"The fit failed: {in_options(str(error))}", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        click.echo(f"Interrupted; {written.text}", err=True)
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, usual)


@dataclass(frozen=True)
class Console:
    """Says what is going on, a line per stage with the time since the command began, on stderr.

    Parameters
    ----------
    quiet
        Say nothing.
    """

    quiet: bool
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.perf_counter() - self.began

    @property
    def progress(self) -> bool:
        """Whether there is someone to see a bar."""
        return not self.quiet and sys.stderr.isatty()

    def stage(self, text: str) -> None:
        """A stage begins."""
        if not self.quiet:
            minutes, seconds = divmod(int(self.seconds), 60)
            click.echo(f"[{minutes}:{seconds:02d}] {text}", err=True)


@contextmanager
def warnings_told() -> Iterator[None]:
    """A line for each of our warnings, in the command line's words."""
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            for category in OUR_WARNINGS:
                warnings.simplefilter("always", category)
            yield
    finally:  # before the line of an error, which these may explain
        for warning in caught:
            if issubclass(warning.category, OUR_WARNINGS):
                click.echo(f"Warning: {warning_text(warning.message)}", err=True)


def limit_threads(n: int | None) -> None:
    """Let libraries that are not imported yet use so many threads."""
    if n is not None:
        os.environ.update(dict.fromkeys(THREADS, str(n)))
