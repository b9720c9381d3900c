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
from scipy.stats import t
from sklearn.metrics import roc_auc_score

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_for, read_labels
from velotime.inference import Restored, speeds_of_samples
from velotime.inference.curves.circle import PERIODIC
from velotime.inference.em import Schedule, run_em
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.model.samples.problem import problem_of
from velotime.inference.states import States
from velotime.kinetics import WHOLE_TURN, SwitchParameter, periodic_means

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "studies"))
from _page import FOLDER, fill, table

ROWS = FOLDER / "cycles.csv"
N_CELLS, N_GENES = 500, 100
COUNTS = {"mean_unspliced": 0.3, "mean_spliced": 1.0}
TOTALS = {
    "initial_size_unspliced": 1500,
    "initial_size_spliced": 5000,
}  # counts of a cell in all genes
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
UNASKED = {
    **CYCLES,
    **{
        f"uniform, {share:.0%} leave": (simulated(cycle=sim.Cycling(not_cycling=share)), vt.SoftEM(clock=vt.Cycle()))
        for share in (0.1, 0.3)
    },
}
ARCS = {
    f"{span:.0%} of a turn": simulated(cycle=sim.Cycling(), times=sim.GappedTimes(span, 1.0)) for span in (0.5, 0.7)
}
SPEEDS = {"alike": 1.0, "1.3 times slower": 1.3}  # second condition of 3 + 3 samples
DESIGN = np.stack([np.ones(6), np.repeat([0.0, 1.0], 3)], axis=1)
TIMES, ITERATIONS = 48, 15  # of fits that begin at the truth
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


PHASES = (np.arange(256) + 0.5) / 256
BLOCK = 50  # cells, for which a table over phases and genes is made at a time


