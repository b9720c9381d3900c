"""Hard, soft and free: every method on the same cells.

    python docs/studies/hard_soft_free.py [--data FOLDER]     # some minutes; fills hard_soft_free.md and its figure

Simulated counts with known truth, and cells of the pancreas where its file is there.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _page import Stopwatch, fill, save, table
from anndata import AnnData
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim
from velotime.inference import Reads

CELLS, GENES, SEEDS = 800, 150, 1
PANCREAS_CELLS, PANCREAS_GENES = 1000, 250
RANK = {"Ductal": 0, "Ngn3 low EP": 1, "Ngn3 high EP": 2, "Pre-endocrine": 3}
TIMES = {"even": sim.UniformTimes(), "clumped": sim.ClumpedTimes()}
HERE = Path(__file__).resolve()


def methods() -> dict[str, Any]:
    """By the name under which they stand in the tables."""
    return {
        "two stages, a clock per gene": vt.TwoStageEM(),
        "the same, curves by exact times": vt.TwoStageEM(clock=vt.GeneClock(last=vt.ExactTimes())),
        "two stages, shared clock": vt.TwoStageEM(clock="shared"),
        "soft, Gaussian": vt.SoftEM(noise=vt.Gaussian()),
        "soft, uniform prior": vt.SoftEM(prior=vt.UniformPrior()),
        "soft, learned prior": vt.SoftEM(),
        "mixture, 1: a constant": vt.MixtureEM(n_components=1),
        "mixture, 20 free": vt.MixtureEM(),
    }


def fit(adata: AnnData, method: Any) -> tuple[AnnData, float]:
    """A fitted copy, and the seconds that it took; methods for values are given the moments."""
    copy = adata.copy()
    layers = {"unspliced": "Mu", "spliced": "Ms"} if method.reads is not Reads.COUNTS else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        watch = Stopwatch()
        vt.tl.recover_dynamics(copy, method=method, progress=False, **layers)
    return copy, watch.seconds


def common(fitted: AnnData, method: Any, seconds: float) -> dict[str, Any]:
    """What every method has."""
    record = fitted.uns["recover_dynamics"]
    return {
        "data": "counts" if method.reads is Reads.COUNTS else "moments",
        "log-likelihood per cell": f"{record['log_likelihood'] / fitted.n_obs:,.1f}",
        "status": record["status"],
        "seconds": seconds,
        "of which starts": record.get("seconds_starts", np.nan),
    }


def against_truth(fitted: AnnData, truth: np.ndarray) -> dict[str, Any]:
    """Rank of time, its error once origin and unit are aligned, and rates of the genes that change."""
    if "latent_time" not in fitted.obs:
        return {"Spearman of time": np.nan, "error of time": np.nan, "gamma/beta": np.nan, "gamma": np.nan}
    when = fitted.obs["latent_time"].to_numpy()
    line = np.polyval(np.polyfit(when, truth, 1), when)
    v = fitted.var[(fitted.var["true_class"] != "flat") & fitted.var["fit_gamma"].notna()]
    ratio = np.log(v["fit_gamma"] / v["fit_beta"]) - np.log(v["true_gamma"] / v["true_beta"])
    gamma = np.log(v["fit_gamma"] / v["true_gamma"])
    return {
        "Spearman of time": spearmanr(when, truth).statistic,
        "error of time": float(np.median(np.abs(line - truth))),
        "gamma/beta": float(np.median(np.abs(ratio))),
        "gamma": float(np.median(np.abs(gamma - np.median(gamma)))),
    }


def simulated() -> tuple[pd.DataFrame, dict[str, AnnData]]:
    """Every method on cells whose times are even, and clumped."""
    rows, kept = [], {}
    for times, distribution in TIMES.items():
        for seed in range(SEEDS):
            adata = sim.simulate(CELLS, GENES, rng=np.random.default_rng(seed), times=distribution)
            vt.pp.moments(adata)
            for name, method in methods().items():
                fitted, seconds = fit(adata, method)
                row = {"times": times, "method": name, **common(fitted, method, seconds)}
                rows.append(row | against_truth(fitted, adata.obs["true_time"].to_numpy()))
                print(rows[-1], flush=True)
                if seed == 0 and times == "clumped":
                    kept[name] = fitted
    return pd.DataFrame(rows), kept


def averaged(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds; texts of the first seed."""
    keys = ["times", "method"]
    numbers = frame.groupby(keys, sort=False).mean(numeric_only=True)
    texts = frame.groupby(keys, sort=False).first()
    mean = texts.assign(**{name: numbers[name] for name in numbers.columns}).reset_index()
    order = ["Spearman of time", "error of time", "gamma/beta", "gamma", "seconds", "of which starts"]
    mean = mean[[*keys, "data", "log-likelihood per cell", *order, "status"]]
    return _text(mean)


