"""What is known in hours as the command line gives it, and hours from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from velotime._status import InputError
from velotime.cli.console import warnings_told
from velotime.cli.labels import split_names
from velotime.cli.words import in_options

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


F = TypeVar("F", bound=Callable[..., Any])


def hours_options(command: F) -> F:
    """Options on what is known in hours."""
    for option in (
        click.option(
            "--labelled-hours", metavar="HOURS", help="For how long they were labelled: a number, or a column of obs."
        ),
        click.option(
            "--labelled",
            metavar="LAYER,LAYER",
            help="Layers of labelled counts, unspliced and spliced ones, for time in hours, rates per hour.",
        ),
        click.option(
            "--half-lives",
            metavar="FILE.csv",
            type=click.Path(path_type=Path),
            help="Known half-lives of mRNA in hours, genes in the first column: time in hours, rates per hour.",
        ),
    ):
        command = option(command)
    return command


def known_hours(
    half_lives: Path | None, labelled: str | None, hours: str | None, samples: str | None
) -> dict[str, Any]:
    """What the options say is known in hours, as arguments of ``to_real_time``; none if nothing is.

    Raises
    ------
    InputError
        If it cannot be read, or options do not go together.
    """
    if labelled is None and hours is None:
        known = read_half_lives(half_lives)
        return {} if known is None else {"half_lives": known}
    if labelled is None or hours is None:
        raise InputError("--labelled LAYER,LAYER and --labelled-hours HOURS go together: give both.")
    if half_lives is not None:
        raise InputError("--half-lives and --labelled: hours come from one of them; leave the other out.")
    layers = split_names(labelled)
    if len(layers) != 2:
        raise InputError(f"--labelled {labelled}: give two layers, labelled unspliced and labelled spliced counts.")
    return {"labelled": tuple(layers), "hours": _number_or_name(hours), "samples": samples}


def _number_or_name(given: str) -> float | str:
    try:
        return float(given)
    except ValueError:
        return given


def read_half_lives(path: Path | None) -> pd.Series | None:
    """A table of half-lives, before a long fit; None for none.

    Raises
    ------
    InputError
        If there is no such file, or it holds no half-lives by the names of genes.
    """
    if path is None:
        return None
    import pandas as pd

    from velotime._check import NotAllowedError
    from velotime.tl._hours.half_lives import HalfLives

    if not path.is_file():
        raise InputError(f"--half-lives {path}: no such file.")
    table = pd.read_csv(path, index_col=0, sep="\t" if path.suffix in (".tsv", ".txt") else ",")
    try:
        return HalfLives().accept(table)
    except NotAllowedError as refused:
        raise InputError(
            f"--half-lives {path}: must hold genes in its first column, and half-lives in hours in its only numeric "
            f"column or one named half_life. {refused}"
        ) from None


def to_hours(adata: AnnData, known: dict[str, Any]) -> None:
    """Put time and rates in hours; where that cannot be done, say why and go on."""
    if not known:
        return
    from velotime import tl

    try:
        with warnings_told():
            tl.to_real_time(adata, **known)
    except InputError as error:
        click.echo(f"Warning: {in_options(str(error))}", err=True)
