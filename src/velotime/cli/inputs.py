"""Files as commands read them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from velotime._status import InputError, InputWarning
from velotime.cli.console import warnings_told

if TYPE_CHECKING:
    from anndata import AnnData

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress.")
BASIS = click.option(
    "--basis",
    metavar="NAME",
    help="Draw cells on this embedding (obsm X_NAME). [default: UMAP or whichever is there]",
)
FORCE = click.option("--force", is_flag=True, help="Replace existing outputs.")
SEED = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed gives the same result."
)
THREADS = click.option("--threads", type=click.IntRange(1), metavar="N", help="Threads. [default: all cores]")


def reading_options(command: F) -> F:
    """Options on what is read of a file."""
    for option in (
        click.option("--spliced", metavar="LAYER", help="Layer of the spliced counts; found by itself by default."),
        click.option("--unspliced", metavar="LAYER", help="Layer of the unspliced counts; found by itself by default."),
        click.option(
            "--gene-names", metavar="COLUMN", help="Column of var that names the genes. [default: names as they are]"
        ),
        click.option("--mod", metavar="NAME", help="Modality of an .h5mu file, or table of a .zarr store."),
    ):
        command = option(command)
    return command


def read_inputs(inputs: tuple[Path, ...], mod: str | None, gene_names: str | None, *, lazily: bool = False) -> AnnData:
    """One file or folder, or several merged; names that occur more than once are told apart, and this is said.

    ``lazily`` leaves the counts of .h5ad files and .zarr stores where they are.
    """
    from velotime import data, read

    if len(inputs) > 1 and mod is not None:
        raise InputError("--mod chooses within one file: give one IN, or read the samples in Python.")
    with warnings_told():
        if len(inputs) > 1:
            return read.samples(inputs, gene_names=gene_names, lazily=lazily)
        if are_samples(inputs):
            return read.samples(inputs[0], gene_names=gene_names, lazily=lazily)
        if lazily and mod is None:
            adata = read.lazy(inputs[0], gene_names=gene_names)
        else:
            adata = read.auto(inputs[0], mod=mod, gene_names=gene_names)
        data.name_apart(adata)
        return adata


def require_embedding(adata: AnnData, basis: str) -> None:
    """Raise an error that names those that are there, if this one is not."""
    from velotime import data

    there = data.list_embeddings(adata)
    if data.short_name(basis) not in there:
        raise InputError(
            f"--basis {basis}: {basis!r} not found in obsm; embeddings there: {', '.join(there) or 'none'}."
        )


def are_samples(inputs: tuple[Path, ...]) -> bool:
    """Whether what is given is a table of samples, or a folder of runs."""
    from velotime import data

    return len(inputs) == 1 and (inputs[0].suffix in (".csv", ".tsv") or bool(data.runs_in(inputs[0])))


def is_large(inputs: tuple[Path, ...], output: Path) -> bool:
    """Whether the counts of IN stay where they are; the output must then be another file."""
    from velotime import data

    files = list(data.samples_in(inputs[0]).paths.values()) if are_samples(inputs) else list(inputs)
    if not data.is_large(*files):
        return False
    if output.resolve() in {path.resolve() for path in files}:
        raise InputError(f"{output} is read block by block while the output is written: give another name, e.g. -o.")
    return True


def beside(inputs: tuple[Path, ...]) -> Path:
    """Where the output goes if no name is given."""
    if len(inputs) > 1:
        raise InputError(f"{len(inputs)} inputs and no name for what is written: give one, e.g. -o fitted.h5ad.")
    path = inputs[0] if inputs[0].name.strip(".") else inputs[0].resolve()
    return path.with_name(f"{path.stem}_velotime.h5ad")


def read_fitted(path: Path) -> AnnData:
    """A file that ``velotime run`` wrote, or any .h5ad with a fit.

    Raises
    ------
    InputError
        If it cannot be read or holds no fit.
    """
    from velotime import data, read

    adata = read.lazy(path) if data.is_large(path) else read.auto(path)
    try:
        data.require_fit(adata)
    except InputError as error:
        raise InputError(f"{path} holds no fit to show: {error} Fit it first: velotime run {path}.") from error
    return adata


def choose_genes(adata: AnnData, limits: dict[str, Any], layers: dict[str, str | None], min_counts: int = 1) -> None:
    """Cells with enough counts, genes with enough, and cells with any in these; all genes stay in ``raw``."""
    from velotime import pp

    with warnings_told():
        if adata.raw is None and adata.X is not None:
            adata.raw = adata
        if min_counts > 1:
            pp.filter_cells(adata, min_counts=min_counts, **layers)
            _tell_left_out(adata, f"fewer than {min_counts:,} counts")
        pp.filter_genes(adata, **limits, **layers)
        pp.filter_cells(adata, **layers)
        _tell_left_out(adata, "no counts")


def _tell_left_out(adata: AnnData, few: str) -> None:
    n = adata.uns["filter_cells"]["left_out"]
    if n:
        warnings.warn(f"{n:,} cells have {few} in the genes to fit: left out.", InputWarning, stacklevel=2)