def true_means(var: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Means of both layers at ``PHASES``, ``(genes, phases)`` each, by the parameters that counts were drawn with."""
    p = SwitchParameter
    theta = np.zeros((len(var), 7))
    for name, at in (("beta", p.LOG_BETA), ("gamma", p.LOG_GAMMA), ("scaling", p.LOG_SCALING)):
        theta[:, at] = np.log(var[f"true_{name}"])
    theta[:, p.LOG_LEVEL_0], theta[:, p.LOG_LEVEL_1] = np.log(var["true_level_0"]), np.log(var["true_level_1"])
    theta[:, p.T_ON] = var["true_t_on"]
    duration = np.log(var["true_t_off"] - var["true_t_on"])
    theta[:, p.LOG_DURATION] = np.where(var["true_class"] == "smooth", WHOLE_TURN, duration)
    return periodic_means(theta, PHASES)


def oracle(kind: str, seed: int) -> dict[str, Any]:
    """Error of phases by true curves, depths and dispersion: what counts of these cells can tell at best."""
    adata = CYCLES[kind][0](np.random.default_rng(seed))
    dispersion, depth = sim.NegativeBinomialCounts().dispersion, adata.obs["true_depth"].to_numpy()
    score = np.tile(np.log(2.0) * -PHASES if kind == "growing cycle" else 0.0 * PHASES, (adata.n_obs, 1))
    for layer, means in zip(("unspliced", "spliced"), true_means(adata.var), strict=True):
        counts = adata.layers[layer].toarray()
        for first in range(0, adata.n_obs, BLOCK):
            some = slice(first, first + BLOCK)
            mean = means.T * depth[some, None, None]  # cells, phases, genes
            spread = np.log1p(dispersion * mean)
            score[some] += (
                np.einsum("ctg,cg->ct", np.log(mean) - spread, counts[some]) - spread.sum(axis=2) / dispersion
            )
    posterior = np.exp(score - score.max(axis=1, keepdims=True))
    adata.obs["cycle_phase"] = np.angle(posterior @ np.exp(2j * np.pi * PHASES)) / (2 * np.pi) % 1
    return {"what": "oracle", "error": vt.metrics.circular_error(adata, "true_phase").error}


def of_samples(kind: str, seed: int) -> ad.AnnData:
    """Cycling cells of 3 + 3 samples that differ in captures and composition, and in speed by condition."""
    samples = sim.Samples((3, 3), speed=SPEEDS[kind], replicates=0.2, composition=1.0, condition_composition=1.5)
    rng = np.random.default_rng(seed)
    adata = sim.simulate(600, 60, rng=rng, samples=samples, cycle=sim.Cycling(), mean_unspliced=0.6, mean_spliced=2.0)
    for name, mean in TOTALS.items():
        adata.obs[name] = rng.poisson(mean * adata.obs["true_depth"]).astype(float)
    return adata


def speed(kind: str, seed: int) -> dict[str, Any]:
    """How many times slower the second condition runs, and how well phases are known."""
    adata, start = of_samples(kind, seed), time.process_time()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(), samples="sample"), rng=seed, progress=False)
    found = vt.tl.compare_conditions(adata, "condition").speed.iloc[0]
    return {
        "what": "speed",
        "error": vt.metrics.circular_error(adata, "true_phase").error,
        **{name: float(found[name]) for name in ("times_slower", "low", "high", "p_value")},
        **{f"{name}_begun": value for name, value in speed_begun_at_the_truth(adata).items()},
        "true": SPEEDS[kind],
        "seconds": time.process_time() - start,
    }


def speed_begun_at_the_truth(adata: ad.AnnData) -> dict[str, float]:
    """The same of a fit that begins with cells at their true phases, as those of the study of samples do."""
    method, n = vt.SoftEM(clock=vt.Cycle(), samples="sample"), adata.n_obs
    rows = method.prior_rows(read_labels(adata, method.columns, (), ("unspliced", "spliced")))
    states = States.grid(TIMES, 1, PERIODIC)
    cells = cells_of(read_for(adata, method).observations, rows, method.noise)
    problem = problem_of(cells, states, method.noise, method.time_prior, RatePrior(states.layout, n))
    away = PERIODIC.clock.away(states.time, adata.obs["true_phase"].to_numpy()[:, None])
    first = problem.first(problem.statistics_of(np.eye(TIMES)[np.abs(away).argmin(axis=1)]))
    run = run_em(problem, first, problem.expect(first, 1.0)[0], Schedule(0, 1.0, ITERATIONS, 0.0))
    effect = speeds_of_samples(Restored(problem, run.parameters)).regress(DESIGN)
    log, half = effect.estimate[0, 1], t.ppf(0.975, effect.degrees[0]) * effect.error[0, 1]
    return {name: float(np.exp(at)) for name, at in (("times_slower", log), ("low", log - half), ("high", log + half))}


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


def unasked(kind: str, seed: int) -> dict[str, Any]:
    """What a fit that takes all cells for cycling says of those that do not."""
    make, method = UNASKED[kind]
    adata = make(np.random.default_rng(seed))
    off = adata.obs.get("true_not_cycling", pd.Series(data=False, index=adata.obs_names))
    start = time.process_time()
    vt.tl.recover_dynamics(adata, method=method, rng=seed, progress=False)
    return judged(adata, start) | {
        "what": "unasked",
        "found": float(adata.uns["fit_verdict"]["off_cycle"]),
        "true": float(off.mean()),
    }


def arc(kind: str, seed: int) -> dict[str, Any]:
    """Cells of a part of the cycle, all of which cycle, fitted as if some might not."""
    adata, start = ARCS[kind](np.random.default_rng(seed)), time.process_time()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(not_cycling=True)), rng=seed, progress=False)
    found = float((adata.obs["not_cycling"] > 0.5).mean())
    return judged(adata, start) | {"what": "arc", "found": found, "true": 0.0}


def judged(adata: ad.AnnData, start: float) -> dict[str, Any]:
    """Error, direction and verdict of a fit that began at ``start`` of CPU time."""
    return {
        "error": vt.metrics.circular_error(adata, "true_phase").error,
        "correlation": vt.metrics.circular_correlation(adata, "true_phase").correlation,
        "verdict": str(adata.uns["time_arrow"]["verdict"]),
        "reason": str(adata.uns["time_arrow"]["reason"]),
        "seconds": time.process_time() - start,
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
            yield ("oracle", kind, seed), lambda kind=kind, seed=seed: oracle(kind, seed)
        for kind in UNASKED:
            yield ("unasked", kind, seed), lambda kind=kind, seed=seed: unasked(kind, seed)
        for kind in ARCS:
            yield ("arc", kind, seed), lambda kind=kind, seed=seed: arc(kind, seed)
        for kind in SPEEDS:
            yield ("speed", kind, seed), lambda kind=kind, seed=seed: speed(kind, seed)
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


def _right(own: pd.DataFrame) -> str:
    return f"{(own['correlation'] > 0).sum()} of {len(own)}"


def _clear(own: pd.DataFrame) -> str:
    return f"{(own['verdict'] == 'clear').sum()} of {len(own)}"


def _clear_but_wrong(own: pd.DataFrame) -> int:
    return int(((own["verdict"] == "clear") & (own["correlation"] < 0)).sum())


def of_fits(own: pd.DataFrame, best: pd.Series) -> dict[str, Any]:
    """Of fits of one kind; ``best`` are the errors by true curves."""
    return {
        "seeds": len(own),
        "median error": float(own["error"].median()),
        "by true curves": float(best.median()),
        "largest": float(own["error"].max()),
        "error of the origin": _range(own["origin"]) if own["kind"].iloc[0] == "growing cycle" else "free",
        "direction right": _right(own),
        "called clear": _clear(own),
        "clear but wrong": _clear_but_wrong(own),
        "within the 90 % interval": float(own["covered"].mean()),
        "CPU seconds": float(own["seconds"].median()),
    }


def of_leaving(own: pd.DataFrame) -> dict[str, Any]:
    """Of cells of which some do not cycle."""
    return {
        "seeds": len(own),
        "median error": float(own["error"].median()),
        "of those that cycle, alone": float(own["error_alone"].median()),
        "direction right": _right(own),
        "clear but wrong": _clear_but_wrong(own),
        "least AUC": "none leave" if own["auc"].isna().all() else f"{own['auc'].min():.3f}",
        "found": _range(own["found"]),
        "off by at most": float((own["found"] - own["true"]).abs().max()),
        "CPU seconds": float(own["seconds"].median()),
        "those alone": float(own["seconds_alone"].median()),
    }


def of_unasked(own: pd.DataFrame) -> dict[str, Any]:
    """Of fits that take all cells for cycling, or arcs whose cells all do."""
    return {
        "seeds": len(own),
        "said to fit no state": f"{(own['found'] > 0).sum()} of {len(own)}",
        "their share": _range(own["found"]),
        "truly": float(own["true"].median()),
        "median error": float(own["error"].median()),
        "direction right": _right(own),
        "called clear": _clear(own),
        "clear but wrong": _clear_but_wrong(own),
        "CPU seconds": float(own["seconds"].median()),
    }


def of_speed(own: pd.DataFrame) -> dict[str, Any]:
    """Of speeds of the second condition over the first."""
    true, whole = own["true"].iloc[0], own["times_slower"].notna().sum()

    def holds(by: str) -> str:
        known = own[own[f"low{by}"].notna()]
        return f"{((known[f'low{by}'] < true) & (true < known[f'high{by}'])).sum()} of {len(known)}"

    return {
        "data sets": len(own),
        "true": float(true),
        "begun at the truth": f"{own['times_slower_begun'].median():.3f}",
        "95 % interval holds it": holds("_begun"),
        "whole fits": f"{own['times_slower'].median():.3f}" if whole else "not measured",
        "theirs holds it": holds(""),
        "p < 5 %": f"{(own['p_value'] < 0.05).sum()} of {whole}",
        "median error of phases": float(own["error"].median()),
        "CPU seconds": float(own["seconds"].median()),
    }


def of_verdicts(own: pd.DataFrame) -> dict[str, Any]:
    """How often each verdict was given."""
    names = ("cycle", "trajectory", "clusters", "nothing")
    return {"seeds": len(own)} | {name: int((own["verdict"] == name).sum()) for name in names}


def write() -> None:
    """Fill the page."""
    rows = pd.read_csv(ROWS)
    best = rows[rows["what"] == "oracle"].groupby("kind")["error"]

    def told(what: str, row: Callable[[pd.DataFrame], dict[str, Any]]) -> str:
        groups = rows[rows["what"] == what].groupby("kind", sort=False)
        return table(pd.DataFrame([{"cells": kind} | row(own) for kind, own in groups]))

    pieces = {
        "fits": told("fit", lambda own: of_fits(own, best.get_group(own["kind"].iloc[0]))),
        "leaving": told("leaving", of_leaving),
        "unasked": told("unasked", of_unasked),
        "arcs": told("arc", of_unasked),
        "speed": told("speed", of_speed),
        "verdicts": told("compare", of_verdicts),
    }
    fill("cycles", pieces)


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--what", choices=("fit", "oracle", "leaving", "unasked", "arc", "speed", "compare"))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.write:
        write()
    else:
        measure(range(given.first_seed, given.first_seed + given.seeds), given.data, given.what)


if __name__ == "__main__":
    main()
