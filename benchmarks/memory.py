"""How much memory a fit takes above its input.

    python benchmarks/memory.py [cells] [genes] [--whole]

Cells of a simulation are thinned binomially to as many as asked for, by default 100,000 x 1,000. A process of its own
fits some of them, so that all is imported and compiled, loads all of them, and fits these with ``layers=()``; a thread
reads the memory that it holds a hundred times a second. The number of iterations does not change the peak, so few are
made unless ``--whole`` is given.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import velotime as vt

SIMULATED = 10_000  # cells; more are made of these
SHARE = 0.8  # of the counts that a made cell keeps
PAGE = 4096


def make(path: Path, n_cells: int, n_genes: int) -> None:
    rng = np.random.default_rng(0)
    source = vt.simulation.simulate(min(SIMULATED, n_cells), n_genes, rng=rng, mean_unspliced=1.0, mean_spliced=3.0)
    adata = ad.AnnData(
        obs=pd.DataFrame(index=[f"cell {i}" for i in range(n_cells)]), var=pd.DataFrame(index=source.var_names)
    )
    for name in ("unspliced", "spliced"):
        counts = sparse.csr_matrix(source.layers[name], dtype=np.float32)
        adata.layers[name] = sparse.vstack([thinned(counts, rng) for _ in range(-(-n_cells // source.n_obs))])[:n_cells]
    adata.write_h5ad(path)


def thinned(counts: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    kept = rng.binomial(counts.data.astype(np.int64), SHARE).astype(np.float32)
    out = sparse.csr_matrix((kept, counts.indices, counts.indptr), shape=counts.shape)
    out.eliminate_zeros()
    return out.copy()


def resident() -> float:
    """Memory that this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def measure(path: Path, *, whole: bool) -> None:
    few = {} if whole else {"annealing": 2, "max_iterations": 1}
    method = vt.SoftEM(**few)
    vt.tl.recover_dynamics(ad.read_h5ad(path)[:2000].copy(), method=method, layers=(), progress=False)
    adata = ad.read_h5ad(path)
    size = sum(part.nbytes for x in adata.layers.values() for part in (x.data, x.indices, x.indptr))
    before, seen, done = resident(), [0.0], threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            seen[0] = max(seen[0], resident())

    watcher = threading.Thread(target=look)
    watcher.start()
    began, cpu = time.perf_counter(), time.process_time()
    vt.tl.recover_dynamics(adata, method=method, layers=(), progress=False)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    done.set()
    watcher.join()
    above = seen[0] - before
    posterior = adata.obsm["time_posterior"]
    print(f"{adata.n_obs:,} x {adata.n_vars:,}, input {size / 1e9:.3f} GB in memory, {before / 1e9:.3f} GB held before")
    print(f"peak {above / 1e9:.3f} GB above that: {above / size:.2f} times the input")
    print(f"{seconds:.0f} s, {cpu:.0f} s of CPU; {os.getloadavg()[0]:.1f} processes ran or waited at its end")
    print(f"posterior: {(posterior.data.nbytes + posterior.indices.nbytes) / adata.n_obs:.0f} bytes for each cell")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", nargs="?", type=int, default=100_000)
    parser.add_argument("genes", nargs="?", type=int, default=1000)
    parser.add_argument("--whole", action="store_true", help="all iterations of the default method")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        measure(given.measure, whole=given.whole)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        make(path, given.cells, given.genes)
        more = ["--whole"] if given.whole else []
        subprocess.run([sys.executable, __file__, "--measure", str(path), *more], check=True)


if __name__ == "__main__":
    main()
