"""The velocity graph: scaling, and speed and agreement compared with scVelo.

    python benchmarks/graph.py [--cells 100000] [--skip-scvelo]

Part one: ``vt.tl.velocity_graph`` on cells x 1,000 genes with 30 neighbours each, with and without the neighbours of
neighbours, in a process of its own: seconds, edges, peak memory. The velocities are the simulation's true ones; cells
lie in 30 dimensions, where their neighbours are found.

Part two (needs `make peers`): 3,000 simulated cells, velocities by scVelo in two modes. Its graph and ours of the same
``Ms``, velocities, neighbours and transforms: seconds (median of three, one job or thread each), largest difference.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_GENES = 1000
PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
REPEATS = 3


def simulated(n_cells: int):
    """Cells with true velocities as if fitted, and 30 neighbours each."""
    import scanpy as sc

    import velotime as vt

    adata = vt.simulation.simulate(n_cells, N_GENES, rng=np.random.default_rng(0))
    adata.layers["velocity"] = np.asarray(adata.layers.pop("true_velocity"), dtype=np.float32)
    adata.var["velocity_genes"] = True
    projection = np.random.default_rng(1).normal(size=(N_GENES, 30)).astype(np.float32)
    adata.obsm["X_pca"] = np.asarray(adata.layers["spliced"].log1p() @ projection)
    sc.pp.neighbors(adata, n_neighbors=30, use_rep="X_pca", method="gauss", transformer="sklearn")
    return adata


def scale(n_cells: int) -> None:
    import numba

    import velotime as vt

    adata = simulated(n_cells)
    vt.tl.velocity_graph(adata[:200].copy())  # compiles
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    for recursive in (False, True):
        began = time.perf_counter()
        vt.tl.velocity_graph(adata, recursive=recursive)
        wall = time.perf_counter() - began
        edges = adata.uns["velocity_graph"].nnz + adata.uns["velocity_graph_neg"].nnz
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{n_cells:>7} {'two' if recursive else 'one':>5} {edges / n_cells:>10.0f} {wall:>8.1f} {peak:>8.2f} "
            f"{before:>10.2f} {numba.get_num_threads():>8}",
            flush=True,
        )


def scvelo_side(path: str) -> None:
    """In scVelo's environment: fit, then time its graph; both are left in the file."""
    import anndata as ad
    import scvelo as scv
    from peer_scvelo import prepare

    scv.settings.verbosity = 0
    adata = ad.read_h5ad(path)
    prepare(adata)
    seconds = []
    for mode in ("deterministic", "stochastic"):
        scv.tl.velocity(adata, mode=mode, vkey=mode)
        for _ in range(REPEATS):
            began = time.perf_counter()
            scv.tl.velocity_graph(adata, vkey=mode, n_jobs=1, show_progress_bar=False)
            seconds.append(time.perf_counter() - began)
    adata.uns["seconds"] = np.array(seconds).reshape(2, REPEATS)
    adata.write_h5ad(path)


def beside_scvelo() -> None:
    import numba

    import velotime as vt

    numba.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        adata = vt.simulation.simulate(3000, N_GENES, rng=np.random.default_rng(0))
        del adata.layers["true_velocity"]
        adata.write_h5ad(path)
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [PEERS, "-W", "ignore", __file__, "--scvelo", str(path)], check=True, env=os.environ | one, text=True
        )
        theirs = vt.read.h5ad(path)
    print(f"\n{'mode':>13} {'genes':>6} {'edges':>9} {'scVelo s':>9} {'ours s':>7} {'ratio':>6} {'difference':>11}")
    for mode, seconds in zip(("deterministic", "stochastic"), theirs.uns["seconds"], strict=True):
        adata = theirs.copy()
        adata.layers["velocity"] = adata.layers[mode]
        adata.var["velocity_genes"] = adata.var[f"{mode}_genes"]
        settings = {"state": "Ms", "square_root": mode == "stochastic"}
        vt.tl.velocity_graph(adata, **settings)  # compiles
        ours = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            vt.tl.velocity_graph(adata, **settings)
            ours.append(time.perf_counter() - began)
        away = max(
            abs(adata.uns[f"velocity_{name}"] - theirs.uns[f"{mode}_{name}"]).max() for name in ("graph", "graph_neg")
        )
        edges = adata.uns["velocity_graph"].nnz + adata.uns["velocity_graph_neg"].nnz
        print(
            f"{mode:>13} {int(adata.var['velocity_genes'].sum()):>6} {edges:>9} {np.median(seconds):>9.2f} "
            f"{np.median(ours):>7.2f} {np.median(seconds) / np.median(ours):>6.1f} {away:>11.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--skip-scvelo", action="store_true")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--scvelo", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        scale(arguments.one)
    elif arguments.scvelo:
        scvelo_side(arguments.scvelo)
    else:
        names = ("cells", "steps", "edges/cell", "seconds", "peak GB", "before GB", "threads")
        print(" ".join(f"{name:>{width}}" for name, width in zip(names, (7, 5, 10, 8, 8, 10, 8), strict=True)))
        for n_cells in arguments.cells:
            subprocess.run([sys.executable, __file__, "--one", str(n_cells)], check=True)
        if not arguments.skip_scvelo:
            beside_scvelo()


if __name__ == "__main__":
    main()
