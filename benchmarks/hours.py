"""Hours of the clock by half-lives, on simulated data whose hours are known.

    python benchmarks/hours.py [seeds] [--totals]

Every seed: 1,000 cells x 200 genes, mean counts 0.3 unspliced and 1 spliced, a clock of 48 hours, fitted. Then
half-lives of 30 genes with a log-normal error of 0.3, and the same half-lives of other genes (shuffled): for these no
hours may be given.

Size factors are the true depth, as totals over a whole transcriptome are, or with ``--totals`` those of the 200 genes.
The truth is 48 hours times the slope of true over fitted times, as a fitted clock has a length of its own (within a few
per cent of one); ``of 48`` compares with 48 itself.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd
from anndata import AnnData

import velotime as vt

HOURS = 48.0


def fit(seed: int, *, totals: bool) -> AnnData:
    adata = vt.simulation.simulate(1000, 200, rng=np.random.default_rng(seed))
    if not totals:
        adata.obs["initial_size_unspliced"] = adata.obs["initial_size_spliced"] = adata.obs["true_depth"]
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1), progress=False)
    return adata


def ask(adata: AnnData, what: str, half_lives: pd.Series) -> dict[str, object]:
    """A row: the hours found, whether the interval holds the truth, and how far off they are."""
    vt.tl.to_real_time(adata, half_lives)
    record = adata.uns["real_time"]
    truth = HOURS * np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)[0]
    row = {"what": what, "verdict": record["verdict"], "r": record["rank_correlation"], "truth": truth}
    if record["verdict"] != "agree":
        return row
    found, low, high = (record[f"hours_per_clock{end}"] for end in ("", "_low", "_high"))
    return row | {"found": found, "low": low, "high": high, "off": found / truth - 1, "of 48": found / HOURS - 1}


def measure(seed: int, *, totals: bool) -> list[dict[str, object]]:
    adata, rng = fit(seed, totals=totals), np.random.default_rng(1000 + seed)
    known = vt.simulation.half_lives(adata, hours=HOURS, rng=rng)
    rows = [ask(adata, "half-lives", known)]
    rows.append(ask(adata, "half-lives, shuffled", pd.Series(rng.permutation(known), known.index)))
    return rows


def told(rows: pd.DataFrame) -> pd.Series:
    given = rows[rows["verdict"] == "agree"]
    inside = (given["low"] <= given["truth"]) & (given["truth"] <= given["high"])
    return pd.Series(
        {
            "hours given": f"{len(given)} of {len(rows)}",
            "within 15 %": int((given["off"].abs() <= 0.15).sum()),
            "of 48 within 15 %": int((given["of 48"].abs() <= 0.15).sum()),
            "interval holds": int(inside.sum()),
            "median off": f"{given['off'].median():+.3f}",
            "median width": f"{np.log(given['high'] / given['low']).median():.3f}",
            "median r": f"{rows['r'].median():.2f}",
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("seeds", nargs="?", type=int, default=20)
    parser.add_argument("--totals", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", vt.UnclearWarning)
    rows = []
    for seed in range(asked.seeds):
        rows += measure(seed, totals=asked.totals)
        print(seed, *(f"{row.get('off', np.nan):+.2f}" for row in rows[-2:]), flush=True)
    table = pd.DataFrame(rows).groupby("what", sort=False).apply(told, include_groups=False)
    print(table.to_string())


if __name__ == "__main__":
    main()
