"""Coverage of 90 % intervals over seeds and settings, on simulated cells.

    python benchmarks/calibration.py [--seeds 10] [--settings "true model, Poisson"]   # measures, into calibration.csv
    python benchmarks/calibration.py --resampled [--seeds 4]                            # the same with vt.tl.resample
    python benchmarks/calibration.py --write                                            # the page from calibration.csv

docs/studies/calibration.md says what is compared and how. What is in the file already is not measured again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

import velotime as vt
from velotime import _keys as keys
from velotime import simulation as sim

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "studies"))
from _page import FOLDER, fill, table

ROWS = FOLDER / "calibration.csv"
Z90 = 1.645
POISSON, NB = vt.Poisson(), vt.NegativeBinomial()


@dataclass(frozen=True)
class Setting:
    """A kind of data, and the noise it is fitted with; true size factors unless the setting is about them."""

    noise: Any
    counts: Any
    n_cells: int = 500
    n_genes: int = 150
    true_depth: bool = True
    moments: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def draw(self, seed: int) -> AnnData:
        """Simulated cells."""
        rng = np.random.default_rng(seed)
        adata = sim.simulate(self.n_cells, self.n_genes, rng=rng, noise=self.counts, **self.more)
        if self.true_depth:
            for column in (keys.SIZE_UNSPLICED, keys.SIZE_SPLICED):
                adata.obs[column] = adata.obs["true_depth"]
        if self.moments:
            vt.pp.moments(adata)
        return adata

    def fitted(self, seed: int) -> AnnData:
        """The same with a fit; its root is the earliest cell."""
        adata = self.draw(seed)
        root = vt.Root(cell=str(adata.obs_names[np.argmin(adata.obs["true_time"])]))
        method = vt.SoftEM(noise=self.noise, root=root, n_lineages=1, start_genes=60, start_times=32)
        layers = {"unspliced": keys.MU, "spliced": keys.MS} if self.moments else {}
        vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False, **layers)
        return adata


POISSON_COUNTS, NB_COUNTS = sim.PoissonCounts(), sim.NegativeBinomialCounts()
SETTINGS = {
    "true model, Poisson": Setting(POISSON, POISSON_COUNTS),
    "true model, negative binomial": Setting(NB, NB_COUNTS),
    "1,000 cells": Setting(NB, NB_COUNTS, n_cells=1000),
    "few cells: 100": Setting(NB, NB_COUNTS, n_cells=100),
    "many counts: 1 and 3": Setting(NB, NB_COUNTS, more={"mean_unspliced": 1.0, "mean_spliced": 3.0}),
    "very many counts: 3 and 10, 500 genes": Setting(
        NB, NB_COUNTS, n_genes=500, more={"mean_unspliced": 3.0, "mean_spliced": 10.0}
    ),
    "few counts: 0.1 and 0.3": Setting(NB, NB_COUNTS, more={"mean_unspliced": 0.1, "mean_spliced": 0.3}),
    "clumped times": Setting(NB, NB_COUNTS, more={"times": sim.ClumpedTimes()}),
    "size factors from totals": Setting(NB, NB_COUNTS, true_depth=False),
    "wrong noise: Poisson fit of negative-binomial counts": Setting(POISSON, NB_COUNTS),
    "moments: Gaussian fit of means over neighbours": Setting(vt.Gaussian(), NB_COUNTS, moments=True),
}
#: Where intervals by resampling are looked at as well.
RESAMPLED = ("few cells: 100", "many counts: 1 and 3", "wrong noise: Poisson fit of negative-binomial counts")


@dataclass(frozen=True)
class Clock:
    """The fitted clock on the true one."""

    unit: float
    origin: float

    @classmethod
    def of(cls, adata: AnnData) -> Clock:
        """True on fitted times."""
        return cls(*np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1))

    def __call__(self, times: Any) -> np.ndarray:
        """True times of fitted ones."""
        return self.origin + self.unit * np.asarray(times)


def within(error: Any, sd: Any) -> float:
    """Share of the errors within 1.645 sd, where both are there."""
    z = np.asarray(error, dtype=float) / np.asarray(sd, dtype=float)
    return float((np.abs(z[np.isfinite(z)]) <= Z90).mean())


def times(adata: AnnData, clock: Clock, infix: str = "") -> dict[str, float]:
    truth = np.asarray(adata.obs["true_time"])
    low, high = (clock(adata.obs[f"latent_time{infix}_{q}"]) for q in ("q05", "q95"))
    error = clock(adata.obs["latent_time"]) - truth
    width = np.asarray((high - low) / clock.unit / adata.obs[f"latent_time{infix}_sd"])
    return {
        "time": float(((low <= truth) & (truth <= high)).mean()),
        "rms": float(np.sqrt(np.mean(error**2))),
        "sd": float(clock.unit * adata.obs[f"latent_time{infix}_sd"].median()),
        "width in sd": float(np.median(width)),
        "widest": float(width.max()),
    }


def rates(adata: AnnData, clock: Clock, infix: str = "") -> dict[str, float]:
    moving = adata.var[adata.var["true_class"] != "flat"]
    out = {}
    for rate in ("beta", "gamma"):
        error = np.log(moving[f"fit_{rate}"] / clock.unit / moving[f"true_{rate}"])
        out[f"log {rate}"] = within(error, moving[f"fit_{rate}{infix}_se"])
    return out


def switches(adata: AnnData, clock: Clock) -> dict[str, float]:
    twice = adata.var[np.isin(adata.var["true_class"], ("pulse", "dip"))]
    return {
        name: float(((clock(twice[f"{fit}_q05"]) <= twice[true]) & (twice[true] <= clock(twice[f"{fit}_q95"]))).mean())
        for name, fit, true in (("t_on", "fit_t_on", "true_t_on"), ("t_off", "fit_t", "true_t_off"))
    }


def velocity(adata: AnnData, clock: Clock) -> dict[str, float]:
    moving = (adata.var["true_class"] != "flat").to_numpy() & np.isfinite(adata.var["fit_gamma"]).to_numpy()
    error = adata.layers["velocity"] / clock.unit - adata.layers["true_velocity"]
    sd = np.maximum(adata.layers["velocity_sd"] / clock.unit, 1e-6)
    return {"velocity": within(error[:, moving], sd[:, moving])}


def by_formula(adata: AnnData) -> dict[str, float]:
    """Coverage of everything."""
    clock = Clock.of(adata)
    return {**times(adata, clock), **rates(adata, clock), **switches(adata, clock), **velocity(adata, clock)}


def by_resampling(adata: AnnData, seed: int) -> dict[str, float]:
    """The same intervals by formula and by resampling."""
    vt.tl.resample(adata, rng=seed, progress=False)
    clock, out = Clock.of(adata), {}
    for infix, how in (("", "formula"), ("_resampled", "resampled")):
        found = {"time": times(adata, clock, infix)["time"], **rates(adata, clock, infix)}
        out |= {f"{name}, {how}": value for name, value in found.items()}
    return dict(sorted(out.items(), key=lambda item: item[0].split(",")[0] != "time"))


#: Columns of a row that belong to the table of times.
OF_TIMES = ("time", "rms", "sd", "width in sd", "widest")


def stored() -> list[dict[str, Any]]:
    """Rows measured so far."""
    return pd.read_csv(ROWS).to_dict("records") if ROWS.exists() else []


def measure(names: list[str], seeds: int, kind: str) -> None:
    """Add what is missing to the file, row by row; a row without its times is measured again."""
    rows = stored()
    first = "time" if kind == "formula" else "time, formula"
    for seed, name in product(range(seeds), names):
        same = [row for row in rows if (row["setting"], row["seed"], row["kind"]) == (name, seed, kind)]
        if any(pd.notna(row[first]) for row in same):
            continue
        rows = [row for row in rows if row not in same]
        adata = SETTINGS[name].fitted(seed)
        found = by_formula(adata) if kind == "formula" else by_resampling(adata, seed)
        rows.append({"setting": name, "seed": seed, "kind": kind, **found})
        print(name, seed, {key: round(value, 3) for key, value in found.items()}, flush=True)
        pd.DataFrame(rows).round(5).to_csv(ROWS, index=False)


def summary(rows: pd.DataFrame) -> str:
    """Means over seeds, how far time's coverage ranges, and the widest interval, as a table of the page."""
    lines = []
    for name in [name for name in SETTINGS if name in set(rows["setting"])]:
        own = rows[rows["setting"] == name].drop(columns=["setting", "seed", "kind"])
        line = {"setting": name, "seeds": str(len(own))}
        for column, mean in own.mean().items():
            line[str(column)] = _cell(str(column), own[column].max() if column == "widest" else mean)
            if column == "time":
                line["time, least to most"] = f"{own[column].min():.0%} to {own[column].max():.0%}"
        lines.append(line)
    return table(pd.DataFrame(lines))


def _cell(column: str, value: float) -> str:
    """A number as its column shows it: errors of time, widths, shares."""
    if column in ("rms", "sd"):
        return f"{value:.4f}"
    return f"{value:.1f}" if column in ("width in sd", "widest") else f"{value:.0%}"


def write() -> None:
    """Fill the page from the file."""
    rows = pd.DataFrame(stored())
    by_kind = {kind: rows[rows["kind"] == kind].dropna(axis=1, how="all") for kind in ("formula", "resampled")}
    formula, named = by_kind["formula"], ["setting", "seed", "kind"]
    pieces = {
        "times": summary(formula[[*named, *OF_TIMES]].dropna()),
        "formula": summary(formula.drop(columns=list(OF_TIMES))),
        "resampled": summary(by_kind["resampled"]),
    }
    fill("calibration", pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--resampled", action="store_true", help=f"of {', '.join(RESAMPLED)}; eleven fits each")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.write:
        write()
    elif arguments.resampled:
        measure([name for name in arguments.settings if name in RESAMPLED], arguments.seeds, "resampled")
    else:
        measure(arguments.settings, arguments.seeds, "formula")


if __name__ == "__main__":
    main()
