"""Whole fits of simulated cells x 1,000 genes: seconds and peak memory, each size in a process of its own.

python benchmarks/scaling.py [CELLS ...]          default 1000 10000 100000
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
from scipy.stats import spearmanr

N_GENES = 1000


def one(n_cells: int) -> None:
    import velotime as vt

    adata = vt.simulation.simulate(n_cells, N_GENES, rng=np.random.default_rng(0))
    del adata.layers["true_velocity"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, progress=False)
    wall = time.perf_counter() - began
    rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    record = adata.uns["recover_dynamics"]
    print(
        f"{n_cells:>7} {wall:>8.1f} {record['seconds_starts']:>8.1f} {record['iterations']:>10} "
        f"{memory:>8.2f} {before:>8.2f} {rho:>8.4f}",
        flush=True,
    )


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 10_000, 100_000]
    print(
        f"{'cells':>7} {'seconds':>8} {'starts':>8} {'iterations':>10} {'peak GB':>8} {'data GB':>8} {'Spearman':>8}",
        flush=True,
    )
    for n_cells in sizes:
        subprocess.run([sys.executable, __file__, "--one", str(n_cells)], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]))
    else:
        main()
