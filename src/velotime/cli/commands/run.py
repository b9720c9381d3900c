"""``velotime run``: counts in, a fitted file out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from velotime._status import InputError
from velotime.cli.console import Console, exit_codes, limit_threads, warnings_told
from velotime.cli.hours import hours_options, known_hours, to_hours
from velotime.cli.inputs import (
    BASIS,
    FORCE,
    QUIET,
    SEED,
    THREADS,
    are_samples,
    beside,
    choose_genes,
    is_large,
    read_inputs,
    reading_options,
    require_embedding,
)
from velotime.cli.labels import split_names
from velotime.cli.methods import WAYS, Asked, without_those_here
from velotime.cli.words import in_options

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class Outputs:
    """What is written, and where."""

    fitted: Path
    report: Path | None
    tables: Path | None
    layers: tuple[str, ...]
    force: bool

    @property
    def checkpoint(self) -> Path:
        """Where the fit keeps what it has done."""
        return self.fitted.with_name(f"{self.fitted.name}.checkpoint")

    def begin(self, *, resume: bool) -> None:
        """What an earlier run left: it goes, or it is gone on from; this is said."""
        from velotime import data

        if not resume:
            if self.checkpoint.exists():
                click.echo(
                    f"Warning: a run that did not end left {self.checkpoint}: --resume goes on from it; without, it is "
                    "replaced.",
                    err=True,
                )
            return
        for path in (self.fitted, self.checkpoint):
            data.remove_parts(path)

    def check(self) -> None:
        """Check, before a long fit, that all of it can be written.

        Raises
        ------
        InputError
            If not.
        """
        from velotime import data

        data.check_output(self.fitted, force=self.force)
        if self.report is not None:
            data.check_output(self.report, force=self.force, suffixes=(".html",))
        if self.tables is not None:
            from velotime.report import TABLES

            data.check_folder(self.tables, TABLES, force=self.force)

    def write(self, adata: AnnData, title: str, basis: str | None, console: Console, written: list[Path]) -> None:
        """All of it; files count as written when they are whole."""
        from velotime import data, report

        console.stage(f"Writing {self.fitted}")
        data.write_file(adata, self.fitted, layers=self.layers, force=self.force)
        written.append(self.fitted)
        self.checkpoint.unlink(missing_ok=True)
        if self.tables is not None:
            from velotime.report import write_tables

            written.extend(write_tables(adata, self.tables, force=self.force))
        if self.report is not None:
            console.stage(f"Writing {self.report}")
            report(adata, self.report, title=title, basis=basis, force=self.force)
            written.append(self.report)


@click.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where to write, .h5ad or .zarr; default: IN_velotime.h5ad beside IN. Must be given with several IN.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write a page for the browser too, e.g. report.html.")
@click.option(
    "--layers",
    metavar="NAME,NAME",
    help="Dense layers to write, e.g. velocity,Ms. [default: all up to 200 million cells x genes, else none]",
)
@click.option(
    "--tables", metavar="DIR", type=click.Path(path_type=Path), help="Write genes, cells, fates and verdict as CSV too."
)
@FORCE
@click.option(
    "--resume",
    is_flag=True,
    help="Go on from what an interrupted or killed run of the same command left beside the output.",
)
@click.option(
    "--method",
    "way",
    type=click.Choice(list(WAYS)),
    default="soft",
    show_default=True,
    help="soft: a posterior of time on one clock; two-stage: one time per cell; gene-clock: scVelo's model; mixture: "
    "components without kinetics. The others than soft are for comparison.",
)
@click.option(
    "--noise",
    type=click.Choice(["negative-binomial", "poisson", "gaussian"]),
    help="How counts scatter; gaussian is for normalised values. [default: negative-binomial]",
)
@reading_options
@click.option(
    "--min-cells",
    type=click.IntRange(1),
    help="Cells, in each layer, that a gene needs. [default: 1.5 %, 10 to 100]",
)
@click.option(
    "--min-counts",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Counts that a cell needs, of both layers in the genes to fit: keeps empty droplets out.",
)
@click.option(
    "--n-top-genes",
    type=click.IntRange(2),
    help="Keep at most so many genes, the most variable. [default: all]",
)
@click.option("--lineages", metavar="K", help='Number of lineages; "auto" counts the ends. [default: auto]')
@click.option(
    "--terminals",
    metavar="COLUMN:LABEL,LABEL",
    help="Terminal labels of an obs column, one lineage each. Blanks after commas do not matter; labels that hold "
    "commas can be quoted: 'kind:\"CD4+, naive\",B'.",
)
@click.option("--root", metavar="COLUMN:LABEL", help="Label in which time begins; searched for by default.")
@click.option("--end", metavar="COLUMN:LABEL,LABEL", help="Labels of an obs column known to be late.")
@click.option(
    "--cycle",
    is_flag=True,
    help="The cells go round, as dividing ones do: phases on a circle, which begins where early markers rise and late "
    "ones fall; without markers where total counts drop, or anywhere if they do not.",
)
@click.option(
    "--not-cycling", is_flag=True, help="With --cycle: some cells may have left the cycle, or rest; find them."
)
@click.option("--early-markers", metavar="GENE,GENE", help="Genes known to fall along time.")
@click.option("--late-markers", metavar="GENE,GENE", help="Genes known to rise along time.")
@click.option(
    "--time-labels",
    metavar="COLUMN[:LABEL,LABEL]",
    help="Experimental times: numbers, an ordered category, or labels given from early to late.",
)
@hours_options
@click.option("--without", metavar="GENE,GENE|FILE", help="Genes to leave out of the clock, or a file of them.")
@click.option("--samples", metavar="COLUMN", help="Column of obs with the sample of each cell: fit all on one clock.")
@click.option("--condition", metavar="COLUMN", help="Column of conditions to compare, with samples as the replicates.")
@click.option("--max-iterations", type=click.IntRange(1), help="At temperature 1. [default: the method's, 40 of soft]")
@click.option(
    "--skip-comparison",
    is_flag=True,
    help="Do not ask, on held-out counts, whether there is a trajectory at all.",
)
@BASIS
@SEED
@THREADS
@QUIET
def run(
    inputs: tuple[Path, ...],
    output: Path | None,
    report: Path | None,
    tables: Path | None,
    layers: str | None,
    force: bool,
    resume: bool,
    way: str,
    mod: str | None,
    gene_names: str | None,
    unspliced: str | None,
    spliced: str | None,
    min_cells: int | None,
    min_counts: int,
    n_top_genes: int | None,
    skip_comparison: bool,
    basis: str | None,
    seed: int,
    threads: int | None,
    quiet: bool,
    noise: str | None,
    lineages: str | None,
    terminals: str | None,
    root: str | None,
    end: str | None,
    cycle: bool,
    not_cycling: bool,
    early_markers: str | None,
    late_markers: str | None,
    time_labels: str | None,
    half_lives: Path | None,
    labelled: str | None,
    labelled_hours: str | None,
    without: str | None,
    samples: str | None,
    condition: str | None,
    max_iterations: int | None,
) -> None:
    """Fit the cells of IN and write them with latent time, rates and velocity.

    IN is an .h5ad, .loom or .h5mu file, a .zarr store, or the output folder of STARsolo (Velocyto), kb-python (nac,
    lamanno), alevin-fry (USA mode), tidesurf or Parse (split-pipe). Several IN are samples of one data set: cells of
    the same barcode are told apart by the names of the files. A .csv or .tsv file is a table of samples, with columns
    sample, path and any others, such as condition: these are fitted on one clock, as by --samples. So are the runs in
    a folder of such output folders. Counts of .h5ad files and .zarr stores with more than 134 million of them together
    are read and written block by block (needs Dask).

    What is written holds the genes that were fitted, with all genes in raw, the velocity graph, and arrows on an
    embedding (UMAP is computed where there is none).

    What is computed is kept in OUTPUT.checkpoint until the output is written: after a kill or Ctrl-C the same command
    with --resume goes on from there, and ends with the same numbers.

    Exit codes: 0 done, 1 the fit failed, 2 bad input or usage.
    """
    console = Console(quiet)
    known = Asked(noise, lineages, terminals, root, end, early_markers, late_markers, time_labels, max_iterations)
    round_it = {"cycle": cycle or None, "not_cycling": not_cycling or None}
    asked = replace(known, **round_it, samples=samples, condition=condition, without=without)
    limit_threads(threads)
    with exit_codes() as written:
        console.stage(f"Reading {', '.join(map(str, inputs))}")
        _check_limits(asked, min_cells, n_top_genes)
        WAYS[way].check(asked)
        if resume and way != "soft":
            raise InputError(f"--resume: only --method soft keeps a checkpoint, not {way}.")
        wanted = tuple(split_names(layers))
        outputs = Outputs(beside(inputs) if output is None else output, report, tables, wanted, force)
        outputs.check()
        in_hours = known_hours(half_lives, labelled, labelled_hours, samples)
        outputs.begin(resume=resume)
        lazily = way == "soft" and asked.noise != "gaussian" and is_large(inputs, outputs.fitted)
        adata = read_inputs(inputs, mod, gene_names, lazily=lazily)
        if basis is not None:
            require_embedding(adata, basis)  # now, not after the fit
        asked = of_table(asked, inputs, adata)
        method = without_those_here(WAYS[way].method(asked, adata.obs), adata.var_names)
        counts = {"unspliced": unspliced, "spliced": spliced}
        if asked.noise != "gaussian":
            keep = (*getattr(method, "marker_genes", ()), *getattr(method, "without", ()))
            limits = {"min_cells": min_cells, "n_top_genes": n_top_genes, "keep": keep}
            choose_genes(adata, limits, counts, min_counts)
        with warnings_told():
            fitted_layers = WAYS[way].prepare(adata, counts, seed)
        more: dict[str, Any] = {"layers": () if lazily else None}
        if way == "soft":
            written.checkpoint = outputs.checkpoint
            more |= {"checkpoint": outputs.checkpoint, "resume": resume}
        fit(adata, method, fitted_layers, seed, console, more)
        _to_unit(adata, method)
        to_hours(adata, in_hours)
        _compare_conditions(adata, condition, console)
        _compare(adata, method, counts, seed, console, skip=skip_comparison)
        project(adata, basis, seed, console)
        outputs.write(adata, ", ".join(path.name for path in inputs), basis, console, written)
        tell(adata, console)
        click.echo("\n" + "\n".join(f"Wrote {path}" for path in written))


def of_table(asked: Asked, inputs: tuple[Path, ...], adata: AnnData) -> Asked:
    """With the samples of the table, where one was given and no other column."""
    if asked.samples is not None or not are_samples(inputs):
        return asked
    column = next(name for name in ("sample_file", "sample") if name in adata.obs)
    return replace(asked, samples=column if adata.obs[column].nunique() > 1 else None)


def _compare_conditions(adata: AnnData, condition: str | None, console: Console) -> None:
    """Compare conditions, where that is asked for."""
    if condition is None:
        return
    from velotime import tl

    console.stage("Comparing conditions, with samples as the replicates")
    with warnings_told():
        tl.compare_conditions(adata, condition)


def tell(adata: AnnData, console: Console) -> None:
    """The table of text."""
    from velotime.report import run_in_text

    click.echo(in_options(run_in_text(adata, seconds=console.seconds)))


def _check_limits(asked: Asked, min_cells: int | None, n_top_genes: int | None) -> None:
    """Genes are chosen by raw counts, which Gaussian noise does not read."""
    given = {"--min-cells": min_cells, "--n-top-genes": n_top_genes}
    options = " and ".join(name for name, value in given.items() if value is not None)
    if options and asked.noise == "gaussian":
        raise InputError(
            f"{options}: genes are chosen by raw counts, but --noise gaussian reads normalised values. Leave it out "
            "and give a file with the genes to fit."
        )


def fit(
    adata: AnnData,
    method: Any,
    counts: dict[str, str | None],
    seed: int,
    console: Console,
    more: dict[str, Any] | None = None,
) -> None:
    """The fit itself, with a bar on a terminal; ``more`` are further arguments of ``recover_dynamics``."""
    from velotime import SoftEM, tl

    first = "short fits from several starts, then " if isinstance(method, SoftEM) else ""
    console.stage(f"Fitting {adata.n_obs:,} cells and {adata.n_vars:,} genes: {first}the fit of all cells")
    with warnings_told():
        tl.recover_dynamics(adata, method=method, rng=seed, progress=console.progress, **counts, **(more or {}))


def _to_unit(adata: AnnData, method: Any) -> None:
    """Put time on the scale of time labels that are numbers; where it runs against them, say so."""
    from pandas.api.types import is_numeric_dtype

    from velotime import TimeLabels, tl

    for piece in getattr(method, "knowledge", ()):
        if isinstance(piece, TimeLabels) and is_numeric_dtype(adata.obs[piece.column]):
            try:
                tl.to_experimental_time(adata, piece.column)
            except InputError as error:
                click.echo(f"Warning: {in_options(str(error))}", err=True)


def _compare(
    adata: AnnData, method: Any, layers: dict[str, str | None], seed: int, console: Console, *, skip: bool
) -> None:
    """Ask held-out counts whether there is a trajectory, where the method read counts."""
    from velotime import SoftEM, tl

    if skip or not isinstance(method, SoftEM):
        return
    if not method.noise.counts:
        console.stage("No comparison with clusters: it needs held-out counts, and --noise gaussian reads values")
        return
    console.stage("Comparing with clusters and a constant on held-out counts")
    tl.compare_models(adata, method=method, rng=seed, **layers)


def project(adata: AnnData, basis: str | None, seed: int, console: Console) -> None:
    """The velocity graph, and its arrows on an embedding; UMAP where there is none."""
    from velotime import data, tl

    if "time" not in data.Fitted.of(adata).capabilities:
        console.stage("No velocity graph: this method gives no velocities")
        return
    console.stage("Velocity graph")
    tl.velocity_graph(adata, rng=seed)
    name = basis or next(iter(data.list_embeddings(adata)), None)
    if name is None:
        console.stage("No embedding is there: computing UMAP")
        name = "umap"
        data.embed(adata, seed=seed)
    tl.velocity_embedding(adata, basis=name)
