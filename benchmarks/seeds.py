"""Do seeds agree? The pancreas fitted from several seeds, with the root searched for and given.

    python benchmarks/seeds.py [--seeds 5] [--data FOLDER] [--out FOLDER]
    python benchmarks/seeds.py --page FOLDER [--before FOLDER]

Prints for each pair of seeds how far their log-likelihoods lie apart, the correlation of their latent times, and how
often the 90 % intervals of one hold the times and the first switches of the other, after its clock was put on the
one's by a linear regression over cells. ``--out`` keeps fits and pairs as tables, and ``--page`` writes the tables of
an earlier run into ``docs/studies/seeds.md``, beside those of the version ``--before``.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

import velotime as vt

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "studies"
ROOTS = {"searched for": None, "given": vt.Root("clusters", "Ductal")}
FITS, PAIRS = "seeds_fits.csv", "seeds_pairs.csv"


def fitted(path: Path, seed: int, root: vt.Root | None) -> tuple[AnnData, float]:
    """The pancreas with a fit, and CPU seconds that this took."""
    adata = vt.read.auto(path)
    vt.pp.filter_genes(adata)
    began = time.process_time()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(root=root), rng=seed, progress=False)
    return adata, time.process_time() - began


def held(table: pd.DataFrame, low: str, high: str, others: np.ndarray) -> float:
    """Share of the others' values within the intervals."""
    return float(((table[low].to_numpy() <= others) & (others <= table[high].to_numpy())).mean())


def compare(one: AnnData, other: AnnData) -> dict[str, float]:
    """What one seed says of another's fit."""
    mine, theirs = one.obs["latent_time"].to_numpy(), other.obs["latent_time"].to_numpy()
    unit, origin = np.polyfit(theirs, mine, 1)
    genes = one.var["velocity_genes"].to_numpy() & other.var["velocity_genes"].to_numpy()
    onsets = origin + unit * other.var["fit_t_on"].to_numpy()
    unique = genes & (one.var["fit_unique"].to_numpy() == 1)
    return {
        "log-likelihood apart": abs(log_likelihood(one) - log_likelihood(other)),
        "correlation of times": float(np.corrcoef(mine, theirs)[0, 1]),
        "times held": held(one.obs, "latent_time_q05", "latent_time_q95", origin + unit * theirs),
        "first switches held": held(one.var[genes], "fit_t_on_q05", "fit_t_on_q95", onsets[genes]),
        "of genes with one optimum": held(one.var[unique], "fit_t_on_q05", "fit_t_on_q95", onsets[unique]),
    }


def log_likelihood(adata: AnnData) -> float:
    """Of the counts, nats."""
    return float(adata.uns["recover_dynamics"]["log_likelihood"])


def measure(path: Path, n_seeds: int, out: Path | None) -> None:
    """Fit, compare and print; keep the tables if there is a folder for them."""
    fits, pairs = [], []
    for name, root in ROOTS.items():
        found = []
        for seed in range(n_seeds):
            adata, seconds = fitted(path, seed, root)
            found.append(adata)
            row = {
                "root": name,
                "seed": seed,
                "log-likelihood": log_likelihood(adata),
                "lineages": len(adata.uns["lineages"]["names"]),
                "genes with one optimum": float(adata.var["fit_unique"].mean()),
                "direction": adata.uns["time_arrow"]["verdict"],
                "CPU seconds": seconds,
            }
            fits.append(row)
            print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        for i, j in itertools.permutations(range(len(found)), 2):
            pairs.append({"root": name, "one": i, "other": j, **compare(found[i], found[j])})
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(fits).to_csv(out / FITS, index=False)
            pd.DataFrame(pairs).to_csv(out / PAIRS, index=False)
    print(pd.DataFrame(pairs).round(4).to_string(index=False))


def summary(folder: Path, version: str) -> pd.DataFrame:
    """What the worst pair of seeds says, and the mean of all, with the root searched for and given."""
    fits, pairs = pd.read_csv(folder / FITS), pd.read_csv(folder / PAIRS)
    lines = []
    for name in ROOTS:
        of_fits, of_pairs = fits[fits["root"] == name], pairs[pairs["root"] == name]
        line = {"version": version, "root": name, "seeds": len(of_fits)}
        line["best fit, nats"] = f"{of_fits['log-likelihood'].max():,.0f}"
        line["farthest apart, nats"] = f"{of_pairs['log-likelihood apart'].max():.0f}"
        line["least correlation of times"] = f"{of_pairs['correlation of times'].min():.4f}"
        for column in ("times held", "first switches held", "of genes with one optimum"):
            line[column] = f"{of_pairs[column].mean():.0%} ({of_pairs[column].min():.0%})"
        line["CPU seconds"] = f"{of_fits['CPU seconds'].median():.0f}"
        lines.append(line)
    return pd.DataFrame(lines)


def page(folder: Path, before: Path | None) -> None:
    """Put the tables of an earlier run into the page of the study."""
    sys.path.insert(0, str(PAGES))
    from _page import fill, table

    versions = [] if before is None else [summary(before, "before")]
    fits = pd.read_csv(folder / FITS)
    fits["log-likelihood"] = [f"{value:,.0f}" for value in fits["log-likelihood"]]
    fits["genes with one optimum"] = [f"{value:.0%}" for value in fits["genes with one optimum"]]
    fill("seeds", {"summary": table(pd.concat([*versions, summary(folder, "now")])), "fits": table(fits)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, help="folder to keep the tables in")
    parser.add_argument("--page", type=Path, metavar="FOLDER", help="write the study from the tables kept there")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="with --page: tables of an earlier version")
    arguments = parser.parse_args()
    if arguments.page is not None:
        page(arguments.page, arguments.before)
        return
    warnings.filterwarnings("ignore", category=vt.UnclearWarning)
    measure(arguments.data / "pancreas.h5ad", arguments.seeds, arguments.out)


if __name__ == "__main__":
    main()
