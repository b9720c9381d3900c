"""Every figure of the README and of the documentation.

    python docs/figures.py                   # from simulated cells: nothing to download
    python docs/figures.py pancreas.h5ad     # from raw counts in a file, with X_umap and a column of labels
    python docs/figures.py fitted.h5ad       # from a file that is fitted already

Writes docs/figures/*.png, or to the folder given as ``--output``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData

import velotime as vt
from velotime import _keys as keys
from velotime.data import read_file

HERE = Path(__file__).resolve().parent
PREFERRED = ("Ins2", "Cpe", "Pyy", "Nnat", "Sulf2", "Gcg")  # genes that readers of the pancreas know


def simulated() -> AnnData:
    """Cells of a process with two fates, with the truth as labels and a UMAP."""
    import scanpy as sc

    branches = vt.simulation.Branches(times=(0.4,))
    adata = vt.simulation.simulate(1500, 200, rng=np.random.default_rng(0), branches=branches)
    early, lineage = adata.obs["true_time"] < 0.4, adata.obs["true_lineage"].astype(str)
    adata.obs["clusters"] = np.where(early, "trunk", "fate " + lineage)
    adata.obs["clusters"] = adata.obs["clusters"].astype("category")
    copy = AnnData(adata.layers["spliced"].copy())
    sc.pp.normalize_total(copy)
    sc.pp.log1p(copy)
    sc.pp.pca(copy, n_comps=10, random_state=0)
    sc.pp.neighbors(copy, n_neighbors=30, random_state=0)
    sc.tl.umap(copy, random_state=0)
    adata.obsm["X_umap"] = copy.obsm["X_umap"]
    return adata


def prepare(path: Path | None, n_lineages: int) -> AnnData:
    """Cells, fitted, with velocity on the embedding."""
    adata = simulated() if path is None else read_file(path)
    if keys.RECOVER_DYNAMICS not in adata.uns:
        if path is not None:
            vt.pp.filter_genes(adata)
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=n_lineages))
    if f"{keys.VELOCITY}_umap" not in adata.obsm:
        vt.tl.velocity_graph(adata)
        vt.tl.velocity_embedding(adata)
    return adata


def choose_genes(adata: AnnData, n: int) -> list[str]:
    """Known genes, then the most informative about time and lineage with enough unspliced counts to be seen."""
    layers = adata.uns[keys.RECOVER_DYNAMICS]["layers"]
    seen = np.asarray(adata.layers[layers["unspliced"]].mean(axis=0)).ravel() > 0.2
    gain = adata.var[keys.FIT_GAIN].where(seen).dropna().sort_values(ascending=False)
    return list(dict.fromkeys([*(gene for gene in PREFERRED if gene in gain.index), *gain.index]))[:n]


def gene_figure(adata: AnnData, clusters: str) -> None:
    """Phase portraits of three genes above, the same along latent time below."""
    genes = choose_genes(adata, 3)
    figure = plt.figure(figsize=(12.5, 7), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[3, 4])
    for ax, gene in zip(above.subplots(1, 3), genes, strict=True):
        vt.pl.phase_portrait(adata, gene, color=clusters, ax=ax)
        if gene != genes[-1]:
            ax.get_legend().remove()
    for k, axes in enumerate(below.subplots(2, 3, sharex=True).T):
        vt.pl.along_time(adata, genes[k], ax=tuple(axes))


def embedding_figure(adata: AnnData, clusters: str) -> None:
    """Labels, latent time, and its standard deviation."""
    axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")[1]
    vt.pl.embedding(adata, color=clusters, ax=axes[0], legend_loc="on data")
    vt.pl.embedding(adata, ax=axes[1])
    vt.pl.embedding(adata, color=keys.LATENT_TIME_SD, cmap="magma", ax=axes[2])


def stream_figure(adata: AnnData, clusters: str) -> None:
    """The picture that the README begins with."""
    ax = plt.subplots(figsize=(6.4, 5.0), layout="constrained")[1]
    vt.pl.velocity_stream(adata, color=clusters, legend_loc="on data", ax=ax)


def velocity_figure(adata: AnnData, clusters: str) -> None:
    """Stream, grid and arrows."""
    axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")[1]
    vt.pl.velocity_stream(adata, color=clusters, ax=axes[0], legend_loc=None)
    vt.pl.velocity_grid(adata, color=clusters, ax=axes[1], legend_loc=None)
    vt.pl.velocity_arrows(adata, color=clusters, ax=axes[2])


def fit_figure(adata: AnnData, clusters: str) -> None:
    """Time prior, trace, proportions, and the direction of time where the fit kept it by gene."""
    tested = keys.FIT_ARROW_EVIDENCE in adata.var
    axes = plt.subplots(1, 3 + tested, figsize=(12 + 4 * tested, 3.2), layout="constrained")[1]
    vt.pl.time_prior(adata, ax=axes[0])
    vt.pl.em_trace(adata, ax=axes[1])
    vt.pl.proportions(adata, clusters, ax=axes[2])
    if tested:
        vt.pl.arrow_evidence(adata, ax=axes[3])


FIGURES: dict[str, Callable[[AnnData, str], object]] = {
    "stream": stream_figure,
    "embedding": embedding_figure,
    "velocity": velocity_figure,
    "genes": gene_figure,
    "heatmap": lambda adata, clusters: vt.pl.heatmap(adata, color=clusters),
    "fit": fit_figure,
}


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="an .h5ad file; simulated cells by default")
    parser.add_argument("--clusters", default="clusters", help="obs column of labels")
    parser.add_argument("--lineages", type=int, default=2, help="lineages to fit, if the file is not fitted")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "figures")
    options = parser.parse_args()
    adata = prepare(options.file, options.lineages)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        draw(adata, options.clusters)
        path = options.output / f"{name}.png"
        plt.gcf().savefig(path, dpi=90)
        plt.close("all")
        print(f"Wrote {path}")


if __name__ == "__main__":
    main()
