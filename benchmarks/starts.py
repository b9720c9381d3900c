"""Does the default start end where a start at the truth ends? Simulated cells, 1,000 x 300, means 0.3 and 1.

    python benchmarks/starts.py [--seeds 10] [--times clumped uniform] [--noise poisson]

A start at the truth is the main run of the same method, with the same schedule, from the true times in place of those
of the search. ``behind`` is by how much the default's log-likelihood is below it, in percent (target: 0.01). ``cold``
is the same for a run from the truth without annealing, which cannot leave the truth's own optimum. Time errors are rms
after a linear regression on the truth, as a relative clock has neither origin nor unit; ``ratio`` is that of the
default over that of the better start at the truth (target: 1.5).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Start, assignment

NOISE = {
    "negative-binomial": (vt.NegativeBinomial(), sim.NegativeBinomialCounts()),
    "poisson": (vt.Poisson(), sim.PoissonCounts()),
}
MOST_BEHIND = 0.01  # percent of the log-likelihood
MOST_ERROR = 1.5  # times the rms error of a start at the truth
TIMES = {
    "clumped": sim.ClumpedTimes(),
    "uniform": sim.UniformTimes(),
    "gap": sim.GappedTimes(),
    "exponential": sim.ExponentialTimes(),
}


@dataclass(frozen=True)
class Ending:
    """Where a run ended."""

    log_likelihood: float
    time: np.ndarray


def start_at_truth(method: vt.SoftEM, observations: Observations, true_time: np.ndarray, *, cold: bool) -> Ending:
    """The main run from the true times."""
    rows = method.prior_rows(vt.inference.CellLabels.plain(observations.n_cells))
    problem = method._problem(Cells.of(observations, rows, method.noise), 1)
    statistics = problem.statistics_of(assignment(Start(0, "truth", true_time), problem.states))
    first = problem.first(statistics)
    first = replace(first, prior=problem.time_prior.initial(problem.states, 1))
    schedule = Schedule(method.annealing, method.hottest, method.max_iterations, method.tolerance)
    if cold:
        schedule = Schedule(0, 1.0, method.max_iterations, method.tolerance)
        problem = replace(problem, make_room=None, clock_moves=frozenset(), restarts=frozenset())
    return ending(problem, run_em(problem, first, problem.expect(first, schedule.hottest)[0], schedule))


def ending(problem: SoftProblem, run: Run) -> Ending:
    penalty = float(problem.rate_prior.penalty(run.parameters.theta).sum())
    return Ending(run.bound * problem.cells.n_cells + penalty, time_and_lineage(problem, run.parameters)[0])


def rms(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Error of times once origin and unit agree."""
    return float(np.sqrt(np.mean((np.polyval(np.polyfit(estimate, truth, 1), estimate) - truth) ** 2)))


def row(noise: str, name: str, seed: int) -> dict[str, float | str]:
    model, counts = NOISE[noise]
    method = vt.SoftEM(noise=model)
    adata = sim.simulate(1000, 300, rng=np.random.default_rng(seed), times=TIMES[name], noise=counts)
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False)
    wall = time.perf_counter() - began
    truth = np.asarray(adata.obs["true_time"])
    reading = read_observations(adata, counts=method.noise.counts)
    heated, cold = (start_at_truth(method, reading.observations, truth, cold=cold) for cold in (False, True))
    best = max(heated, cold, key=lambda one: one.log_likelihood)
    found = float(adata.uns["recover_dynamics"]["log_likelihood"])
    errors = [rms(np.asarray(one), truth) for one in (adata.obs["latent_time"], heated.time, cold.time)]
    return {
        "noise": noise,
        "times": name,
        "seed": seed,
        "log-likelihood": round(found),
        "behind %": 100 * (heated.log_likelihood - found) / abs(found),
        "cold %": 100 * (cold.log_likelihood - found) / abs(found),
        "Spearman": spearmanr(adata.obs["latent_time"], truth).statistic,
        "rms": errors[0],
        "rms truth": errors[1],
        "rms cold": errors[2],
        "ratio": errors[0] / (errors[1] if best is heated else errors[2]),
        "iterations": adata.uns["recover_dynamics"]["iterations"],
        "seconds": wall,
    }


def verdict(rows: pd.DataFrame) -> str:
    """How many seeds reach both targets."""
    near = rows[["behind %", "cold %"]].max(axis=1) <= MOST_BEHIND
    right = rows["ratio"] <= MOST_ERROR
    return f"within {MOST_BEHIND} %: {near.sum()} of {len(rows)}; rms within {MOST_ERROR} times: {right.sum()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--times", nargs="+", choices=list(TIMES), default=list(TIMES))
    parser.add_argument("--noise", nargs="+", choices=list(NOISE), default=list(NOISE))
    arguments = parser.parse_args()
    for noise, name in product(arguments.noise, arguments.times):
        rows = []
        for seed in range(arguments.seeds):
            rows.append(row(noise, name, seed))
            print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False, header=seed == 0), flush=True)
        print(verdict(pd.DataFrame(rows)), flush=True)


if __name__ == "__main__":
    main()
