"""What the stages of the two-stage EM buy, and whether one time per cell bends the rates.

    python docs/studies/two_stages.py     # some minutes; fills two_stages.md and its figures

All variants run in the same loop from the same curves: those that fit times off by a tenth of the clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from _page import Stopwatch, fill, save, table
from anndata import AnnData
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim
from velotime.inference import CellLabels, Observations, SoftParameters
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.model.mstep import FIRST_DAMPING
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.sums import sums_at
from velotime.inference.states import States
from velotime.inference.two_stage.gene_clock.curves import first_curves
from velotime.inference.two_stage.gene_clock.fit import GeneClock
from velotime.inference.two_stage.gene_clock.kernels.data import LOG_R, CurveData
from velotime.inference.two_stage.gene_clock.problem import ExactTimes, PosteriorTimes
from velotime.inference.two_stage.shared_clock.fit import HardProblem
from velotime.inference.two_stage.shared_clock.placing import Exact, Explicit
from velotime.kinetics import SwitchParameter as P
from velotime.kinetics import switch_means

CELLS, GENES, NOISE, TIMES, OFF = 1000, 100, 0.6, 96, 0.1
SEEDS = 3


def simulated(seed: int, n_genes: int, noise: float, n_cells: int = CELLS) -> AnnData:
    """Normal values around the switch model's curves, their sd a share of each gene's mean."""
    return sim.simulate(
        n_cells,
        n_genes,
        rng=np.random.default_rng(seed),
        noise=sim.GaussianValues(noise),
        depth=sim.LogNormalDepth(0.0),
        genes=sim.GeneMix(0.35, 0.2, 0.3, 0.15, 0.0),
    )


def problem_of(adata: AnnData) -> SoftProblem:
    """The problem that hard and soft share."""
    u, s = (adata.layers[name].toarray() for name in ("unspliced", "spliced"))
    ones, noise, states = np.ones(adata.n_obs), vt.Gaussian(), States.grid(TIMES)
    rows = vt.SoftEM().prior_rows(CellLabels.plain(adata.n_obs))
    cells = Cells.of(Observations(u, s, ones, ones), rows, noise)
    return SoftProblem(cells, states, noise, vt.UniformPrior(), RatePrior(states.layout))


@dataclass
class Recorded:
    """A problem of the loop that records its iterations."""

    problem: Any
    parameters: list[SoftParameters] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def expect(self, parameters: SoftParameters, temperature: float) -> Any:
        """As the problem does."""
        began = time.process_time()
        result = self.problem.expect(parameters, temperature)
        self.seconds.append(time.process_time() - began)
        return result

    def maximise(self, parameters: SoftParameters, statistics: Any, iteration: int) -> SoftParameters:
        """As the problem does."""
        self.parameters.append(self.problem.maximise(parameters, statistics, iteration))
        return self.parameters[-1]


def run(problem: Any, first: SoftParameters, longest: int, tolerance: float) -> tuple[Recorded, Run]:
    """The loop without annealing."""
    recorded = Recorded(problem)
    statistics, _ = recorded.expect(first, 1.0)
    return recorded, run_em(recorded, first, statistics, Schedule(0, 1.0, longest, tolerance))


def variants(problem: SoftProblem, first: SoftParameters, tolerance: float = 2e-3) -> dict[str, tuple[list, Run]]:
    """Every variant from the same curves: what went through the loop, and how it ended."""
    explicit, exact = HardProblem(problem, Explicit()), HardProblem(problem, Exact())
    only = run(explicit, first, 20, tolerance)
    last = run(exact, first, 60, tolerance)
    short = run(explicit, first, 3, tolerance)
    then = run(exact, short[1].parameters, 60, tolerance)
    soft = run(problem, first, 60, tolerance)
    return {
        "explicit only": ([only[0]], only[1]),
        "exact only": ([last[0]], last[1]),
        "explicit, then exact": ([short[0], then[0]], then[1]),
        "soft posterior": ([soft[0]], soft[1]),
    }


def errors(adata: AnnData, problem: SoftProblem, ended: Run) -> dict[str, float]:
    """Of time (after a straight line, as the clock is relative) and of gamma/beta; and the marginal likelihood."""
    truth = adata.obs["true_time"].to_numpy()
    when = time_and_lineage(problem, ended.parameters)[0]
    if hasattr(ended.statistics, "time"):
        when = np.empty(len(truth))
        when[problem.cells.order] = ended.statistics.time
    line = np.polyval(np.polyfit(when, truth, 1), when)
    marginal = problem.expect(ended.parameters, 1.0)[1]
    return {
        "Spearman of time": spearmanr(when, truth).statistic,
        "error of time": float(np.median(np.abs(line - truth))),
        "gamma/beta": ratio_error(adata, ended.parameters),
        "at the times": ended.bound if hasattr(ended.statistics, "time") else np.nan,
        "marginal": marginal,
    }


def ratio_error(adata: AnnData, parameters: SoftParameters) -> float:
    """Median |log error| of gamma/beta."""
    found = parameters.theta[:, 1] - parameters.theta[:, 0]
    return float(np.median(np.abs(found - np.log(adata.var["true_gamma"] / adata.var["true_beta"]))))


def start(adata: AnnData, problem: SoftProblem, off: float, seed: int) -> SoftParameters:
    """Curves that fit times which are off by so much; settled at these times."""
    truth = adata.obs["true_time"].to_numpy()[problem.cells.order]
    when = np.clip(truth + np.random.default_rng(seed).normal(0, off, len(truth)), 0, 1)
    cells = problem.cells
    statistics = sums_at(cells.unspliced.values, cells.spliced.values, when, problem.states.n_states)
    parameters = problem.first(statistics)
    for iteration in range(15):
        parameters = problem.maximise(parameters, statistics, iteration)
    return replace(parameters, damping=np.full(len(parameters.theta), FIRST_DAMPING))


def stages() -> tuple[pd.DataFrame, dict[str, list[np.ndarray]]]:
    """The variants side by side, and how curves change from iteration to iteration."""
    rows, changes = [], {}
    for seed in range(SEEDS):
        adata = simulated(seed, GENES, NOISE)
        problem = problem_of(adata)
        first = start(adata, problem, OFF, seed)
        for name, (records, ended) in variants(problem, first).items():
            parameters = [p for record in records for p in record.parameters]
            seconds = sum(sum(record.seconds) for record in records)
            row = {"variant": name, "iterations": len(parameters), "E-steps, s": seconds}
            rows.append(row | errors(adata, problem, ended))
            change = [_change(one, other) for one, other in zip([first, *parameters], parameters, strict=False)]
            changes.setdefault(name, []).append(np.array(change))
    frame = pd.DataFrame(rows).groupby("variant", sort=False).mean().reset_index()
    frame["iterations"] = [f"{x:.0f}" for x in frame["iterations"]]
    frame["at the times"] = [f"{x:.2f}" if np.isfinite(x) else "" for x in frame["at the times"]]
    frame["marginal"] = [f"{x:.2f}" for x in frame["marginal"]]
    frame["Spearman of time"] = [f"{x:.4f}" for x in frame["Spearman of time"]]
    return frame, changes


def _change(one: SoftParameters, other: SoftParameters) -> float:
    """Median change of log beta and log gamma from one iteration to the next."""
    return float(np.median(np.abs(one.theta[:, :2] - other.theta[:, :2])))


def convergence() -> tuple[pd.DataFrame, list[tuple[str, np.ndarray, np.ndarray]]]:
    """Hard and soft to convergence, from the curves of the true times: what happens to gamma/beta."""
    rows, paths = [], []
    for n_genes in (10, 30, 100):
        for noise in (0.3, 0.6, 1.0):
            found = []
            for seed in range(SEEDS):
                adata = simulated(seed, n_genes, noise)
                problem = problem_of(adata)
                first = start(adata, problem, 0.0, seed)
                exact = HardProblem(problem, Exact())
                hard, hard_end = run(exact, first, 40, 0.0)
                soft, soft_end = run(problem, first, 40, 0.0)
                row = {"true times": ratio_error(adata, first)}
                for name, record, ended in (("hard", hard, hard_end), ("soft", soft, soft_end)):
                    row[f"{name}, 3 iterations"] = ratio_error(adata, record.parameters[2])
                    row[f"{name}, 40"] = ratio_error(adata, record.parameters[-1])
                    row[f"marginal, {name}"] = problem.expect(ended.parameters, 1.0)[1]
                    path = np.array([ratio_error(adata, p) for p in record.parameters])
                    if noise == NOISE and seed == 0:
                        paths.append((f"{name}, {n_genes} genes", path, ended.trace.bound))
                row["at the times, gained"] = hard_end.bound - exact.expect(first, 1.0)[1]
                found.append(row)
            mean = pd.DataFrame(found).mean().to_dict()
            rows.append({"genes": str(n_genes), "noise": str(noise), **mean})
    frame = pd.DataFrame(rows)
    frame["marginal, soft - hard"] = [
        f"{s - h:+.2f}" for s, h in zip(frame.pop("marginal, soft"), frame.pop("marginal, hard"), strict=True)
    ]
    frame["at the times, gained"] = [f"{x:+.2f}" for x in frame["at the times, gained"]]
    return frame, paths


def own_clocks() -> pd.DataFrame:
    """One clock per gene, on scVelo's model: error of gamma/beta by iterations, hard and soft."""
    rows = []
    for name, noise, averaged in (
        ("values, noise 0.3", 0.3, 1),
        ("values, noise 0.6", 0.6, 1),
        ("noise 0.6 averaged over 30 draws", 0.6, 30),
    ):
        for seed in range(SEEDS):
            observations, ratio = one_switch(np.random.default_rng(seed), noise / np.sqrt(averaged))
            data = CurveData.of(observations)
            first, _ = first_curves(data)
            for how, last in (("hard", ExactTimes()), ("soft", PosteriorTimes())):
                for longest in (4, 16, 100):
                    stages = list(GeneClock(last=last, explicit_iterations=0, max_iterations=longest).run(data, first))
                    best = stages[-1]
                    rows.append(
                        {
                            "data": name,
                            "times": how,
                            "at most": str(longest),
                            "iterations": sum(len(stage.trace.bound) for stage in stages),
                            "log-likelihood per cell and gene": best.value.sum() / data.n_cells / data.n_genes,
                            "gamma/beta": float(np.median(np.abs(best.curves.theta[:, LOG_R] - ratio))),
                        }
                    )
    frame = pd.DataFrame(rows).groupby(["data", "times", "at most"], sort=False).mean().reset_index()
    frame["iterations"] = [f"{x:.0f}" for x in frame["iterations"]]
    return frame.drop(columns="at most")


