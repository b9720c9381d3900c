"""Lineages found again: simulations with 2 to 5 branches, 3,000 cells x 300 genes, and the project's branching data.

    python benchmarks/lineages.py [--seeds 10] [--skip-auto] [--data FOLDER]

Prints the adjusted Rand index of the late cells' most probable lineage against the true one, Spearman of time, whether
``n_lineages="auto"`` was right, and for the data files what their labels say.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pancreas import stages
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

import velotime as vt
from velotime import simulation as sim

BRANCH_TIMES = {2: (0.4,), 3: (0.35, 0.55), 4: (0.3, 0.45, 0.6), 5: (0.3, 0.4, 0.5, 0.6)}


def fit(adata, n_lineages, seed: int) -> float:
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=n_lineages), rng=seed, progress=False)
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
        ari = adjusted_rand_score(adata.obs["true_lineage"][late], adata.obs["fit_lineage"][late])
        rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
        print(f"{k:>8} {seed:>4} {ari:>8.3f} {rho:>8.4f} {wall:>8.1f} {chosen:>5} {slow:>8.1f}", flush=True)


def shares(adata, column: str, labels: list[str] | None = None) -> str:
    """Of the cells of each label, which share lies in each lineage."""
    table = pd.crosstab(adata.obs[column], adata.obs["fit_lineage"], normalize="index").round(2)
    return (table if labels is None else table.loc[labels]).to_string()


def labelled(folder: Path, auto: bool) -> None:
    for name, k, truth in (("sim_gfcp_abcde", 3, "true_time"), ("sim_dyngen_smallbifurc", 2, "sim_time")):
        path = folder / f"{name}.h5ad"
        if not path.exists():
            continue
        for n_lineages in (1, *(["auto"] if auto else []), k):
            adata = vt.data.read_file(path)
            wall = fit(adata, n_lineages, 0)
            rho = spearmanr(adata.obs["latent_time"], adata.obs[truth]).statistic
            chosen = len(adata.uns["lineages"]["names"])
            verdict = adata.uns["time_arrow"]["verdict"]
            print(f"{name}, {n_lineages}: {chosen} lineages, Spearman {rho:.3f}, {wall:.1f} s, direction {verdict}")
        print(shares(adata, str(np.asarray(adata.uns["cluster_key"]))) + "\n", flush=True)


def on_the_pancreas(folder: Path, auto: bool) -> None:
    path = folder / "pancreas.h5ad"
    if not path.exists():
        return
    for n_lineages in (1, 4, *(["auto"] if auto else [])):
        adata = vt.read.auto(path)
        vt.pp.filter_genes(adata)
        wall = fit(adata, n_lineages, 0)
        rho = spearmanr(adata.obs["latent_time"], stages(adata)).statistic
        chosen = len(adata.uns["lineages"]["names"])
        print(f"pancreas, {n_lineages}: {chosen} lineages, Spearman with stages {rho:.4f}, {wall:.1f} s")
        if n_lineages != 1:
            print(shares(adata, "clusters", ["Alpha", "Beta", "Delta", "Epsilon"]) + "\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--skip-auto", action="store_true")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1].parent / "shared" / "data")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=vt.UnclearWarning)  # the verdict is printed
    labelled(arguments.data, not arguments.skip_auto)
    on_the_pancreas(arguments.data, not arguments.skip_auto)
    simulated(arguments.seeds, not arguments.skip_auto)


if __name__ == "__main__":
    main()
