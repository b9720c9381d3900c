"""Does a learned time prior help? Everything that docs/studies/time_prior.md shows comes from here.

    python docs/studies/time_prior.py                 # tables and figure from time_prior.csv, in seconds
    python docs/studies/time_prior.py --fit           # all fits again (450 simulated, 6 of the pancreas): 25 minutes
    python docs/studies/time_prior.py --fit --seeds 2 # fewer, to look at

One fit per row: a data set (distribution of times, depth, seed) under one prior, on a random 70 % of its counts; the
other 30 % give the held-out log-likelihood.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _page import fill, save, table
from anndata import AnnData
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_labels, read_observations
from velotime.inference import CellLabels
from velotime.inference.em import watch_nothing
from velotime.inference.heldout.scores import StateModel
from velotime.inference.heldout.thinning import ThinnedCounts
from velotime.inference.methods.passes import main_run
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells
from velotime.inference.search.begin import hand_over
from velotime.tl._geometry import place_cells

HERE = Path(__file__).resolve().parent
ROWS = HERE / "time_prior.csv"
N_CELLS, N_GENES = 500, 100
DEPTHS = {"shallow": (0.1, 0.33), "middle": (0.3, 1.0), "deep": (0.9, 3.0)}  # mean unspliced and spliced counts
MISLABELLED = 0.1  # of the cells have a label drawn again, as clusters are never pure
LABEL = "label"
LEAST_SPEARMAN = 0.5  # of fitted with true times; with less a fit has not found the trajectory
Row: TypeAlias = dict[str, float | str]
STAGE = {"Ductal": 0, "Ngn3 low EP": 1, "Ngn3 high EP": 2, "Pre-endocrine": 3}


@dataclass(frozen=True)
class TwoGroups:
    """Two groups of cells: most of the one are early, most of the other late."""

    rate: float = 4.0

    def draw(self, n_cells: int, rng: np.random.Generator) -> np.ndarray:
        """The first half of the cells is the first group."""
        early = sim.ExponentialTimes(self.rate).draw(n_cells, rng)
        return np.where(np.arange(n_cells) < n_cells // 2, early, 1 - early)


TIMES = {
    "uniform": sim.UniformTimes(),
    "clumped": sim.ClumpedTimes(),
    "gap": sim.GappedTimes(),
    "exponential": sim.ExponentialTimes(),
    "two groups": TwoGroups(),
}
PRIORS = {
    "uniform": vt.UniformPrior(),
    "learned": vt.LearnedPrior(),
    "by label": vt.LearnedPrior(by=LABEL),
}


# ---------------------------------------------------------------------- data
def simulated(times: str, depth: str, seed: int) -> AnnData:
    """Cells with a label: the group, or the third of the clock, some labels drawn again."""
    rng = np.random.default_rng(seed)
    mean_unspliced, mean_spliced = DEPTHS[depth]
    adata = sim.simulate(
        N_CELLS, N_GENES, rng=rng, times=TIMES[times], mean_unspliced=mean_unspliced, mean_spliced=mean_spliced
    )
    time = np.asarray(adata.obs["true_time"])
    label = np.arange(N_CELLS) * 2 // N_CELLS if times == "two groups" else np.minimum((3 * time).astype(int), 2)
    if times != "two groups":
        wrong = rng.uniform(size=N_CELLS) < MISLABELLED
        label = np.where(wrong, rng.integers(0, 3, N_CELLS), label)
    adata.obs[LABEL] = pd.Categorical(label.astype(str))
    return adata


@dataclass(frozen=True)
class Parts:
    """Training and test counts, and what is known of the cells."""

    counts: ThinnedCounts
    labels: CellLabels
    genes: np.ndarray

    @classmethod
    def of(cls, adata: AnnData, seed: int, *columns: str) -> Parts:
        """Thin the counts; genes without training counts in a layer are left out."""
        reading = read_observations(adata, counts=True)
        counts = ThinnedCounts.of(reading.observations, np.random.default_rng(1000 + seed))
        seen = [np.asarray(layer.sum(axis=0)).ravel() > 0 for layer in (counts.train.unspliced, counts.train.spliced)]
        keep = np.flatnonzero(seen[0] & seen[1])
        counts = ThinnedCounts(counts.train.select_genes(keep), counts.test.select_genes(keep))
        return cls(counts, read_labels(adata, columns), reading.genes[keep])


# ---------------------------------------------------------------------- fits
@dataclass(frozen=True)
class Fit:
    """A fit of the training counts."""

    time: np.ndarray
    theta: np.ndarray
    iterations: int
    heldout: float

    @property
    def row(self) -> Row:
        """What is known of it without a truth."""
        return {"iterations": self.iterations, "heldout": self.heldout}


def fit(parts: Parts, method: vt.SoftEM, seed: int) -> Fit:
    """The main run from the better of both orderings by distance from the root: no search for a direction."""
    placing, searching = np.random.default_rng(seed).spawn(2)
    train = parts.counts.train
    rows = method.prior_rows(parts.labels)
    no_cells = np.zeros(0, dtype=np.int64)
    search = method._starts.search(train, place_cells(train, placing), rows, no_cells, searching)
    best = max(search.first_trials, key=lambda trial: trial.bound)
    problem = method._problem(Cells.of(train, rows, method.noise), 1)
    first = hand_over(problem, search.genes, search.problem(1).states, best, method.hottest)
    run = main_run(problem, first, method._schedule, watch_nothing)
    return Fit(
        time=time_and_lineage(problem, run.parameters)[0],
        theta=run.parameters.theta,
        iterations=len(run.trace.bound),
        heldout=float(StateModel.of_curves(problem, run.parameters).heldout(parts.counts.test).mean()),
    )


def errors(found: Fit, obs: pd.DataFrame, var: pd.DataFrame) -> Row:
    """How far times and rates are from the truth, once origin and unit of the clock agree."""
    truth = np.asarray(obs["true_time"])
    unit, origin = np.polyfit(found.time, truth, 1)
    out: Row = {
        "rms": float(np.sqrt(np.mean((origin + unit * found.time - truth) ** 2))),
        "spearman": float(spearmanr(found.time, truth).statistic),
    }
    moving = np.asarray(var["true_class"] != "flat")
    for column, rate in enumerate(("beta", "gamma")):
        away = found.theta[:, column] - np.log(abs(unit)) - np.log(var[f"true_{rate}"])
        out[f"log_{rate}_error"] = float(np.median(np.abs(away[moving])))
    return out


def simulated_rows(seeds: int) -> Iterator[Row]:
    """Data set by data set, so that a run that is broken off has whole seeds to show."""
    for seed, times, depth in product(range(seeds), TIMES, DEPTHS):
        adata = simulated(times, depth, seed)
        parts = Parts.of(adata, seed, LABEL)
        root = vt.Root(cell=str(adata.obs_names[np.argmin(adata.obs["true_time"])]))
        for name, prior in PRIORS.items():
            found = fit(parts, vt.SoftEM(prior=prior, root=root, start_genes=60, start_times=32), seed)
            away = errors(found, adata.obs, adata.var.iloc[parts.genes])
            yield {"times": times, "depth": depth, "seed": seed, "prior": name, **found.row, **away}


def pancreas_rows(path: Path, seeds: int) -> Iterator[Row]:
    """The label is ``clusters``; Spearman is with the rank of the stages."""
    adata = vt.data.read_file(path)
    vt.pp.filter_genes(adata)
    adata.obs[LABEL] = adata.obs["clusters"]
    stage = [STAGE.get(label, 4) for label in adata.obs["clusters"]]
    for seed in range(seeds):
        parts = Parts.of(adata, seed, LABEL)
        for name, prior in PRIORS.items():
            found = fit(parts, vt.SoftEM(prior=prior, root=vt.Root(LABEL, "Ductal")), seed)
            rho = float(spearmanr(found.time, stage).statistic)
            yield {"times": "pancreas", "depth": "", "seed": seed, "prior": name, **found.row, "spearman": rho}


def fit_all(arguments: argparse.Namespace) -> None:
    """All rows, written one by one."""
    rows = []
    path = arguments.data / "pancreas.h5ad"
    pancreas = pancreas_rows(path, min(arguments.seeds, 2)) if path.exists() else iter(())
    for row in chain(simulated_rows(arguments.seeds), pancreas):
        rows.append(row)
        print(pd.DataFrame([row]).round(4).to_string(index=False, header=False), flush=True)
        pd.DataFrame(rows).round(5).to_csv(ROWS, index=False)


# ---------------------------------------------------------------------- page
def forwards(rows: pd.DataFrame) -> pd.DataFrame:
    """The data sets on which no fit ran backwards or lost its way: those are another failure, and counted apart."""
    least = rows.groupby(["times", "depth", "seed"])["spearman"].transform("min")
    return rows[least > LEAST_SPEARMAN]


def backwards(rows: pd.DataFrame) -> str:
    """How many fits ran backwards, by depth and prior."""
    lost = (rows["spearman"] <= LEAST_SPEARMAN).groupby([rows["depth"], rows["prior"]])
    frame = (lost.sum().astype(str) + " of " + lost.size().astype(str)).unstack().reindex(list(DEPTHS))
    return table(frame[list(PRIORS)].reset_index())


def change(rows: pd.DataFrame, column: str, prior: str, *, relative: bool) -> pd.DataFrame:
    """Mean change against the uniform prior on the same data, and its standard error over seeds."""
    wide = rows.pivot_table(index=["times", "depth", "seed"], columns="prior", values=column)
    away = np.log(wide[prior] / wide["uniform"]) if relative else wide[prior] - wide["uniform"]
    by_setting = away.groupby(level=["times", "depth"])
    out = pd.DataFrame({"mean": by_setting.mean(), "error": by_setting.sem()})
    return out.reindex(pd.MultiIndex.from_product([TIMES, DEPTHS], names=["times", "depth"]))


def percent(frame: pd.DataFrame) -> list[str]:
    """Log ratios as percent."""
    return [f"{np.expm1(m):+.0%} ± {e:.0%}" for m, e in frame.itertuples(index=False)]


def plain(frame: pd.DataFrame, digits: int) -> list[str]:
    """Differences as they are."""
    return [f"{m:+.{digits}f} ± {e:.{digits}f}" for m, e in frame.itertuples(index=False)]


def contrasts(rows: pd.DataFrame, columns: dict[str, tuple[str, int | None]]) -> str:
    """One row per setting: each quantity under the uniform prior, and what the others change.

    ``columns`` gives for each quantity its name in the table and the digits of differences, or None for percent.
    """
    first = change(rows, next(iter(columns)), "learned", relative=False)
    frame = pd.DataFrame(first.index.tolist(), columns=["cells", "depth"])
    uniform = rows[rows["prior"] == "uniform"].groupby(["times", "depth"]).mean(numeric_only=True).reindex(first.index)
    for column, (name, digits) in columns.items():
        frame[f"{name}, uniform"] = [f"{value:.{3 if digits is None else digits}f}" for value in uniform[column]]
        for prior in ("learned", "by label"):
            away = change(rows, column, prior, relative=digits is None)
            frame[prior + " " * len([c for c in frame if c.strip() == prior])] = (
                percent(away) if digits is None else plain(away, digits)
            )
    return table(frame)


def overall(rows: pd.DataFrame) -> str:
    """Over all settings: mean change and in how many of the settings it is beyond two standard errors."""
    lines = []
    for column, name, relative, better in (
        ("rms", "rms error of time", True, -1),
        ("spearman", "Spearman", False, 1),
        ("log_beta_error", "error of log beta", True, -1),
        ("log_gamma_error", "error of log gamma", True, -1),
        ("heldout", "held-out log-likelihood per cell", False, 1),
        ("iterations", "iterations", False, -1),
    ):
        for prior in ("learned", "by label"):
            away = change(rows, column, prior, relative=relative)
            sure = better * away["mean"] / away["error"].clip(lower=1e-12)
            mean = away["mean"].mean()
            lines.append(
                {
                    "quantity": name,
                    "prior": prior,
                    "change against uniform": f"{np.expm1(mean):+.1%}" if relative else f"{mean:+.4f}",
                    "better in": f"{(sure > 2).sum()} of {len(sure)}",
                    "worse in": f"{(sure < -2).sum()} of {len(sure)}",
                }
            )
    return table(pd.DataFrame(lines))


def pancreas_table(rows: pd.DataFrame) -> str:
    """Means over seeds."""
    frame = rows.groupby("prior")[["spearman", "heldout", "iterations"]].mean().reindex(list(PRIORS))
    behind = frame["heldout"] - frame["heldout"].max()
    return table(
        pd.DataFrame(
            {
                "prior": frame.index,
                "Spearman with stages": [f"{value:.4f}" for value in frame["spearman"]],
                "held-out nats per cell, below the best": [f"{value:.3f}" for value in behind],
                "iterations": [f"{value:.1f}" for value in frame["iterations"]],
            }
        )
    )


def figure(rows: pd.DataFrame) -> None:
    """Changes against the uniform prior by distribution and depth."""
    panels = (
        ("rms", "rms error of time", True),
        ("log_gamma_error", "error of log gamma", True),
        ("heldout", "held-out nats per cell", False),
    )
    drawn, axes = plt.subplots(3, len(TIMES), figsize=(11, 6.2), sharex=True, sharey="row", layout="constrained")
    for line, (column, name, relative) in zip(axes, panels, strict=True):
        for prior, color, shift in (("learned", "tab:blue", -0.08), ("by label", "tab:orange", 0.08)):
            away = change(rows, column, prior, relative=relative)
            for axis, times in zip(line, TIMES, strict=True):
                mean, error = away.loc[times, "mean"].to_numpy(), away.loc[times, "error"].to_numpy()
                if relative:
                    mean, error = 100 * np.expm1(mean), 100 * error
                axis.errorbar(np.arange(3) + shift, mean, 2 * error, fmt="o-", ms=3, lw=1, color=color, label=prior)
        for axis in line:
            axis.axhline(0, color="0.5", lw=0.8, zorder=0)
        line[0].set_ylabel(f"{name}\n{'change, %' if relative else 'difference'}")
    for axis, times in zip(axes[0], TIMES, strict=True):
        axis.set_title(times, fontsize=10)
    axes[-1, 0].set_xticks(range(3), list(DEPTHS))
    axes[0, 0].legend(frameon=False, fontsize=8)
    save(drawn, "time_prior")


def page(rows: pd.DataFrame) -> None:
    """Tables and figure from the rows."""
    cells, pancreas = rows[rows["times"] != "pancreas"], rows[rows["times"] == "pancreas"]
    seeds, n_fits, lost = cells["seed"].nunique(), len(cells), backwards(cells)
    cells = forwards(cells)
    figure(cells)
    fill(
        "time_prior",
        {
            "made": f"{N_CELLS} cells, {N_GENES} genes, {seeds} seeds: {n_fits} fits.",
            "backwards": lost,
            "overall": overall(cells),
            "times": contrasts(cells, {"rms": ("rms error", None), "spearman": ("Spearman", 4)}),
            "rates": contrasts(cells, {"log_beta_error": ("log beta", None), "log_gamma_error": ("log gamma", None)}),
            "heldout": contrasts(cells, {"heldout": ("held-out nats per cell", 3), "iterations": ("iterations", 1)}),
            "pancreas": pancreas_table(pancreas),
        },
    )


def main() -> None:
    """Fit if asked to, then fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="all fits again")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--data", type=Path, default=HERE.parents[1].parent / "shared" / "data")
    arguments = parser.parse_args()
    if arguments.fit:
        fit_all(arguments)
    page(pd.read_csv(ROWS, keep_default_na=False, na_values=[""]))


if __name__ == "__main__":
    main()
