"""Measure whether a cell's posterior of lineages is the probability of its fate, and genes of a fate come first.

    python benchmarks/fates.py [--seeds 3] [--first-seed 10] [--shares 0.8 0.2]

Every simulated cell has a fate, drawn by the shares; before its lineage leaves the trunk nothing of it shows in the
counts. Ends of lineages and the root are given. Prints, of the posteriors before and after the branching, how often
cells end in a lineage that they were given with a probability in each tenth, and the area under the ROC curve of
``fit_lineage_ratio`` for the genes of each fate.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from anndata import AnnData

import velotime as vt
from velotime import simulation as sim

BRANCHES = 0.4  # where all lineages leave
TENTHS = np.linspace(0, 1, 11)


def simulated(shares: tuple[float, ...], seed: int, n_cells: int = 3000, n_genes: int = 120) -> AnnData:
    """Cells with fates; late cells are kept by the share of theirs, early ones draw one."""
    rng = np.random.default_rng(seed)
    branches = sim.Branches((BRANCHES,) * (len(shares) - 1))
    every = sim.simulate(
        n_cells * len(shares), n_genes, rng=rng, branches=branches, mean_unspliced=1.0, mean_spliced=3.0
    )
    time, lineage = every.obs["true_time"].to_numpy(), every.obs["true_lineage"].astype(int).to_numpy()
    late = time > BRANCHES
    keep = np.where(late, np.array(shares)[lineage], 1 / len(shares))
    fate = np.where(late, lineage, rng.choice(len(shares), size=every.n_obs, p=shares))
    every.obs["fate"] = fate.astype(str)
    kept = every[rng.random(every.n_obs) < keep].copy()
    time, fates = kept.obs["true_time"], kept.obs["fate"]
    kept.obs["stage"] = np.where(time > 0.85, "end " + fates, np.where(time < 0.1, "root", "between"))
    return kept


def fitted(adata: AnnData, n_fates: int, seed: int) -> AnnData:
    """With ends and root given."""
    terminals = vt.Terminals("stage", tuple(f"end {k}" for k in range(n_fates)))
    method = vt.SoftEM(lineages=terminals, root=vt.Root("stage", "root"))
    vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False, layers=())
    return adata


def calibration(adata: AnnData, n_fates: int) -> pd.DataFrame:
    """Of each cell and lineage: the probability given, and whether it ends there."""
    given = vt.get.lineage_posterior(adata)
    inside = adata.obs["stage"] == "between"
    rows = [
        pd.DataFrame(
            {
                "given": given[f"end {k}"].to_numpy(),
                "ends": adata.obs["fate"].to_numpy() == str(k),
                "early": (adata.obs["true_time"] < BRANCHES).to_numpy(),
            }
        )[inside.to_numpy()]
        for k in range(n_fates)
    ]
    return pd.concat(rows, ignore_index=True)


def areas(adata: AnnData, n_fates: int) -> list[float]:
    """Area under the ROC curve of the genes of each fate against those of none."""
    level = adata.varm["true_level_2"]
    away = np.abs(level - np.median(level, axis=1, keepdims=True)) if n_fates > 2 else np.abs(np.diff(level, axis=1))
    fate, owner = away.max(axis=1) > 1e-9, away.argmax(axis=1)
    ratio = adata.var["fit_lineage_ratio"].to_numpy()
    return [float((ratio[fate & (owner == k)][:, None] > ratio[~fate]).mean()) for k in np.unique(owner[fate])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=10)  # the code was made on 0 and 1
    parser.add_argument("--shares", type=float, nargs="+", default=[0.8, 0.2])
    arguments = parser.parse_args()
    shares = tuple(arguments.shares)
    found = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        adata = fitted(simulated(shares, seed), len(shares), seed)
        found.append(calibration(adata, len(shares)))
        print(f"seed {seed}: AUC", " ".join(f"{area:.3f}" for area in areas(adata, len(shares))), flush=True)
    table = pd.concat(found)
    table["tenth"] = pd.cut(table["given"], TENTHS, include_lowest=True)
    for early, part in table.groupby("early"):
        print("before the branching" if early else "after it")
        print(part.groupby("tenth", observed=True)["ends"].agg(["size", "mean"]).round(3).to_string())


if __name__ == "__main__":
    main()
