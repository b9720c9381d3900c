"""Hours of the clock by half-lives and by labelled counts, on simulated data whose hours are known.

    python benchmarks/hours.py [seeds] [--first-seed 100] [--cells 1000] [--totals]

Every seed: 1,000 cells (or ``--cells``) x 200 genes, mean counts 0.3 unspliced and 1 spliced, a clock of 48 hours,
fitted. Then

- half-lives of 30 genes with a log-normal error of 0.3, and the same half-lives of other genes (shuffled): for these no
  hours may be given;
- counts labelled for 4 hours, of which 10 %, 30 % and 60 % are seen as new, and the same share of all counts
  (meaningless): for these no hours may be given either.

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
CONVERSIONS, LABELLED = (0.1, 0.3, 0.6), 4.0
NEW = ("new_unspliced", "new_spliced")


def fit(seed: int, n_cells: int, *, totals: bool) -> AnnData:
    adata = vt.simulation.simulate(n_cells, 200, rng=np.random.default_rng(seed))
    if not totals:
        adata.obs["initial_size_unspliced"] = adata.obs["initial_size_spliced"] = adata.obs["true_depth"]
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1), progress=False)
    return adata


def ask(adata: AnnData, seed: int, what: str, **given: object) -> dict[str, object]:
    """A row: the hours found, whether the interval holds the truth, and how far off they are."""
    vt.tl.to_real_time(adata, **given)
    record = adata.uns["real_time"]
    truth = HOURS * np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)[0]
    row = {"what": what, "seed": seed, "verdict": record["verdict"], "r": record["rank_correlation"], "truth": truth}
    if record["verdict"] != "agree":
        return row
    found, low, high = (record[f"hours_per_clock{end}"] for end in ("", "_low", "_high"))
    return row | {"found": found, "low": low, "high": high, "off": found / truth - 1, "of 48": found / HOURS - 1}


def measure(adata: AnnData, seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(1000 + seed)
    known = vt.simulation.half_lives(adata, hours=HOURS, rng=rng)
    rows = [ask(adata, seed, "half-lives", half_lives=known)]
    shuffled = pd.Series(rng.permutation(known), known.index)
    rows.append(ask(adata, seed, "half-lives, shuffled", half_lives=shuffled))
    for conversion in CONVERSIONS:
        vt.simulation.label_new(adata, LABELLED, hours=HOURS, conversion=conversion, rng=rng)
        rows.append(ask(adata, seed, f"labelled, {conversion:.0%} seen", labelled=NEW, hours=LABELLED))
    for name in NEW:
        counts = adata.layers[name.removeprefix("new_")].toarray().astype(int)
        adata.layers[name] = rng.binomial(counts, CONVERSIONS[1]).astype(np.float32)
    rows.append(ask(adata, seed, "labelled, meaningless", labelled=NEW, hours=LABELLED))
    return rows


def told(rows: pd.DataFrame) -> pd.Series:
    given = rows[rows["verdict"] == "agree"]
    inside = (given["low"] <= given["truth"]) & (given["truth"] <= given["high"])
    return pd.Series(
        {
            "hours given": f"{len(given)} of {len(rows)}",
            "within 10 %": int((given["off"].abs() <= 0.1).sum()),
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
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--totals", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore", vt.UnclearWarning)
    rows = []
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        rows += measure(fit(seed, asked.cells, totals=asked.totals), seed)
        print(seed, *(f"{row.get('off', np.nan):+.2f}" for row in rows if row["seed"] == seed), flush=True)
    table = pd.DataFrame(rows).groupby("what", sort=False).apply(told, include_groups=False)
    print(table.to_string())


if __name__ == "__main__":
    main()
