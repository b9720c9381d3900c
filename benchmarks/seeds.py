"""Do seeds agree? The pancreas fitted from several seeds, with the root searched for and given.

    python benchmarks/seeds.py [--seeds 5] [--data FOLDER]

Prints for each pair of seeds how far their log-likelihoods lie apart, the correlation of their latent times, and how
often the 90 % intervals of one hold the times and the first switches of the other, after its clock was put on the
one's by a linear regression over cells.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

import velotime as vt


def fitted(path: Path, seed: int, root: vt.Root | None) -> AnnData:
    """The pancreas with a fit."""
    adata = vt.read.auto(path)
    vt.pp.filter_genes(adata)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(root=root), rng=seed, progress=False)
    return adata


def held(table: pd.DataFrame, low: str, high: str, others: np.ndarray) -> float:
    """Share of the others' values within the intervals."""
    return float(((table[low].to_numpy() <= others) & (others <= table[high].to_numpy())).mean())


def compare(one: AnnData, other: AnnData) -> dict[str, float]:
    """What one seed says of another's fit."""
    mine, theirs = one.obs["latent_time"].to_numpy(), other.obs["latent_time"].to_numpy()
    unit, origin = np.polyfit(theirs, mine, 1)
    genes = one.var["velocity_genes"].to_numpy() & other.var["velocity_genes"].to_numpy()
    onsets = origin + unit * other.var["fit_t_on"].to_numpy()[genes]
    return {
        "log-likelihood apart": abs(log_likelihood(one) - log_likelihood(other)),
        "correlation of times": float(np.corrcoef(mine, theirs)[0, 1]),
        "times held": held(one.obs, "latent_time_q05", "latent_time_q95", origin + unit * theirs),
        "first switches held": held(one.var[genes], "fit_t_on_q05", "fit_t_on_q95", onsets),
    }


def log_likelihood(adata: AnnData) -> float:
    """Of the counts, nats."""
    return float(adata.uns["recover_dynamics"]["log_likelihood"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1].parent / "shared" / "data")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=vt.UnclearWarning)
    path = arguments.data / "pancreas.h5ad"
    for name, root in (("root searched for", None), ("root given", vt.Root("clusters", "Ductal"))):
        fits = []
        for seed in range(arguments.seeds):
            fits.append(fitted(path, seed, root))
            n_lineages = len(fits[-1].uns["lineages"]["names"])
            unique = fits[-1].var["fit_unique"].mean()
            print(f"{name}, seed {seed}: {log_likelihood(fits[-1]):.1f} nats, {n_lineages} lineages, ", end="")
            print(f"{unique:.0%} of the genes with one optimum", flush=True)
        pairs = itertools.permutations(range(len(fits)), 2)
        rows = [{"one": i, "other": j, **compare(fits[i], fits[j])} for i, j in pairs]
        print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
