"""scVelo on the cells of a file, in its own environment (`make peers`); other benchmarks start it.

    .venv-peers/bin/python benchmarks/peer_scvelo.py IN.h5ad OUT.h5ad --mode dynamical

scVelo's own preprocessing with ``min_shared_counts=20`` and its defaults from there on; neighbours by scanpy, as scVelo
asks for: 30 on 30 principal components of the log-normalised spliced counts. ``OUT.h5ad`` holds the genes it kept
with their layers, the velocity graph, ``velocity_umap`` where there is a UMAP, ``latent_time`` in dynamical mode, and
the seconds of each step in ``uns["seconds"]``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import anndata as ad
import scanpy as sc
import scvelo as scv

MODES = ("deterministic", "stochastic", "dynamical")


def warm_up(adata) -> None:
    """Import and compile what the first call pays for, on a few cells."""
    few = adata[:: max(1, adata.n_obs // 300)].copy()
    prepare(few)


def prepare(adata) -> None:
    """Genes, normalised values, neighbours, moments."""
    adata.X = adata.layers["spliced"].copy()
    scv.pp.filter_and_normalize(adata, min_shared_counts=20)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=30, random_state=0)
    sc.pp.neighbors(adata, n_neighbors=30, n_pcs=30, random_state=0)
    scv.pp.moments(adata, n_pcs=None, n_neighbors=None)


def run(adata, mode: str, jobs: int) -> dict[str, float]:
    """Everything up to the velocity graph; seconds of each step."""
    seconds: dict[str, float] = {}

    def timed(name: str, call) -> None:
        began = time.perf_counter()
        call()
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began

    timed("moments", lambda: prepare(adata))
    if mode == "dynamical":
        timed("dynamics", lambda: scv.tl.recover_dynamics(adata, n_jobs=jobs, show_progress_bar=False))
    timed("velocity", lambda: scv.tl.velocity(adata, mode=mode))
    timed("graph", lambda: scv.tl.velocity_graph(adata, n_jobs=jobs, show_progress_bar=False))
    if mode == "dynamical":
        timed("latent_time", lambda: scv.tl.latent_time(adata))
    if "X_umap" in adata.obsm:
        timed("embedding", lambda: scv.tl.velocity_embedding(adata, basis="umap"))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mode", choices=MODES, default="stochastic")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    scv.settings.verbosity = 0
    adata = ad.read_h5ad(arguments.input)
    warm_up(adata)
    adata.uns["seconds"] = run(adata, arguments.mode, arguments.jobs)
    adata.write_h5ad(arguments.output)


if __name__ == "__main__":
    main()