def one_switch(rng: np.random.Generator, noise: float) -> tuple[Observations, np.ndarray]:
    """Genes that are switched on from nothing at time 0 and off again, and their log gamma/beta."""
    beta, gamma = rng.lognormal(np.log(6), 0.4, GENES), rng.lognormal(np.log(4), 0.4, GENES)
    theta = np.zeros((GENES, 8))
    theta[:, P.LOG_BETA], theta[:, P.LOG_GAMMA] = np.log(beta), np.log(gamma)
    theta[:, [P.LOG_LEVEL_0, P.LOG_LEVEL_2]] = -12.0
    theta[:, P.LOG_DURATION] = np.log(rng.uniform(0.2, 0.7, GENES))
    means = switch_means(theta, rng.uniform(0, 1, CELLS))
    u, s = (mean.T + noise * mean.mean(axis=1) * rng.normal(size=mean.T.shape) for mean in means)
    return Observations(u, s, np.ones(CELLS), np.ones(CELLS)), np.log(gamma / beta)


def cost() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Seconds of processor time of one E-step by number of genes, and how they grow."""
    rows = []
    for n_genes in (30, 100, 300, 1000):
        adata = simulated(0, n_genes, NOISE)
        problem = problem_of(adata)
        parameters = start(adata, problem, 0.0, 0)
        row: dict[str, Any] = {"genes": n_genes}
        for name, one in (
            ("explicit", HardProblem(problem, Explicit())),
            ("exact", HardProblem(problem, Exact())),
            ("soft posterior", problem),
        ):
            one.expect(parameters, 1.0)
            seconds = []
            for _ in range(5):
                began = time.process_time()
                one.expect(parameters, 1.0)
                seconds.append(time.process_time() - began)
            row[name] = float(np.median(seconds))
        rows.append(row)
    frame = pd.DataFrame(rows)
    slopes = {name: np.polyfit(np.log(frame["genes"]), np.log(frame[name]), 1)[0] for name in frame.columns[1:]}
    shown = pd.DataFrame({"genes": [f"{n:,}" for n in frame["genes"]]})
    for name in frame.columns[1:]:
        shown[f"{name}, s"] = frame[name]
        shown[f"{name}, ns a value"] = frame[name] / (2 * CELLS * frame["genes"]) * 1e9
    shown.loc[len(shown)] = ["exponent of genes", *(v for name in slopes for v in (slopes[name], np.nan))]
    return shown.fillna(""), frame


def draw(changes: dict[str, list[np.ndarray]], paths: list[tuple[str, np.ndarray, np.ndarray]], costs: pd.DataFrame):
    """Change of the rates, error of gamma/beta on the way to convergence, seconds per E-step."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for name, change in changes.items():
        axes[0].semilogy(np.arange(1, len(change[0]) + 1), change[0], ".-", label=name)
    axes[0].set(xlabel="iteration", ylabel="median change of log rates", title="Rates settle")
    colors = {"10": "tab:red", "30": "tab:orange", "100": "tab:blue"}
    for name, error, _ in paths:
        how, genes = name.split(", ")
        style = "-" if how == "hard" else "--"
        axes[1].plot(np.arange(1, len(error) + 1), error, style, color=colors[genes.split()[0]], label=name)
    axes[1].set(xlabel="iteration", ylabel="median |log error| of gamma/beta", title="From the curves of true times on")
    axes[1].set_ylim(0, 1.6 * max(error.max() for _, error, _ in paths))
    for name in costs.columns[1:]:
        axes[2].loglog(costs["genes"], costs[name], "o-", label=name)
    axes[2].set(xlabel="genes", ylabel="processor seconds per E-step", title=f"{CELLS:,} cells")
    for ax in axes:
        ax.legend(frameon=False, fontsize=8, ncols=2 if ax is axes[1] else 1)
        ax.spines[["top", "right"]].set_visible(False)
    save(figure, "two_stages")


def main() -> None:
    """Fill the page."""
    watch = Stopwatch()
    shown, changes = stages()
    print(shown.to_string(), watch.seconds, flush=True)
    converged, paths = convergence()
    print(converged.to_string(), watch.seconds, flush=True)
    own = own_clocks()
    print(own.to_string(), watch.seconds, flush=True)
    costs, raw = cost()
    draw(changes, paths, raw)
    fill(
        "two_stages",
        {
            "made": f"{CELLS:,} cells; stages: {GENES} genes, noise {NOISE} of each gene's mean; {SEEDS} seeds "
            f"(0 to {SEEDS - 1}); {watch.seconds:.0f} s.",
            "stages": table(shown),
            "convergence": table(converged),
            "own": table(own),
            "cost": table(costs),
        },
    )


if __name__ == "__main__":
    main()
