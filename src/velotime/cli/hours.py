"""Half-lives as the command line gives them, and hours from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from velotime._status import InputError
from velotime.cli.console import warnings_told
from velotime.cli.words import in_options

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


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


def to_hours(adata: AnnData, half_lives: pd.Series | None) -> None:
    """Put time and rates in hours; where that cannot be done, say why and go on."""
    if half_lives is None:
        return
    from velotime import tl

    try:
        with warnings_told():
            tl.to_real_time(adata, half_lives)
    except InputError as error:
        click.echo(f"Warning: {in_options(str(error))}", err=True)
