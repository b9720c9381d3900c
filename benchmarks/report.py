"""Size of a report, and seconds to write it: a fitted file, and simulated cells of many sizes that need no fit.

    python benchmarks/report.py [FITTED.h5ad ...]

Sizes are of the file; of the seconds, the median of three.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import velotime as vt
from velotime import simulation as sim

SIZES = ((4000, 900, 1), (4000, 900, 4), (25_000, 900, 1))
BRANCHES = {1: None, 4: sim.Branches((0.3, 0.45, 0.6))}


def as_if_fitted(n_cells: int, n_genes: int, n_lineages: int):
    """Simulated cells with the truth in the slots that a fit fills."""
    rng = np.random.default_rng(0)
    adata = sim.simulate(n_cells, n_genes, rng=rng, branches=BRANCHES[n_lineages])
    var = adata.var
    for slot, name in (("beta", "beta"), ("gamma", "gamma"), ("t_on", "t_on"), ("scaling", "scaling"), ("t_", "t_off")):
        var[f"fit_{slot}"] = var[f"true_{name}"]
    for slot, name in (("alpha_0", "level_0"), ("alpha", "level_1"), ("alpha_2", "level_2")):
        var[f"fit_{slot}"] = var[f"true_{name}"] * var["true_gamma"]
    for slot in ("dispersion_u", "dispersion_s", "beta_se", "gamma_se", "t_on_se", "t_se"):
        var[f"fit_{slot}"] = 0.1
    var["fit_gain"] = rng.lognormal(5, 1, n_genes)
    several = n_lineages > 1
    t_off = adata.varm["true_t_off"] if several else var[["true_t_off"]].to_numpy()
    level = adata.varm["true_level_2"] if several else var[["true_level_2"]].to_numpy()
    adata.varm["fit_lineage_t"] = np.asarray(t_off)
    adata.varm["fit_lineage_alpha"] = np.asarray(level) * var["true_gamma"].to_numpy()[:, None]
    lineage = adata.obs["true_lineage"].to_numpy().astype(int) if several else np.zeros(n_cells, dtype=int)
    names = [str(k) for k in range(n_lineages)]
    adata.obs["fit_lineage"] = pd.Categorical.from_codes(lineage, names)
    adata.obs["latent_time"] = adata.obs["true_time"]
    adata.obs["latent_time_sd"] = 0.02
    adata.obsm["lineage_posterior"] = np.eye(n_lineages)[lineage]
    adata.obsm["X_umap"] = rng.normal(size=(n_cells, 2))
    adata.uns["lineages"] = {"names": np.array(names, dtype=object), "shares": np.full(n_lineages, 1 / n_lineages)}
    adata.uns["recover_dynamics"] = {
        "method": "SoftEM",
        "settings": {"noise": {"name": "NegativeBinomial"}},
        "status": "converged",
        "layers": {"unspliced": "unspliced", "spliced": "spliced"},
        "n_cells": n_cells,
        "n_genes": n_genes,
    }
    return adata


def measure(name: str, adata) -> None:
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        for _ in range(3):
            began = time.perf_counter()
            vt.report(adata, path, force=True)
            seconds.append(time.perf_counter() - began)
        text = path.read_text(encoding="utf-8")
        size = path.stat().st_size / 1e6
    explored = text.count('"data":"')
    print(f"{name:<40} {size:>7.2f} {np.median(seconds):>8.2f} {explored:>9}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fitted", nargs="*", type=Path)
    given = parser.parse_args().fitted
    print(f"{'cells x genes, lineages':<40} {'MB':>7} {'seconds':>8} {'explored':>9}")
    for path in given:
        measure(path.name, vt.read.h5ad(path))
    for n_cells, n_genes, n_lineages in SIZES:
        measure(f"{n_cells:,} x {n_genes:,}, {n_lineages}", as_if_fitted(n_cells, n_genes, n_lineages))


if __name__ == "__main__":
    main()
