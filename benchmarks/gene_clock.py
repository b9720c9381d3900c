"""``TwoStageEM`` with a clock per gene on the pancreas: the genes with counts in 60 cells or more in either layer.

    python benchmarks/gene_clock.py [--repeats 3] [--data FOLDER]

Wall and CPU seconds from moments to results (after a fit of a few cells, which compiles), genes converged, and memory:
the moments, the layers that are written, and the peak beyond what was there before the fits. It holds these layers, of
later fits also those of the one before, and the work.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from pancreas import stages
from scipy.stats import spearmanr

import velotime as vt


def megabytes(adata, names: set[str]) -> float:
    return sum(np.asarray(adata.layers[name]).nbytes for name in names) / 1e6


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def one(adata, given: set[str], before: float) -> str:
    began, busy = time.perf_counter(), time.process_time()
    vt.tl.recover_dynamics(adata, method=vt.TwoStageEM(), progress=False)
    wall, cpu = time.perf_counter() - began, time.process_time() - busy
    done = adata.uns["recover_dynamics"]["n_converged"] / adata.n_vars
    rho = spearmanr(adata.obs["latent_time"], stages(adata)).statistic
    made = megabytes(adata, set(adata.layers) - given)
    return (
        f"{adata.n_vars:>6} {done:>9.1%} {wall:>7.2f} {cpu:>7.2f} "
        f"{1e6 * wall / adata.n_obs / adata.n_vars:>10.2f} {rho:>8.3f} {megabytes(adata, {'Mu', 'Ms'}):>10.0f} "
        f"{made:>10.0f} {peak() - before:>10.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    arguments = parser.parse_args()
    adata = vt.read.auto(arguments.data / "pancreas.h5ad")
    cells = [np.asarray((adata.layers[name] > 0).sum(axis=0)).ravel() for name in ("unspliced", "spliced")]
    adata = adata[:, np.min(cells, axis=0) >= 60].copy()
    vt.pp.moments(adata)
    vt.tl.recover_dynamics(adata[::20].copy(), method=vt.TwoStageEM(), progress=False)
    print(f"{'':>6} {'':>9} {'wall':>7} {'CPU':>7} {'us per':>10} {'stages':>8} {'MB of':>10} {'of':>10} {'peak':>10}")
    print(
        f"{'genes':>6} {'converged':>9} {'s':>7} {'s':>7} {'gene, cell':>10} {'Spearman':>8} {'moments':>10} "
        f"{'results':>10} {'beyond':>10}"
    )
    given, before = set(adata.layers), peak()
    for _ in range(arguments.repeats):
        print(one(adata, given, before), flush=True)


if __name__ == "__main__":
    main()
