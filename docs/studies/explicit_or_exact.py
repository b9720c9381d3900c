"""Time by the explicit inverse, gene by gene or averaged, against the exact nearest point: errors and predictions.

    python docs/studies/explicit_or_exact.py     # about a minute; fills explicit_or_exact.md and its figure

All rates are known here, so that nothing but the way of reading time is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _page import Stopwatch, fill, save, table
from numpy.random import Generator

from velotime.inference.states import States
from velotime.inference.two_stage.shared_clock.placing import Curves, Exact, Explicit, GeneTimes
from velotime.kinetics import (
    SwitchParameter,
    spliced,
    switch_means,
    switch_velocity,
    time_from_spliced,
    time_from_unspliced,
    unspliced,
)
from velotime.simulation import GeneMix, LogNormalRates
from velotime.simulation._genes import draw_theta

CELLS, SEEDS, NOISE = 1500, 3, 0.3
NUMBERS = (1, 3, 10, 30, 100, 300)
MEDIAN = 0.6745  # median of |x| for a standard normal x
STATES = States.grid(128)
P = SwitchParameter


@dataclass(frozen=True)
class Cells:
    """Values of cells whose times are known, and the curves that times are read with."""

    unspliced: np.ndarray
    spliced: np.ndarray
    time: np.ndarray
    curves: Curves

    def genes(self, n: int) -> Cells:
        """The first n genes."""
        c = self.curves
        return Cells(
            self.unspliced[:, :n],
            self.spliced[:, :n],
            self.time,
            Curves(c.theta[:n], c.unspliced_scatter[:n], c.spliced_scatter[:n], c.states),
        )


def inductions(n_genes: int, rng: Generator) -> np.ndarray:
    """Genes that are switched on at time 0 and are under way all the time: rates around 2 per clock."""
    theta = draw_theta(["induction"] * n_genes, LogNormalRates(beta=3.0, gamma=2.0, sd=0.4), rng)
    theta[:, P.T_ON], theta[:, P.LOG_LEVEL_0], theta[:, P.LOG_DURATION] = 0.0, -12.0, np.log(2.0)
    return theta


def any_shape(n_genes: int, rng: Generator) -> np.ndarray:
    """Genes of every kind, with switches anywhere on the clock: mostly at rest."""
    return draw_theta(GeneMix(0.35, 0.2, 0.3, 0.15, 0.0).draw(n_genes, rng), LogNormalRates(), rng)


def observe(theta: np.ndarray, rng: Generator, distort: Callable | None = None, means: tuple | None = None) -> Cells:
    """Noise of the same size for every gene, relative to its mean; ``distort`` draws another kind of it."""
    time = rng.uniform(0, 1, CELLS)
    u, s = (curve.T for curve in switch_means(theta, time))
    sd = NOISE * u.mean(axis=0), NOISE * s.mean(axis=0)
    curves = Curves(theta, sd[0] ** 2, sd[1] ** 2, STATES)
    if means is not None:
        u, s = (np.stack([np.interp(time, means[0], m) for m in layer], axis=1) for layer in means[1:])
    if distort is not None:
        return Cells(*distort(u, s, sd, rng), time, curves)
    return Cells(u + sd[0] * rng.normal(size=u.shape), s + sd[1] * rng.normal(size=s.shape), time, curves)


def predictions(cells: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of each cell's time: inverse-variance mean of explicit times, and Fisher information."""
    genes = GeneTimes.of(cells.curves)
    at = np.clip(np.rint(cells.time * (len(STATES.times) - 1)).astype(int), 0, len(STATES.times) - 1)
    du, ds = switch_velocity(cells.curves.theta, cells.time)
    fisher = (du**2 / cells.curves.unspliced_scatter[:, None] + ds**2 / cells.curves.spliced_scatter[:, None]).sum(0)
    delta = genes.precision.sum(axis=0)[at]
    return tuple(1 / np.sqrt(np.maximum(information, 12.0)) for information in (delta, fisher))


def errors(cells: Cells) -> dict[str, np.ndarray]:
    """Errors of explicit, averaged, and of exact times."""
    return {
        "explicit": Explicit().times(cells.unspliced, cells.spliced, cells.curves)[0] - cells.time,
        "exact": Exact().times(cells.unspliced, cells.spliced, cells.curves)[0] - cells.time,
    }


