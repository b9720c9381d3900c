"""``velotime plot``: figures of a file that is fitted already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from velotime._status import InputError
from velotime.cli.console import exit_codes, warnings_told
from velotime.cli.inputs import BASIS, FILE, FORCE, read_fitted

if TYPE_CHECKING:
    from anndata import AnnData


def _portraits(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    del basis
    from velotime import pl

    pl.phase_portrait(adata, genes, color=color, save=path, show=False)


def _along(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    del basis
    from velotime import pl

    pl.along_time(adata, genes, color=color, save=path, show=False)


def _heatmap(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    del basis
    from velotime import pl

    pl.heatmap(adata, genes or None, color=color, save=path, show=False)


def _cells(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    from velotime import pl

    pl.embedding(
        adata, color=[*genes, *([color] if color else [])] or "latent_time", basis=basis, save=path, show=False
    )


def _stream(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    from velotime import pl

    pl.velocity_stream(
        adata, color=[*genes, *([color] if color else [])] or "latent_time", basis=basis, save=path, show=False
    )


def _cycle(adata: AnnData, genes: list[str], color: str | None, basis: str, path: Path) -> None:
    del basis
    from velotime import pl

    pl.cycle(adata, genes or None, color=color, save=path, show=False)


KINDS: dict[str, Callable[[AnnData, list[str], str | None, str, Path], None]] = {
    "portrait": _portraits,
    "time": _along,
    "heatmap": _heatmap,
    "cells": _cells,
    "stream": _stream,
    "cycle": _cycle,
}


@click.command()
@FILE
@click.argument("genes", metavar="[GENE]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to write: .png, .pdf, .svg. [default: FILE with .png in the place of its ending]",
)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    help="portrait: unspliced against spliced; time: both along latent time; heatmap: genes along latent time; cells: "
    "on an embedding; stream: velocity on it; cycle: cells and genes round a cycle. "
    "[default: portrait of GENE, stream where there is none]",
)
@click.option("--color", metavar="COLUMN", help="Column of obs that colours cells. [default: latent_time]")
@BASIS
@FORCE
def plot(
    file: Path,
    genes: tuple[str, ...],
    output: Path | None,
    kind: str | None,
    color: str | None,
    basis: str | None,
    force: bool,
) -> None:
    """Draw genes of a fitted FILE, or its velocity where no GENE is given."""
    with exit_codes():
        output = file.with_suffix(".png") if output is None else output
        kind = kind or ("portrait" if genes else "stream")
        if kind in ("portrait", "time") and not genes:
            raise InputError(f"--kind {kind} draws genes: name some, e.g. velotime plot {file} Ins2 -o {output}.")
        if output.exists() and not force:
            raise InputError(f"{output} exists. Give another name, or --force to replace it.")
        import matplotlib as mpl

        mpl.use("Agg")
        from velotime import data

        adata = read_fitted(file)
        place = basis or next(iter(data.list_embeddings(adata)), "umap")
        with warnings_told():
            KINDS[kind](adata, list(genes), color, place, output)
        click.echo(f"Wrote {output}")
