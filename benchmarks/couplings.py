"""moscot's couplings of days beside velotime's time and fates, on simulated cells of three days on two branches.

    python benchmarks/couplings.py --moscot .venv-moscot/bin/python

Days overlap, as cells of one day are never equally far. velotime is told nothing of days, moscot nothing of splicing.
How to make moscot's environment: ``peer_moscot.py``. Of each seed and pair of days:

- order: Spearman correlation within the earlier day of true time with latent time, and with the mean true time of the
  cells that moscot has them go to;
- fate: share of the cells past the branching with the right one: velotime's lineage, and the lineage to which moscot
  sends most of a cell;
- both: share of these cells for which the two say the same, and how many of those are right.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim

HERE = Path(__file__).resolve().parent
BRANCHING = 0.4
DAYS = np.array([0.2, 0.5, 0.8])
SPREAD = 0.1  # of the times of one day's cells


def cells_of_days(seed: int):
    """Simulated cells, each with a day that is about right."""
    rng = np.random.default_rng(seed)
    adata = sim.simulate(600, 200, rng=rng, branches=sim.Branches((BRANCHING,)))
    noisy = adata.obs["true_time"].to_numpy() + rng.normal(0, SPREAD, adata.n_obs)
    day = np.abs(noisy[:, None] - DAYS).argmin(axis=1)
    adata.obs["day"] = pd.Categorical(day.astype(float))
    return adata


def couplings(adata, python: str, folder: Path) -> dict[str, np.ndarray]:
    """moscot's, from its own environment."""
    adata.write_h5ad(folder / "in.h5ad")
    subprocess.run([python, HERE / "peer_moscot.py", folder / "in.h5ad", folder / "out.npz"], check=True)
    with np.load(folder / "out.npz") as out:
        return dict(out)


def matched(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Lineages under the numbers of the true ones, as they fit best."""
    names = np.unique(found)
    ways = [dict(zip(names, way, strict=True)) for way in permutations(np.unique(truth), len(names))]
    return max(
        (np.array([way[one] for one in found]) for way in ways), key=lambda called: float((called == truth).mean())
    )


def compare(adata, coupling: np.ndarray, day: int) -> dict[str, float]:
    """Both beside the truth, of the cells of one day and the next."""
    label = adata.obs["day"].to_numpy(dtype=float)
    one, other = np.flatnonzero(label == day), np.flatnonzero(label == day + 1)
    time, lineage = adata.obs["true_time"].to_numpy(), adata.obs["true_lineage"].astype(int).to_numpy()
    past = time[one] > BRANCHING
    ours = adata.obs["lineage"].to_numpy()[one]
    target = other[time[other] > BRANCHING]
    mass = coupling[:, time[other] > BRANCHING]
    theirs = np.stack([mass[:, lineage[target] == k].sum(axis=1) for k in (0, 1)], axis=1).argmax(axis=1)
    right, same = lineage[one], ours == theirs
    return {
        "cells": len(one),
        "order, velotime": spearmanr(time[one], adata.obs["latent_time"].to_numpy()[one]).statistic,
        "order, moscot": spearmanr(time[one], coupling @ time[other]).statistic,
        "past the branching": int(past.sum()),
        "fate, velotime": float((ours == right)[past].mean()),
        "fate, moscot": float((theirs == right)[past].mean()),
        "both the same": float(same[past].mean()),
        "of these right": float((ours == right)[past & same].mean()),
    }


def main(python: str, seeds: int) -> None:
    """A row per seed and pair of days."""
    rows = []
    for seed in range(seeds):
        adata = cells_of_days(seed)
        with tempfile.TemporaryDirectory() as folder:
            found = couplings(adata, python, Path(folder))
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=2), progress=False)
        adata.obs["lineage"] = matched(adata.obs["fit_lineage"].astype(str), adata.obs["true_lineage"].astype(int))
        verdict = adata.uns["time_arrow"]["verdict"]
        for day in (0, 1):
            pair = f"{day}-{day + 1}"
            rows.append({"seed": seed, "direction": verdict, "days": pair, **compare(adata, found[pair], day)})
    print(f"moscot {found['version']}")
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moscot", default=".venv-moscot/bin/python", help="the python that has moscot")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    main(given.moscot, given.seeds)