def plain_mean(cells: Cells) -> float:
    """Median error of the mean of the genes' explicit times, weighted by their precision and nothing else."""
    times, precision = GeneTimes.of(cells.curves).read(cells.unspliced, cells.spliced)
    total = precision.sum(axis=1)
    mean = np.where(total > 0, (precision * times).sum(axis=1) / np.maximum(total, 1e-300), times.mean(axis=1))
    return float(np.median(np.abs(mean - cells.time)))


def numbers_of_genes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Error by number of genes, for both kinds of genes, as a table for reading and one for drawing."""
    rows = []
    for kind, draw in (("under way", inductions), ("any shape", any_shape)):
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            everything = observe(draw(max(NUMBERS), rng), rng)
            for n in NUMBERS:
                cells = everything.genes(n)
                found = errors(cells)
                for (name, error), sd in zip(found.items(), predictions(cells), strict=True):
                    row = {"genes": kind, "n": n, "how": name, "error": np.median(np.abs(error))}
                    far = np.mean(np.abs(error) > 0.1)
                    rows.append(row | {"predicted": MEDIAN * np.median(sd), "far": far, "plain": plain_mean(cells)})
    frame = pd.DataFrame(rows).groupby(["genes", "n", "how"], sort=False).mean(numeric_only=True).reset_index()
    wide = frame.pivot(index=["genes", "n"], columns="how", values=["error", "predicted", "far", "plain"]).reset_index()
    wide = wide.sort_values(["genes", "n"], ascending=[False, True])
    shown = pd.DataFrame({"genes": wide["genes"], "number": wide["n"].astype(str)})
    for how in ("explicit", "exact"):
        if how == "explicit":
            shown["explicit, plain mean"] = wide["plain", how]
        shown[f"{how}: error"] = wide["error", how]
        shown["delta method" if how == "explicit" else "Fisher"] = wide["predicted", how]
        shown[f"{how}: off by > 0.1"] = [f"{x:.1%}" for x in wide["far", how]]
    return shown, frame


def towards_rest() -> pd.DataFrame:
    """One induced gene: error of its explicit times by how far it has come, in its own units of time."""
    rng = np.random.default_rng(0)
    beta, gamma, alpha = 1.0, 0.6, 1.0
    rows = []
    for tau in (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0):
        u, s = (float(x[0]) for x in _truth(np.array([tau]), alpha, beta, gamma))
        sd_u, sd_s = 0.05 * alpha / beta, 0.05 * alpha / gamma
        seen_u, seen_s = u + sd_u * rng.normal(size=20000), s + sd_s * rng.normal(size=20000)
        by_u = time_from_unspliced(seen_u, 0.0, alpha, beta, longest=20.0)
        by_w = time_from_spliced(seen_u, seen_s, 0.0, 0.0, alpha, beta, gamma, longest=20.0)
        slope_u, slope_s = alpha - beta * u, beta * u - gamma * s
        slope_w = (gamma - beta) * slope_s - beta * slope_u
        sd_w = np.hypot((gamma - beta) * sd_s, beta * sd_u)
        rows.append(
            {
                "beta tau": f"{tau:g}",
                "from u: error": np.median(np.abs(by_u - tau)),
                "delta method, u": MEDIAN * sd_u / slope_u,
                "from w: error": np.median(np.abs(by_w - tau)),
                "delta method, w": MEDIAN * sd_w / abs(slope_w),
                "no inverse (u)": f"{np.mean((by_u == 0) | (by_u == 20)):.0%}",
                "Fisher, u and s": MEDIAN / np.hypot(slope_u / sd_u, slope_s / sd_s),
            }
        )
    return pd.DataFrame(rows)


def equal_rates() -> pd.DataFrame:
    """Digits of the explicit time from s~ as published and as built here, by how near gamma comes to beta."""
    rows = []
    tau, alpha, beta = np.linspace(0.1, 3.0, 200), 2.0, 1.0
    for away in (1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-12, 0.0):
        gamma = beta * (1 + away)
        row: dict[str, str] = {"gamma/beta - 1": f"{away:g}"}
        for kind in (np.float64, np.float32):
            t, a, b, g = tau.astype(kind), kind(alpha), kind(beta), kind(gamma)
            u, s = (np.asarray(x, dtype=kind) for x in _truth(tau, alpha, beta, gamma))
            with np.errstate(all="ignore"):
                published = _published(u, s, a, b, g)
                ours = time_from_spliced(u, s, kind(0), kind(0), a, b, g, longest=20.0)
            name = np.dtype(kind).name
            row[f"s~, {name}"] = _worst(published, t)
            row[f"w, {name}"] = _worst(ours, t)
        rows.append(row)
    return pd.DataFrame(rows)


def _truth(tau: np.ndarray, alpha: float, beta: float, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    return unspliced(tau, 0.0, alpha, beta), spliced(tau, 0.0, 0.0, alpha, beta, gamma)


def _published(u: np.ndarray, s: np.ndarray, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Time from s~ by equations 9 to 11 of Bergen et al. 2020 as they stand, from u0 = s0 = 0."""
    ratio = beta / (gamma - beta)
    at_rest = alpha / gamma - ratio * alpha / beta
    return -np.log((s - ratio * u - at_rest) / (0 - at_rest)) / gamma


