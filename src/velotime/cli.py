"""The command line: ``velotime run`` and ``velotime demo``."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from velotime._cli_words import in_options, warning_text
from velotime._status import FitError, InputError, InputWarning, UnclearWarning

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from velotime.inference import SoftEM

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
OUR_WARNINGS = (InputWarning, UnclearWarning)


@contextmanager
def exit_codes() -> Iterator[list[Path]]:
    """Turn errors into one line and an exit code: 1 the fit failed, 2 bad input, 130 interrupted.

    Gives a list of the files written so far, which the line of an interrupted run names.
    """
    written: list[Path] = []
    try:
        yield written
    except InputError as error:
        click.echo(f"Error: {in_options(str(error))}", err=True)
        sys.exit(BAD_INPUT)
    except FitError as error:
        click.echo(f"The fit failed: {in_options(str(error))}", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        files = ", ".join(map(str, written))
        click.echo(f"Interrupted; {f'{files} was written before' if files else 'nothing was written'}.", err=True)
        sys.exit(INTERRUPTED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="velotime")
def main() -> None:
    """Latent time and RNA velocity from unspliced and spliced counts."""


@main.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to write; default: IN_velotime.h5ad beside IN. Must be given with several IN.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write a page for the browser too, e.g. report.html.")
@click.option("--force", is_flag=True, help="Replace existing outputs.")
@click.option(
    "--noise",
    type=click.Choice(["negative-binomial", "poisson", "gaussian"]),
    default="negative-binomial",
    show_default=True,
    help="How counts scatter; gaussian is for normalised values.",
)
@click.option("--mod", metavar="NAME", help="Modality of an .h5mu file, or table of a .zarr store, with several.")
@click.option("--gene-names", metavar="COLUMN", help="Column of var that names the genes. [default: names as they are]")
@click.option("--unspliced", metavar="LAYER", help="Layer of the unspliced counts; found by itself by default.")
@click.option("--spliced", metavar="LAYER", help="Layer of the spliced counts; found by itself by default.")
@click.option(
    "--min-cells",
    type=click.IntRange(1),
    help="Cells, in each layer, that a gene needs. [default: 1.5 %, 10 to 100]",
)
@click.option(
    "--n-top-genes",
    type=click.IntRange(2),
    help="Keep at most so many genes, the most variable. [default: all]",
)
@click.option(
    "--lineages", metavar="K", default="auto", show_default=True, help='Number of lineages; "auto" counts the ends.'
)
@click.option(
    "--terminals",
    metavar="COLUMN:LABEL,LABEL",
    help="Terminal labels of an obs column, one lineage each. Blanks after commas do not matter; labels that hold "
    "commas can be quoted: 'kind:\"CD4+, naive\",B'.",
)
@click.option("--root", metavar="COLUMN:LABEL", help="Label in which time begins; searched for by default.")
@click.option("--end", metavar="COLUMN:LABEL,LABEL", help="Labels of an obs column known to be late.")
@click.option("--early-markers", metavar="GENE,GENE", help="Genes known to fall along time.")
@click.option("--late-markers", metavar="GENE,GENE", help="Genes known to rise along time.")
@click.option(
    "--time-labels",
    metavar="COLUMN[:LABEL,LABEL]",
    help="Experimental times: numbers, an ordered category, or labels given from early to late.",
)
@click.option("--max-iterations", type=click.IntRange(1), default=40, show_default=True, help="At temperature 1.")
@click.option(
    "--skip-comparison",
    is_flag=True,
    help="Do not ask, on held-out counts, whether there is a trajectory at all.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed gives the same result."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def run(
    inputs: tuple[Path, ...],
    output: Path | None,
    report: Path | None,
    force: bool,
    noise: str,
    mod: str | None,
    gene_names: str | None,
    unspliced: str | None,
    spliced: str | None,
    min_cells: int | None,
    n_top_genes: int | None,
    lineages: str,
    terminals: str | None,
    root: str | None,
    end: str | None,
    early_markers: str | None,
    late_markers: str | None,
    time_labels: str | None,
    max_iterations: int,
    skip_comparison: bool,
    seed: int,
    quiet: bool,
) -> None:
    """Fit the cells of IN and write them with latent time, rates and velocity.

    IN is an .h5ad, .loom or .h5mu file, a .zarr store, or the output folder of STARsolo (Velocyto), kb-python (nac,
    lamanno), alevin-fry (USA mode), tidesurf or Parse (split-pipe). Several IN are samples of one data set: cells of
    the same barcode are told apart by the names of the files.

    Exit codes: 0 done, 1 the fit failed, 2 bad input or usage.
    """
    with exit_codes() as written:
        say = _stages(quiet)
        say(f"Reading {', '.join(map(str, inputs))}")
        _check_limits(noise, min_cells, n_top_genes)
        from velotime import SoftEM, data, tl
        from velotime import report as write_report

        output = _beside(inputs) if output is None else output
        data.check_output(output, force=force)
        if report is not None:
            data.check_output(report, force=force, suffix=".html")
        plain = SoftEM(noise=_noise(noise), max_iterations=max_iterations, n_lineages=_n_lineages(lineages))
        began = time.perf_counter()
        layers = {"unspliced": unspliced, "spliced": spliced}
        adata = _read(inputs, mod, gene_names)
        method = replace(
            plain,
            lineages=_terminals(terminals, adata.obs),
            root=_root(root, adata.obs),
            knowledge=_knowledge(end, early_markers, late_markers, time_labels, adata.obs),
        )
        if method.noise.counts:
            limits: Any = {"min_cells": min_cells, "n_top_genes": n_top_genes, "keep": method.marker_genes}
            _filter(adata, limits, layers)
        _fit(adata, method, layers, seed=seed, quiet=quiet)
        _to_unit(adata, method)
        if method.noise.counts and not skip_comparison:
            say("Comparing with clusters and a constant on held-out counts")
            tl.compare_models(adata, method=method, seed=seed, **layers)
        elif not method.noise.counts:
            say("No comparison with clusters: it needs held-out counts, and --noise gaussian reads values")
        say(f"Writing {output}")
        data.write_file(adata, output, force=force)
        written.append(output)
        _tell(adata, began)
        click.echo(f"\nWrote {output}")
        if report is not None:
            say(f"Writing {report}")
            write_report(adata, report, title=", ".join(path.name for path in inputs), force=force)
            click.echo(f"Wrote {report}")


@main.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("velotime_demo"), show_default=True)
@click.option("--cells", type=click.IntRange(50), default=1500, show_default=True)
@click.option("--genes", type=click.IntRange(20), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def demo(output: Path, cells: int, genes: int, seed: int, quiet: bool) -> None:
    """Simulate a process with two fates, fit it, compare with the truth; writes figures, a report and an .h5ad."""
    with exit_codes() as written:
        say = _stages(quiet)
        say(f"Simulating {cells:,} cells and {genes:,} genes")
        import numpy as np

        from velotime import SoftEM, data, report, simulation

        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {output} cannot be made: {error.strerror}.") from error
        began = time.perf_counter()
        branches = simulation.Branches(times=(0.4,))
        adata = simulation.simulate(cells, genes, rng=np.random.default_rng(seed), branches=branches)
        _fit(adata, SoftEM(n_lineages=branches.n_lineages), {}, seed=seed, quiet=quiet)
        say(f"Writing {output}")
        data.write_file(adata, output / "demo.h5ad", force=True)
        written.append(output / "demo.h5ad")
        written.extend(_demo_figures(adata, output))
        report(adata, output / "report.html", title="velotime demo", force=True)
        written.append(output / "report.html")
        _tell(adata, began)
        click.echo(f"\nSpearman correlation of latent time with the true time: {_spearman(adata):.3f}")
        click.echo("Wrote " + ", ".join(str(path) for path in written))


def _stages(quiet: bool) -> Callable[[str], None]:
    """Says what is going on, a line per stage, on stderr."""

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    return say


def _tell(adata: AnnData, began: float) -> None:
    """The table of text."""
    from velotime.report import summary

    click.echo(in_options(summary(adata, seconds=time.perf_counter() - began)))


def _check_limits(noise: str, min_cells: int | None, n_top_genes: int | None) -> None:
    """Genes are chosen by raw counts, which Gaussian noise does not read."""
    given = {"--min-cells": min_cells, "--n-top-genes": n_top_genes}
    options = " and ".join(name for name, value in given.items() if value is not None)
    if options and noise == "gaussian":
        raise InputError(
            f"{options}: genes are chosen by raw counts, but --noise gaussian reads normalised values. Leave it out "
            "and give a file with the genes to fit."
        )


def _beside(inputs: tuple[Path, ...]) -> Path:
    if len(inputs) > 1:
        raise InputError(f"{len(inputs)} inputs and no name for what is written: give one, e.g. -o fitted.h5ad.")
    path = inputs[0] if inputs[0].name.strip(".") else inputs[0].resolve()
    return path.with_name(f"{path.stem}_velotime.h5ad")


def _read(inputs: tuple[Path, ...], mod: str | None, gene_names: str | None) -> AnnData:
    """One file or folder, or several merged; names that occur more than once are told apart, and this is said."""
    from velotime import data, read

    if len(inputs) > 1 and mod is not None:
        raise InputError("--mod chooses within one file: give one IN, or read the samples in Python.")
    with _warnings_told():
        if len(inputs) > 1:
            return read.samples(inputs, gene_names=gene_names)
        adata = read.auto(inputs[0], mod=mod, gene_names=gene_names)
        data.name_apart(adata)
        return adata


def _filter(adata: AnnData, limits: dict[str, Any], layers: dict[str, str | None]) -> None:
    """Genes with enough counts, and cells with any in these."""
    from velotime import pp

    with _warnings_told():
        pp.filter_genes(adata, **limits, **layers)
        pp.filter_cells(adata, **layers)
        n = adata.uns["filter_cells"]["left_out"]
        if n:
            warnings.warn(f"{n:,} cells have no counts in the genes to fit: left out.", InputWarning, stacklevel=2)


@contextmanager
def _warnings_told() -> Iterator[None]:
    """A line for each of our warnings."""
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


def _noise(name: str) -> Any:
    from velotime import Gaussian, NegativeBinomial, Poisson

    return {"negative-binomial": NegativeBinomial, "poisson": Poisson, "gaussian": Gaussian}[name]()


def _n_lineages(given: str) -> Any:
    if given == "auto":
        return given
    try:
        return int(given)
    except ValueError:
        raise InputError(f'--lineages {given}: give a whole number or "auto".') from None


def _terminals(given: str | None, obs: pd.DataFrame) -> Any:
    from velotime import Terminals
    from velotime._cli_labels import column_and_labels

    return None if given is None else Terminals(*column_and_labels("--terminals", given, obs))


def _root(given: str | None, obs: pd.DataFrame) -> Any:
    from velotime import Root
    from velotime._cli_labels import column_and_label

    return None if given is None else Root(*column_and_label("--root", given, obs))


def _knowledge(
    end: str | None, early: str | None, late: str | None, times: str | None, obs: pd.DataFrame
) -> tuple[Any, ...]:
    from velotime import Ends, Markers, TimeLabels
    from velotime._cli_labels import column_and_labels, column_and_order, split_names

    pieces: list[Any] = []
    if end is not None:
        pieces.append(Ends(*column_and_labels("--end", end, obs)))
    if early is not None or late is not None:
        pieces.append(Markers(early=split_names(early), late=split_names(late)))
    if times is not None:
        column, order = column_and_order("--time-labels", times, obs)
        pieces.append(TimeLabels(column, order=order))
    return tuple(pieces)


def _to_unit(adata: AnnData, method: SoftEM) -> None:
    """Put time on the scale of time labels that are numbers; where it runs against them, say so."""
    from pandas.api.types import is_numeric_dtype

    from velotime import TimeLabels, tl

    for piece in method.knowledge:
        if isinstance(piece, TimeLabels) and is_numeric_dtype(adata.obs[piece.column]):
            try:
                tl.to_experimental_time(adata, piece.column)
            except InputError as error:
                click.echo(f"Warning: {in_options(str(error))}", err=True)


def _fit(adata: AnnData, method: SoftEM, layers: dict[str, str | None], *, seed: int, quiet: bool) -> None:
    from velotime import tl

    shape = f"{adata.n_obs:,} cells and {adata.n_vars:,} genes"
    _stages(quiet)(f"Fitting {shape}: short fits from several starts, then the fit of all cells")
    with _warnings_told():
        tl.recover_dynamics(adata, method=method, seed=seed, progress=not quiet and sys.stderr.isatty(), **layers)


def _spearman(adata: AnnData) -> float:
    return float(adata.obs[["latent_time", "true_time"]].corr("spearman").iloc[0, 1])


def _demo_figures(adata: AnnData, folder: Path) -> list[Path]:
    """Latent against true time, and phase portraits of the four best genes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from velotime import pl
    from velotime.report import best_genes

    paths = [folder / "latent_time.png", folder / "phase_portraits.png"]
    pl.time_against(adata, "true_time", save=paths[0], show=False)
    figure, axes = plt.subplots(2, 2, figsize=(8, 6.4), layout="constrained")
    for ax, gene in zip(axes.ravel(), best_genes(adata, 4), strict=False):
        pl.phase_portrait(adata, gene, ax=ax, show=False)
    figure.savefig(paths[1], dpi=150)
    plt.close("all")
    return paths
