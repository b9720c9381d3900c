"""Cross-boundary direction correctness on the pancreas: SoftEM, TwoStageEM, and scVelo in its three modes.

    python benchmarks/direction.py [--skip-scvelo] [--seeds 1] [--data FOLDER]

On the UMAP of the data, with the same neighbours for all: 30 on 30 principal components of the log-normalised spliced
counts. They depend on the genes, and the score on them, so all is done for two sets of genes: those with counts in 60
cells or more in either layer, and those that ``vt.pp.filter_genes`` keeps. Prints the seven edges and their mean.
scVelo runs in its own environment (`make peers`), with its own choice of genes for its fit; its dynamical mode takes
minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import velotime as vt
from velotime.data import find_neighbors
from velotime.inference import Reads

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
MODES = ("deterministic", "stochastic", "dynamical")
GENES = {
    "with counts in 60 cells in either layer": {"min_cells": 60, "min_shared_counts": 1},
    "as filter_genes keeps them": {},
}
METHODS = {
    "SoftEM": vt.SoftEM(),
    "SoftEM, 1 lineage": vt.SoftEM(n_lineages=1),
    "SoftEM, 4 lineages": vt.SoftEM(n_lineages=4),
    "TwoStageEM, gene": vt.TwoStageEM(),
}
SHORT = {"Pre-endocrine": "Pre", "Ngn3 low EP": "low", "Ngn3 high EP": "high"}


def edges(adata) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in np.asarray(adata.uns["ground_truth_edges"]).astype(str)]


def show(name: str, adata, seconds: float) -> None:
    scores = vt.metrics.cross_boundary_correctness(adata, edges(adata), column="clusters")
    row = " ".join(f"{score:>13.3f}" for score in scores)
    print(f"{name:>20} {scores.mean():>6.3f} {row} {seconds:>8.1f}", flush=True)


def ours(adata, name: str, seed: int) -> None:
    adata, method = adata.copy(), METHODS[name]
    began = time.perf_counter()
    if method.reads is Reads.MOMENTS:
        vt.pp.moments(adata)
    vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False)
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata, basis="umap")
    show(f"{name}, seed {seed}" if seed else name, adata, time.perf_counter() - began)


def scvelo(path: Path, mode: str) -> tuple[np.ndarray, float]:
    """Its arrows on the UMAP, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.h5ad"
        script = ROOT / "benchmarks" / "peer_scvelo.py"
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [PEERS, "-W", "ignore", script, path, out, "--mode", mode],
            check=True,
            env=os.environ | threads,
            stderr=subprocess.DEVNULL,
        )
        theirs = vt.read.h5ad(out)
    return theirs.obsm["velocity_umap"], sum(float(second) for second in theirs.uns["seconds"].values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-scvelo", action="store_true")
    parser.add_argument("--seeds", type=int, default=1, help="from each of which velotime's methods are fitted")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=vt.UnclearWarning)
    path = arguments.data / "pancreas.h5ad"
    peers = {} if arguments.skip_scvelo else {mode: scvelo(path, mode) for mode in MODES}
    for title, limits in GENES.items():
        adata = vt.read.auto(path)
        vt.pp.filter_genes(adata, **limits)
        find_neighbors(adata).write(adata)
        names = [" > ".join(SHORT.get(label, label) for label in pair) for pair in edges(adata)]
        print(f"{adata.n_obs} cells, {adata.n_vars} genes: {title}")
        print(f"{'':>20} {'mean':>6} " + " ".join(f"{name:>13}" for name in names) + f" {'seconds':>8}", flush=True)
        for name, seed in itertools.product(METHODS, range(arguments.seeds)):
            ours(adata, name, seed)
        for mode, (arrows, seconds) in peers.items():
            adata.obsm["velocity_umap"] = arrows
            show(f"scVelo {mode}", adata, seconds)


if __name__ == "__main__":
    main()