def _worst(found: np.ndarray, truth: np.ndarray) -> str:
    if not np.all(np.isfinite(found)):
        return "not a number"
    return f"{np.max(np.abs(found / truth - 1)):.0e}"


def bursts(u: np.ndarray, s: np.ndarray, _: tuple, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gamma-distributed factors, of one burst for both layers of a gene in a cell; relative sd as the noise's."""
    shape = 1 / NOISE**2
    return tuple(layer * factor for layer, factor in zip((u, s), _shared(shape, u.shape, rng), strict=True))


def _shared(shape: float, size: tuple, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two gamma factors of mean 1 with a correlation of 0.7."""
    both = rng.gamma(0.7 * shape, 1 / shape, size)
    return tuple(both + rng.gamma(0.3 * shape, 1 / shape, size) for _ in range(2))


def outliers(u: np.ndarray, s: np.ndarray, sd: tuple, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """The noise assumed, but 3 % of the values are off by ten standard deviations."""
    off = [np.where(rng.uniform(size=u.shape) < 0.03, 10.0, 1.0) * rng.normal(size=u.shape) for _ in range(2)]
    return u + sd[0] * off[0], s + sd[1] * off[1]


def own_pace(u: np.ndarray, s: np.ndarray, sd: tuple, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each gene in each cell expressed by a factor of its own, log-normal with sd 0.5, the same in both layers."""
    factor = rng.lognormal(0, 0.5, u.shape)
    return u * factor + sd[0] * rng.normal(size=u.shape), s * factor + sd[1] * rng.normal(size=s.shape)


def drifting(theta: np.ndarray, rng: Generator, together: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves when rates change along the clock, by small steps with rates constant in each: ``(genes, times)``.

    Rates of splicing and degradation drift by a factor over the clock: of 1/2 for all genes, or log-normal with sd 0.5.
    """
    grid = np.linspace(0, 1, 401)
    n = len(theta)
    factor = np.full(n, 0.5) if together else rng.lognormal(0, 0.5, n)
    value = np.exp(theta)
    gamma, beta = value[:, P.LOG_GAMMA], value[:, P.LOG_BETA]
    start, stop = theta[:, P.T_ON], theta[:, P.T_ON] + value[:, P.LOG_DURATION]
    u, s = switch_means(theta, np.zeros(1))
    u, s = u[:, 0] / value[:, P.LOG_SCALING], s[:, 0]
    out = [(u, s)]
    for t in grid[:-1] + 0.5 * (grid[1] - grid[0]):
        level = np.where(t < start, P.LOG_LEVEL_0, np.where(t < stop, P.LOG_LEVEL_1, P.LOG_LEVEL_2))
        alpha = value[np.arange(n), level] * gamma
        pace = factor**t
        u, s = (
            unspliced(grid[1], u, alpha, beta * pace),
            spliced(grid[1], u, s, alpha, beta * pace, gamma * pace),
        )
        out.append((u, s))
    scaling = value[:, P.LOG_SCALING, None]
    return grid, np.stack([u for u, _ in out], axis=1) * scaling, np.stack([s for _, s in out], axis=1)


def violations() -> pd.DataFrame:
    """Errors where the model that times are read with is not that of the cells."""
    kinds: dict[str, Callable[[np.ndarray, Generator], Cells]] = {
        "none": lambda theta, rng: observe(theta, rng),
        "bursts: gamma noise, u and s correlated 0.7": lambda theta, rng: observe(theta, rng, bursts),
        "3 % of values off by ten sd": lambda theta, rng: observe(theta, rng, outliers),
        "each gene and cell scaled, sd 0.5": lambda theta, rng: observe(theta, rng, own_pace),
        "rates drift, each gene its own way": lambda theta, rng: observe(
            theta, rng, means=drifting(theta, rng, together=False)
        ),
        "rates fall to half, all genes": lambda theta, rng: observe(
            theta, rng, means=drifting(theta, rng, together=True)
        ),
    }
    rows = []
    for name, make in kinds.items():
        for seed in range(SEEDS):
            rng = np.random.default_rng(seed)
            everything = make(any_shape(max(NUMBERS), rng), rng)
            for n in (30, 300):
                cells = everything.genes(n)
                fisher = MEDIAN * np.median(predictions(cells)[1])
                for how, error in errors(cells).items():
                    rows.append(
                        {
                            "violation": name,
                            "n": n,
                            "how": how,
                            "error": np.median(np.abs(error)),
                            "bias": np.abs(_bias(error, cells.time)).mean(),
                            "fisher": fisher,
                        }
                    )
    frame = pd.DataFrame(rows).groupby(["violation", "n", "how"], sort=False).mean().reset_index()
    shown = pd.DataFrame({"violation": list(kinds)})
    for n in (30, 300):
        for how in ("explicit", "exact"):
            part = frame[(frame["n"] == n) & (frame["how"] == how)].set_index("violation").loc[shown["violation"]]
            shown[f"{how}, {n} genes"] = part["error"].to_numpy()
        shown[f"Fisher, {n}"] = part["fisher"].to_numpy()
    shown["bias left, exact, 300"] = part["bias"].to_numpy()
    return shown


def _bias(error: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Median error in each tenth of the clock: what no number of genes takes away."""
    tenth = np.minimum((time * 10).astype(int), 9)
    return np.array([np.median(error[tenth == k]) for k in range(10)])


def draw(by_number: pd.DataFrame, rest: pd.DataFrame) -> None:
    """Error by number of genes, and towards rest."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for ax, kind in zip(axes, ("under way", "any shape"), strict=False):
        for how, color in (("explicit", "tab:orange"), ("exact", "tab:blue")):
            part = by_number[(by_number["genes"] == kind) & (by_number["how"] == how)]
            ax.loglog(part["n"], part["error"], "o-", color=color, label=how)
            name = "delta method" if how == "explicit" else "Fisher information"
            ax.loglog(part["n"], part["predicted"], "--", color=color, label=name)
        ax.set(xlabel="genes", ylabel="median error of time", title=f"Genes {kind}" if kind[0] == "u" else "Any shape")
    axes[0].legend(frameon=False)
    tau = rest["beta tau"].astype(float)
    for kind, color in (("u", "tab:orange"), ("w", "tab:green")):
        axes[2].loglog(tau, rest[f"from {kind}: error"], "o-", color=color, label=f"explicit, from {kind}")
        axes[2].loglog(tau, rest[f"delta method, {kind}"], "--", color=color, label="delta method")
    axes[2].loglog(tau, rest["Fisher, u and s"], ":", color="tab:blue", label="Fisher, u and s")
    axes[2].set(xlabel="time since the switch, 1/beta", ylabel="median error, 1/beta", title="One gene towards rest")
    axes[2].legend(frameon=False)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    save(figure, "explicit_or_exact")


def main() -> None:
    """Fill the page."""
    watch = Stopwatch()
    shown, by_number = numbers_of_genes()
    rest = towards_rest()
    wrong = violations()
    draw(by_number, rest)
    fill(
        "explicit_or_exact",
        {
            "numbers": table(shown),
            "rest": table(rest),
            "equal": table(equal_rates()),
            "violations": table(wrong),
            "made": f"{CELLS:,} cells, {SEEDS} seeds (0 to {SEEDS - 1}), noise {NOISE} of each gene's mean; "
            f"{watch.seconds:.0f} s.",
        },
    )


if __name__ == "__main__":
    main()
