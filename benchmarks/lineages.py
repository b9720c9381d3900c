"""Lineages found again: simulations with 2 to 5 branches, 3,000 cells x 300 genes, and the project's branching data.

    python benchmarks/lineages.py [--seeds 10] [--skip-auto] [--data FOLDER]

Prints the adjusted Rand index of the late cells' most probable lineage against the true one, Spearman of time, whether
``n_lineages="auto"`` was right, and for the data files what their labels say.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

import velotime as vt
from velotime import simulation as sim

BRANCH_TIMES = {2: (0.4,), 3: (0.35, 0.55), 4: (0.3, 0.45, 0.6), 5: (0.3, 0.4, 0.5, 0.6)}


def fit(adata, n_lineages, seed: int) -> float:
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=n_lineages), seed=seed, progress=False)
    return time.perf_counter() - began


def simulated(seeds: int, auto: bool) -> None:
    print(f"{'branches':>8} {'seed':>4} {'ARI late':>8} {'Spearman':>8} {'seconds':>8} {'auto':>5} {'seconds':>8}")
    for seed in range(seeds):
        k = 2 + seed % 4
        adata = sim.simulate(3000, 300, rng=np.random.default_rng(seed), branches=sim.Branches(BRANCH_TIMES[k]))
        chosen, slow = "", float("nan")
        if auto:
            slow = fit(adata, "auto", seed)
            chosen = len(adata.uns["lineages"]["names"])
        wall = fit(adata, k, seed)
        late = adata.obs["true_time"] > 0.8
        ari = adjusted_rand_score(adata.obs["true_lineage"][late], adata.obs["lineage"][late])
        rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
        print(f"{k:>8} {seed:>4} {ari:>8.3f} {rho:>8.4f} {wall:>8.1f} {chosen:>5} {slow:>8.1f}", flush=True)


def labelled(folder: Path) -> None:
    for name, k, truth in (("sim_gfcp_abcde", 3, "true_time"), ("sim_dyngen_smallbifurc", 2, "sim_time")):
        path = folder / f"{name}.h5ad"
        if not path.exists():
            continue
        for n_lineages in (1, k):
            adata = vt.data.read_file(path)
            wall = fit(adata, n_lineages, 0)
            rho = spearmanr(adata.obs["latent_time"], adata.obs[truth]).statistic
            arrow = adata.uns["time_arrow"]
            print(f"\n{name}, K = {n_lineages}: Spearman {rho:.3f}, {wall:.1f} s, direction {arrow['verdict']}")
        column = str(np.asarray(adata.uns["cluster_key"]))
        print(pd.crosstab(adata.obs[column], adata.obs["lineage"], normalize="index").round(2).to_string(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--skip-auto", action="store_true")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1].parent / "shared" / "data")
    arguments = parser.parse_args()
    labelled(arguments.data)
    simulated(arguments.seeds, not arguments.skip_auto)


if __name__ == "__main__":
    main()
