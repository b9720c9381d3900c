"""``velotime demo``: a simulated process, fitted and compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from velotime._status import InputError
from velotime.cli.commands.run import fit, project, tell
from velotime.cli.console import Console, exit_codes, limit_threads
from velotime.cli.inputs import QUIET, THREADS

if TYPE_CHECKING:
    from anndata import AnnData


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("velotime_demo"), show_default=True)
@click.option("--cells", type=click.IntRange(50), default=1500, show_default=True)
@click.option("--genes", type=click.IntRange(20), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@THREADS
@QUIET
def demo(output: Path, cells: int, genes: int, seed: int, threads: int | None, quiet: bool) -> None:
    """Simulate a process with two fates, fit it, compare with the truth; writes figures, a report and an .h5ad."""
    console = Console(quiet)
    limit_threads(threads)
    with exit_codes() as written:
        console.stage(f"Simulating {cells:,} cells and {genes:,} genes")
        import numpy as np

        from velotime import SoftEM, data, report, simulation

        try:
            output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {output} cannot be made: {error.strerror}.") from error
        branches = simulation.Branches(times=(0.4,))
        adata = simulation.simulate(cells, genes, rng=np.random.default_rng(seed), branches=branches)
        fit(adata, SoftEM(n_lineages=branches.n_lineages), {}, seed, console)
        project(adata, None, seed, console)
        console.stage(f"Writing {output}")
        data.write_file(adata, output / "demo.h5ad", force=True)
        written.append(output / "demo.h5ad")
        written.extend(_figures(adata, output))
        report(adata, output / "report.html", title="velotime demo", force=True)
        written.append(output / "report.html")
        tell(adata, console)
        correlation = adata.obs[["latent_time", "true_time"]].corr("spearman").iloc[0, 1]
        click.echo(f"\nSpearman correlation of latent time with the true time: {correlation:.3f}")
        click.echo("Wrote " + ", ".join(str(path) for path in written))


def _figures(adata: AnnData, folder: Path) -> list[Path]:
    """Latent against true time, phase portraits of the four best genes, and velocity on the embedding."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from velotime import pl
    from velotime.report import best_genes

    paths = [folder / f"{name}.png" for name in ("latent_time", "phase_portraits", "velocity")]
    pl.time_against(adata, "true_time", save=paths[0], show=False)
    pl.phase_portrait(adata, best_genes(adata, 4), ncols=2, save=paths[1], show=False)
    pl.velocity_stream(adata, color="fit_lineage", save=paths[2], show=False)
    plt.close("all")
    return paths