def shares(frame: pd.DataFrame) -> str:
    """What the curve explains of what free components would, a sentence."""
    value = frame["log-likelihood per cell"].str.replace(",", "").astype(float)
    by = frame.assign(value=value).groupby(["times", "method"])["value"].mean()
    found = []
    for times in TIMES:
        constant, free = by[times, "mixture, 1: a constant"], by[times, "mixture, 20 free"]
        found.append(f"{(by[times, 'soft, Gaussian'] - constant) / (free - constant):.0%} ({times} times)")
    return "(kinetics - constant)/(free - constant) of the log-likelihood of the moments: " + ", ".join(found) + "."


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers to three digits, nothing where there is none."""
    frame = frame.copy()
    for name in frame.columns:
        if frame[name].dtype.kind == "f":
            frame[name] = [("" if np.isnan(x) else f"{x:.3f}" if x < 1 else f"{x:.1f}") for x in frame[name]]
    return frame


def pancreas(path: Path) -> pd.DataFrame:
    """Every method on some cells and genes of the pancreas."""
    adata = vt.data.read_file(path)
    vt.pp.filter_genes(adata)
    rng = np.random.default_rng(0)
    adata = adata[np.sort(rng.permutation(adata.n_obs)[:PANCREAS_CELLS])].copy()
    total = np.asarray(adata.layers["unspliced"].sum(axis=0)).ravel()
    adata = adata[:, np.sort(np.argsort(-total)[:PANCREAS_GENES])].copy()
    adata.obsp.clear()
    vt.pp.moments(adata)
    stage = np.array([RANK.get(label, 4) for label in adata.obs["clusters"]])
    rows = []
    for name, method in methods().items():
        fitted, seconds = fit(adata, method)
        row = {"method": name, **common(fitted, method, seconds)}
        if "latent_time" in fitted.obs:
            row["Spearman of time with stage"] = spearmanr(fitted.obs["latent_time"], stage).statistic
            row["direction"] = fitted.uns.get("time_arrow", {}).get("verdict", "not weighed")
        else:
            row |= {"Spearman of time with stage": np.nan, "direction": ""}
        rows.append(row)
        print(row, flush=True)
    return _text(pd.DataFrame(rows))


def draw(kept: dict[str, AnnData]) -> None:
    """Time found against true time where times are clumped."""
    shown = {name: fitted for name, fitted in kept.items() if "latent_time" in fitted.obs}
    figure, axes = plt.subplots(1, len(shown), figsize=(3.2 * len(shown), 3.4), layout="constrained", sharey=True)
    for ax, (name, fitted) in zip(axes, shown.items(), strict=True):
        ax.plot(fitted.obs["true_time"], fitted.obs["latent_time"], ".", markersize=2, alpha=0.6, rasterized=True)
        ax.set(xlabel="true time", title=name)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("time found")
    save(figure, "hard_soft_free")


def main() -> None:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "shared" / "data")
    path = parser.parse_args().data / "pancreas.h5ad"
    watch = Stopwatch()
    frame, kept = simulated()
    draw(kept)
    real = table(pancreas(path)) if path.exists() else f"Not measured: {path.name} was not there."
    fill(
        "hard_soft_free",
        {
            "made": f"Simulated: {CELLS:,} cells x {GENES} genes, negative-binomial counts, mean 0.3 unspliced and 1 "
            f"spliced, seeds {list(range(SEEDS))}. Pancreas: {PANCREAS_CELLS:,} cells (seed 0), the "
            f"{PANCREAS_GENES} genes with most unspliced counts. {watch.seconds:.0f} s.",
            "simulated": table(averaged(frame)),
            "share": shares(frame),
            "pancreas": real,
        },
    )


if __name__ == "__main__":
    main()
