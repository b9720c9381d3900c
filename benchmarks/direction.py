"""Cross-boundary direction correctness on the pancreas: ours with 1 and 4 lineages, and scVelo in its three modes.

    python benchmarks/direction.py [--genes N] [--skip-scvelo] [--data FOLDER]

All on the UMAP of the data, with the same neighbours: 30 on 30 principal components of the log-normalised spliced
counts of the genes that ``vt.pp.filter_genes`` keeps (all of them, or the N most variable). Prints the seven edges and
their mean. scVelo runs in its own environment (`make peers`); its dynamical mode takes minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import velotime as vt
from velotime.data import ensure_neighbors

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
SHORT = {"Pre-endocrine": "Pre", "Ngn3 low EP": "low", "Ngn3 high EP": "high"}


def edges(adata) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in np.asarray(adata.uns["ground_truth_edges"]).astype(str)]


def show(name: str, adata, seconds: float) -> None:
    scores = vt.metrics.cross_boundary_correctness(adata, edges(adata), column="clusters")
    row = " ".join(f"{score:>13.3f}" for score in scores)
    print(f"{name:>20} {scores.mean():>6.3f} {row} {seconds:>8.1f}", flush=True)


def ours(adata, n_lineages: int) -> None:
    adata = adata.copy()
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=n_lineages), progress=False)
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata, basis="umap")
    show(f"SoftEM, {n_lineages} lineage" + "s" * (n_lineages > 1), adata, time.perf_counter() - began)


def scvelo(adata, path: Path, mode: str) -> None:
    """Its arrows on our UMAP, scored with our neighbours."""
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
    adata = adata.copy()
    adata.obsm["velocity_umap"] = theirs.obsm["velocity_umap"]
    show(f"scVelo {mode}", adata, sum(float(second) for second in theirs.uns["seconds"].values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genes", type=int, help="keep the N most variable genes; all by default")
    parser.add_argument("--skip-scvelo", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    path = arguments.data / "pancreas.h5ad"
    adata = vt.read.auto(path)
    vt.pp.filter_genes(adata, n_top_genes=arguments.genes)
    ensure_neighbors(adata)
    names = [" > ".join(SHORT.get(label, label) for label in pair) for pair in edges(adata)]
    print(f"{adata.n_obs} cells, {adata.n_vars} genes")
    print(f"{'':>20} {'mean':>6} " + " ".join(f"{name:>13}" for name in names) + f" {'seconds':>8}", flush=True)
    for n_lineages in (1, 4):
        ours(adata, n_lineages)
    if not arguments.skip_scvelo:
        for mode in ("deterministic", "stochastic", "dynamical"):
            scvelo(adata, path, mode)


if __name__ == "__main__":
    main()
