"""``velotime compare``: whether there is a trajectory at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from velotime.cli.console import Console, exit_codes, limit_threads, warnings_told
from velotime.cli.inputs import FILE, QUIET, SEED, THREADS, choose_genes, read_inputs, reading_options
from velotime.cli.methods import WAYS, Asked
from velotime.cli.words import in_options


@click.command()
@FILE
@reading_options
@click.option("--noise", type=click.Choice(["negative-binomial", "poisson"]), help="[default: negative-binomial]")
@click.option("--lineages", metavar="K", help="Lineages of the trajectory. [default: those of the fit, else 1]")
@click.option(
    "-o", "--output", metavar="CSV", type=click.Path(path_type=Path), help="Write the table of models as CSV too."
)
@SEED
@THREADS
@QUIET
def compare(
    file: Path,
    mod: str | None,
    gene_names: str | None,
    unspliced: str | None,
    spliced: str | None,
    noise: str | None,
    lineages: str | None,
    output: Path | None,
    seed: int,
    threads: int | None,
    quiet: bool,
) -> None:
    """Ask held-out counts of FILE, fitted or not, whether there is a trajectory, clusters, or nothing.

    The genes are those of the fit, or where there is none those that velotime run would choose. Where several samples
    were fitted, the largest of them is asked.
    """
    console, asked = Console(quiet), Asked(noise=noise, lineages=lineages)
    limit_threads(threads)
    with exit_codes():
        console.stage(f"Reading {file}")
        from velotime import data, tl

        WAYS["soft"].check(asked)
        if output is not None:
            data.check_output(output, force=True, suffixes=(".csv",))
        adata = read_inputs((file,), mod, gene_names)
        layers = {"unspliced": unspliced, "spliced": spliced}
        if "recover_dynamics" in adata.uns:
            column = data.Records(adata.uns).samples
            asked = replace(asked, samples=column if column in adata.obs else None)
        else:
            choose_genes(adata, {}, layers)
        console.stage(f"Comparing models of {adata.n_obs:,} cells and {adata.n_vars:,} genes on held-out counts")
        with warnings_told():
            tl.compare_models(adata, method=WAYS["soft"].method(asked, adata.obs), rng=seed, **layers)
        found = adata.uns["model_comparison"]
        table = found["table"]
        click.echo(table.to_string(index=False, float_format="{:.3f}".format))
        click.echo(f"\n{found['verdict']}: {in_options(str(found['reason']))}")
        if output is not None:
            data.write_table(table, output, force=True)
            click.echo(f"Wrote {output}")
