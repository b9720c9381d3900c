"""Cells that cycle: errors of phases, direction, intervals and verdicts, over seeds and on data sets.

    python benchmarks/cycles.py [--first-seed 100] [--seeds 20] [--data ../shared/data]   # measures, into cycles.csv
    python benchmarks/cycles.py --what leaving --seeds 5                                  # some of it only
    python benchmarks/cycles.py --write                                                   # the page from cycles.csv

docs/studies/cycles.md says what is compared and how. What is in the file already is not measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import velotime as vt
from velotime import simulation as sim

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "studies"))
from _page import FOLDER, fill, table

ROWS = FOLDER / "cycles.csv"
N_CELLS, N_GENES = 500, 100
COUNTS = {"mean_unspliced": 0.3, "mean_spliced": 1.0}
Maker = Callable[[np.random.Generator], ad.AnnData]


def simulated(**more: Any) -> Maker:
    """Cells of one kind, drawn with a generator."""
    return lambda rng: sim.simulate(N_CELLS, N_GENES, rng=rng, **COUNTS, **more)


CYCLES = {
    "uniform cycle": (simulated(cycle=sim.Cycling()), vt.SoftEM(clock=vt.Cycle())),
    "growing cycle": (
        simulated(cycle=sim.Cycling(), times=sim.GrowingTimes()),
        vt.SoftEM(clock=vt.Cycle(), prior=vt.GrowingPrior()),
    ),
    "smooth cycle": (simulated(cycle=sim.Cycling(smooth=1.0)), vt.SoftEM(clock=vt.Cycle())),
}
LEAVING = {
    f"{name}, {share:.0%} leave": (share, more, prior)
    for share in (0.0, 0.1, 0.3)
    for name, more, prior in (
        ("uniform", {}, vt.LearnedPrior()),
        ("growing", {"times": sim.GrowingTimes()}, vt.GrowingPrior()),
    )
}
LINES = {
    "line": simulated(),
    "line with a gap": simulated(times=sim.GappedTimes(0.45, 0.65)),
    "two fates": simulated(branches=sim.Branches((0.3,))),
}


def fitted(kind: str, seed: int) -> dict[str, Any]:
    """A cycle fitted as one."""
    make, method = CYCLES[kind]
    adata = make(np.random.default_rng(seed))
    start = time.process_time()
    vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False)
    seconds = time.process_time() - start
    error = vt.metrics.circular_error(adata, "true_phase")
    true = adata.obs["true_phase"] + error.rotation
    low, high = adata.obs["cycle_phase_q05"], adata.obs["cycle_phase_q95"]
    return {
        "what": "fit",
        "error": error.error,
        "origin": abs(error.rotation),
        "correlation": vt.metrics.circular_correlation(adata, "true_phase").correlation,
        "covered": float((((true - low) % 1) <= (high - low) % 1).mean()),
        "verdict": str(adata.uns["time_arrow"]["verdict"]),
        "reason": str(adata.uns["time_arrow"]["reason"]),
        "seconds": seconds,
    }


def leaving(kind: str, seed: int) -> dict[str, Any]:
    """Cells of which some do not cycle, fitted with that known to be possible, and those that do alone, without."""
    share, more, prior = LEAVING[kind]
    adata = simulated(cycle=sim.Cycling(not_cycling=share), **more)(np.random.default_rng(seed))
    off = np.asarray(adata.obs["true_not_cycling"]) if share else np.zeros(N_CELLS, dtype=bool)
    alone, start = adata[~off].copy(), time.process_time()
    asked = vt.SoftEM(clock=vt.Cycle(not_cycling=True), prior=prior)
    vt.tl.recover_dynamics(adata, method=asked, rng=seed, progress=False)
    seconds, start = time.process_time() - start, time.process_time()
    vt.tl.recover_dynamics(alone, method=vt.SoftEM(clock=vt.Cycle(), prior=prior), rng=seed, progress=False)
    return {
        "what": "leaving",
        "error": vt.metrics.circular_error(adata, "true_phase").error,
        "error_alone": vt.metrics.circular_error(alone, "true_phase").error,
        "correlation": vt.metrics.circular_correlation(adata, "true_phase").correlation,
        "auc": roc_auc_score(off, adata.obs["not_cycling"]) if share else np.nan,
        "found": float((adata.obs["not_cycling"] > 0.5).mean()),
        "true": float(off.mean()),
        "verdict": str(adata.uns["time_arrow"]["verdict"]),
        "seconds": seconds,
        "seconds_alone": time.process_time() - start,
    }


def compared(adata: ad.AnnData, seed: int) -> dict[str, Any]:
    """Which kind held-out counts say the cells are."""
    start = time.process_time()
    verdict = vt.tl.compare_models(adata, rng=seed)
    record = adata.uns["model_comparison"]
    seconds = time.process_time() - start
    return {"what": "compare", "verdict": verdict, "reason": record["reason"], "seconds": seconds}


def tasks(seeds: range, data: Path) -> Iterator[tuple[tuple[str, str, int], Callable[[], dict[str, Any]]]]:
    """Name (what, kind, seed) and call of each measurement."""
    for seed in seeds:
        for kind in CYCLES:
            yield ("fit", kind, seed), lambda kind=kind, seed=seed: fitted(kind, seed)
        for kind in LEAVING:
            yield ("leaving", kind, seed), lambda kind=kind, seed=seed: leaving(kind, seed)
        for kind, make in ({name: maker for name, (maker, _) in CYCLES.items()} | LINES).items():
            yield (
                ("compare", kind, seed),
                lambda make=make, seed=seed: compared(make(np.random.default_rng(seed)), seed),
            )
    for path in sorted(data.glob("*.h5ad")):
        yield ("compare", path.stem, 0), lambda path=path: compared(read(path), 0)


def read(path: Path) -> ad.AnnData:
    """A data set with the genes that are fitted."""
    adata = ad.read_h5ad(path)
    vt.pp.filter_genes(adata)
    return adata


def measure(seeds: range, data: Path, wanted: str | None) -> None:
    """What is not in the file yet, row by row."""
    done = pd.read_csv(ROWS) if ROWS.is_file() else pd.DataFrame(columns=["what", "kind", "seed"])
    known = set(done[["what", "kind", "seed"]].itertuples(index=False, name=None))
    rows = done.to_dict("records")
    for (what, kind, seed), call in tasks(seeds, data):
        if (what, kind, seed) in known or wanted not in (None, what):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", vt.UnclearWarning)
            rows.append({"kind": kind, "seed": seed} | call())
        print({key: value for key, value in rows[-1].items() if key != "reason"}, flush=True)
        pd.DataFrame(rows).to_csv(ROWS, index=False, float_format="%.5g")


def _range(values: pd.Series) -> str:
    return f"{values.median():.2g}, at most {values.max():.2g}"


def write() -> None:
    """Fill the page."""
    rows = pd.read_csv(ROWS)
    fits = rows[rows["what"] == "fit"].groupby("kind", sort=False)
    by_fit = pd.DataFrame(
        [
            {
                "cells": kind,
                "seeds": len(own),
                "median error": float(own["error"].median()),
                "largest": float(own["error"].max()),
                "error of the origin": _range(own["origin"]) if kind == "growing cycle" else "free",
                "direction right": f"{(own['correlation'] > 0).sum()} of {len(own)}",
                "called clear": f"{(own['verdict'] == 'clear').sum()} of {len(own)}",
                "clear but wrong": int(((own["verdict"] == "clear") & (own["correlation"] < 0)).sum()),
                "within the 90 % interval": float(own["covered"].mean()),
                "CPU seconds": float(own["seconds"].median()),
            }
            for kind, own in fits
        ]
    )
    left = pd.DataFrame(
        [
            {
                "cells": kind,
                "seeds": len(own),
                "median error": float(own["error"].median()),
                "of those that cycle, alone": float(own["error_alone"].median()),
                "direction right": f"{(own['correlation'] > 0).sum()} of {len(own)}",
                "clear but wrong": int(((own["verdict"] == "clear") & (own["correlation"] < 0)).sum()),
                "least AUC": "none leave" if own["auc"].isna().all() else f"{own['auc'].min():.3f}",
                "found": _range(own["found"]),
                "off by at most": float((own["found"] - own["true"]).abs().max()),
                "CPU seconds": float(own["seconds"].median()),
                "those alone": float(own["seconds_alone"].median()),
            }
            for kind, own in rows[rows["what"] == "leaving"].groupby("kind", sort=False)
        ]
    )
    compared_rows = rows[rows["what"] == "compare"].groupby("kind", sort=False)
    verdicts = pd.DataFrame(
        [
            {"cells": kind, "seeds": len(own)}
            | {name: int((own["verdict"] == name).sum()) for name in ("cycle", "trajectory", "clusters", "nothing")}
            for kind, own in compared_rows
        ]
    )
    fill("cycles", {"fits": table(by_fit), "leaving": table(left), "verdicts": table(verdicts)})


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--what", choices=("fit", "leaving", "compare"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.write:
        write()
    else:
        measure(range(given.first_seed, given.first_seed + given.seeds), given.data, given.what)


if __name__ == "__main__":
    main()
