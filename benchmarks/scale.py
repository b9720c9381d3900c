"""Fits of cells that lie in a zarr store: CPU seconds of each phase, peak memory, and how both grow with cells.

    python benchmarks/scale.py [CELLS ...] [--genes 2000] [--max-cells 50000]

Default: 10,000, 100,000 and 1,000,000 cells. Cells of a simulation are thinned binomially to as many as asked for and
appended to the store block by block, so that making them takes no memory either. Each size is fitted in a process of
its own, from layers that stay in the store. Spearman is that of latent time with the true one.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from anndata.io import sparse_dataset, write_elem
from scipy import sparse
from scipy.stats import spearmanr

import velotime as vt

SIMULATED = 10_000  # cells; more are made of these
SHARE = 0.8  # of the counts that a made cell keeps
NAMES = ("unspliced", "spliced")


def make(path: Path, n_cells: int, n_genes: int) -> None:
    rng = np.random.default_rng(0)
    few = min(SIMULATED, n_cells)
    source = vt.simulation.simulate(few, n_genes, rng=rng, mean_unspliced=0.06, mean_spliced=0.12)
    times = np.tile(source.obs["true_time"].to_numpy(), -(-n_cells // few))[:n_cells]
    names = pd.Index([f"cell {i}" for i in range(n_cells)])
    store = zarr.open_group(str(path), mode="w")
    write_elem(store, "/", ad.AnnData(obs=pd.DataFrame({"true_time": times}, index=names), var=source.var[[]]))
    for first in range(0, n_cells, few):
        for name in NAMES:
            block = thinned(source.layers[name], rng)[: n_cells - first]
            if first == 0:
                write_elem(store, f"layers/{name}", block)
            else:
                sparse_dataset(store[f"layers/{name}"]).append(block)


def thinned(counts: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Some of the counts; a cell keeps one of its first gene, so that none is empty."""
    kept = rng.binomial(counts.data.astype(np.int64), SHARE).astype(np.float32)
    kept[counts.indptr[:-1][np.diff(counts.indptr) > 0]] = 1
    out = sparse.csr_matrix((kept, counts.indices, counts.indptr), shape=counts.shape)
    out.eliminate_zeros()
    return out.copy()


def opened(path: Path) -> ad.AnnData:
    """Tables in memory, layers in the store."""
    store = zarr.open_group(str(path), mode="r")
    obs, var = (ad.io.read_elem(store[name]) for name in ("obs", "var"))
    return ad.AnnData(obs=obs, var=var, layers={name: sparse_dataset(store[f"layers/{name}"]) for name in NAMES})


def measure(path: Path, max_cells: int) -> None:
    small = opened(path)[:2000].to_memory()
    vt.tl.recover_dynamics(small, layers=(), progress=False)  # all is imported and compiled
    adata = opened(path)
    method = vt.SoftEM(n_lineages=1, max_cells=max_cells)
    before = time.process_time()
    vt.tl.recover_dynamics(adata, method=method, layers=(), progress=False)
    cpu = time.process_time() - before
    record = adata.uns["recover_dynamics"]
    entries = sum(layer.group["data"].shape[0] for layer in adata.layers.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
    print(f"{adata.n_obs} {entries / adata.n_obs:.0f} {cpu:.2f} {record['iterations']} {peak:.3f} {rho:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--max-cells", type=int, default=50_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        measure(given.measure, given.max_cells)
        return
    print(f"{'cells':>9} {'non-zeros':>9} {'CPU s':>8} {'iterations':>10} {'peak GB':>8} {'Spearman':>8} {'growth':>7}")
    last = None
    for n_cells in given.cells:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.zarr"
            make(path, n_cells, given.genes)
            call = [sys.executable, "-W", "ignore", __file__, "--measure", str(path)]
            call += ["--max-cells", str(given.max_cells)]
            line = subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()
        growth = "" if last is None else f"{np.log(float(line[2]) / last[1]) / np.log(n_cells / last[0]):.2f}"
        last = n_cells, float(line[2])
        print(f"{n_cells:>9} {line[1]:>9} {line[2]:>8} {line[3]:>10} {line[4]:>8} {line[5]:>8} {growth:>7}", flush=True)


if __name__ == "__main__":
    main()
