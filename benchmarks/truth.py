"""How well truth is found: simulated data (time and rates), and the pancreas over seeds where its file is there.

    python benchmarks/truth.py [--data FOLDER] [--seeds 6]

Simulated: 2,000 cells x 500 genes, mean 0.3 unspliced and 1 spliced counts per gene, negative-binomial. Correlations
of logs, over genes that change.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from pancreas import stages
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim

TIMES = {
    "uniform": sim.UniformTimes(),
    "clumped": sim.ClumpedTimes(),
    "gap": sim.GappedTimes(),
    "exponential": sim.ExponentialTimes(),
}


def log_correlation(one, other) -> float:
    return float(np.corrcoef(np.log(one), np.log(other))[0, 1])


def simulated(seeds: int) -> None:
    print(f"{'times':<12} {'seed':>4} {'Spearman':>9} {'gamma':>7} {'gamma/beta':>10} {'seconds':>8} direction")
    for name, times in TIMES.items():
        for seed in range(seeds):
            adata = sim.simulate(2000, 500, rng=np.random.default_rng(seed), times=times)
            began = time.perf_counter()
            vt.tl.recover_dynamics(adata, rng=seed, progress=False)
            wall = time.perf_counter() - began
            v = adata.var[adata.var["true_class"] != "flat"]
            rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
            gamma = log_correlation(v["fit_gamma"], v["true_gamma"])
            ratio = log_correlation(v["fit_gamma"] / v["fit_beta"], v["true_gamma"] / v["true_beta"])
            verdict = adata.uns["time_arrow"]["verdict"]
            print(f"{name:<12} {seed:>4} {rho:>9.4f} {gamma:>7.3f} {ratio:>10.3f} {wall:>8.1f} {verdict}", flush=True)


def pancreas(path: Path, seeds: int) -> None:
    print(f"\n{'pancreas seed':<13} {'Spearman':>9} {'seconds':>8} {'starts':>7} {'iterations':>10} direction")
    for seed in range(seeds):
        adata = vt.data.read_file(path)
        vt.pp.filter_genes(adata)
        began = time.perf_counter()
        vt.tl.recover_dynamics(adata, rng=seed, progress=False)
        wall = time.perf_counter() - began
        record, arrow = adata.uns["recover_dynamics"], adata.uns["time_arrow"]
        rho = spearmanr(adata.obs["latent_time"], stages(adata)).statistic
        print(
            f"{seed:<13} {rho:>9.4f} {wall:>8.1f} {record['seconds_starts']:>7.1f} {record['iterations']:>10} "
            f"{arrow['verdict']}, {arrow['log_likelihood_margin']:,.0f} nats",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1].parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=6)
    arguments = parser.parse_args()
    simulated(min(arguments.seeds, 2))
    path = arguments.data / "pancreas.h5ad"
    if path.exists():
        pancreas(path, arguments.seeds)
    else:
        print(f"\nno pancreas.h5ad in {arguments.data}; pass --data FOLDER")


if __name__ == "__main__":
    main()
