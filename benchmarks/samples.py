"""Several samples: times and rates in spite of captures, and how often conditions are found to differ.

    python benchmarks/samples.py [--parts PART ...] [--seeds 20] [--keep FOLDER] [--write]

conditions: 3 + 3 samples of 150 cells x 80 genes, begun with cells at their true times. "batch": samples differ in
capture (sd of log 0.5 unspliced, 0.2 spliced), and in where cells lie, but not by condition. "composition": conditions
differ in where cells lie, and captures are the same. "both", and "changes": both, degradation of each gene differs
between samples (sd of log 0.2), and is twice or half in 20 % of the genes of the second condition. captures: the same
cells with and without captures, fitted in the ways that are in use, root given. cells: power with 1,000 cells in each
sample. speed: 2 x 100 data sets of 3 + 3 samples, both conditions alike or one 1.3 times slower. unequal: 50, 5,000
and 20,000 cells. blocks: ten samples read in blocks. pancreas: unspliced counts of one half thinned, gene by gene.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse, stats

import velotime as vt
from velotime import simulation as sim
from velotime.compute import Sums
from velotime.data import read_for, read_labels
from velotime.data.blocks import sources as of_blocks
from velotime.inference import (
    CONDITION_PARAMETERS,
    Effects,
    Restored,
    SampleRates,
    SampleSpeeds,
    compare_groups,
    composition_of_samples,
    group_sums,
    moderated_effects,
    rates_of_samples,
    speeds_of_samples,
)
from velotime.inference.em import Schedule, run_em
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.model.samples.problem import problem_of
from velotime.inference.states import States

PAGE = Path(__file__).resolve().parents[1] / "docs" / "studies" / "samples.md"
COMPOSITION = {"composition": 1.0, "condition_composition": 1.5}
NO_CAPTURE = {"capture_unspliced": 0.0, "capture_spliced": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "batch": {"composition": 1.0},
    "composition": COMPOSITION | NO_CAPTURE,
    "both": COMPOSITION,
    "changes": COMPOSITION | {"replicates": 0.2, "changed": 0.2},
}
LEVEL = 0.05
COUNTS = {"mean_unspliced": 0.6, "mean_spliced": 2.0}


TOTALS = {"initial_size_unspliced": 1500, "initial_size_spliced": 5000}  # counts of a cell in all genes, on average


def simulated(samples: sim.Samples, n_cells: int, n_genes: int, seed: int, *, panel: bool = False) -> ad.AnnData:
    """Cells with totals over as many genes as real cells have, of which these are some; of a panel, over these only."""
    rng = np.random.default_rng(seed)
    adata = sim.simulate(n_cells, n_genes, rng=rng, samples=samples, **COUNTS)
    for name, mean in {} if panel else TOTALS.items():
        adata.obs[name] = rng.poisson(mean * adata.obs["true_depth"]).astype(float)
    return adata


def fit(adata: ad.AnnData, **settings: Any) -> ad.AnnData:
    """One lineage from the earliest cell on."""
    root = vt.Root(cell=str(adata.obs["true_time"].idxmin()))
    method = vt.SoftEM(root=root, n_lineages=1, start_cells=200, start_genes=40, start_times=16, **settings)
    vt.tl.recover_dynamics(adata, method=method, progress=False, layers=())
    return adata


# ---------------------------------------------------------------------- conditions
DESIGN = np.stack([np.ones(6), np.repeat([0.0, 1.0], 3)], axis=1)
TIMES, ITERATIONS = 48, 15
EDGES = np.linspace(0, 1, 9)


def begun_at_the_truth(adata: ad.AnnData) -> Restored:
    """A fit of all samples that begins with cells at their true times: no search, for many of them."""
    problem, at = problem_at_the_truth(adata)
    first = problem.first(at)
    statistics, _ = problem.expect(first, 1.0)
    return Restored(problem, run_em(problem, first, statistics, Schedule(0, 1.0, ITERATIONS, 0.0)).parameters)


def at_true_times(adata: ad.AnnData) -> Restored:
    """A fit of curves, captures and dispersions to cells that stay at their true times."""
    problem, at = problem_at_the_truth(adata)
    parameters = problem.first(at)
    for iteration in range(ITERATIONS):
        parameters = problem.maximise(parameters, at, iteration)
    return Restored(AtTrueTimes(problem, at), parameters)


def problem_at_the_truth(adata: ad.AnnData) -> tuple[SoftProblem, Sums]:
    """All samples, and sums with cells at their true times."""
    method = vt.SoftEM(samples="sample")
    observations = read_for(adata, method).observations
    rows = method.prior_rows(read_labels(adata, method.columns, (), ("unspliced", "spliced")))
    states = States.grid(TIMES)
    problem = problem_of(
        cells_of(observations, rows, method.noise), states, method.noise, method.time_prior, RatePrior(states.layout)
    )
    at = np.eye(TIMES)[np.abs(adata.obs["true_time"].to_numpy()[:, None] - states.time).argmin(axis=1)]
    return problem, problem.statistics_of(at)


def conditions_of(
    setting: str, seed: int, n_cells: int = 900, kept: Path | None = None, *, panel: bool = False
) -> pd.DataFrame:
    """P-values of all tests of one data set, with what is true."""
    name = f"{setting}{'_panel' if panel else ''}_{n_cells}_{seed}"
    found = kept_arrays(kept, name, lambda: _fitted_to_samples(setting, seed, n_cells, panel=panel))
    effects = {
        what: moderated_effects(found[f"{what}_change"], found[f"{what}_variance"], DESIGN)
        for what in CONDITION_PARAMETERS
    }
    cells = found["cells"] + 0.5
    effects["composition"] = moderated_effects(np.log(cells / cells.sum(axis=0)), 1 / cells, DESIGN)
    table = pd.concat([_tests(name, one) for name, one in effects.items()])
    true, by_cells = found["true"], found["by_cells"]
    table["true_log2_fold"] = np.where(table["parameter"] == "composition", 0.0, true[table["gene"] % 80])
    cells_too = pd.DataFrame({"parameter": "any, cells as replicates", "p_value": by_cells})
    cells_too["q_value"], cells_too["true_log2_fold"] = stats.false_discovery_control(by_cells), true
    return pd.concat([table, cells_too], ignore_index=True).assign(setting=setting, seed=seed)


def _fitted_to_samples(setting: str, seed: int, n_cells: int, *, panel: bool) -> dict[str, np.ndarray]:
    """What tests of conditions are made of: rates of each sample, where its cells are, and what is true."""
    adata = simulated(sim.Samples((3, 3), **SETTINGS[setting]), n_cells, 80, seed, panel=panel)
    fit = begun_at_the_truth(adata)
    true = adata.var["true_changed"] * _sign(adata.varm["true_log_gamma_change"], np.repeat([False, True], 3))
    group = adata.obs["condition"].cat.codes.to_numpy().astype(int)
    (by_cells,) = compare_groups(fit, group_sums(fit, group, 2), [1])
    out = _arrays(rates_of_samples(fit)) | {"cells": composition_of_samples(fit, EDGES)}
    return out | {"true": true.to_numpy(), "by_cells": by_cells.p_value}


def _arrays(rates: SampleRates) -> dict[str, np.ndarray]:
    return {
        f"{what}_{name}": table[what]
        for name, table in (("change", rates.changes), ("variance", rates.variances))
        for what in CONDITION_PARAMETERS
    }


def kept_arrays(folder: Path | None, name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What was fitted to a data set, read where it was kept; tests are made of it again each time."""
    path = None if folder is None else folder / f"{name}.npz"
    if path is not None and path.is_file():
        with np.load(path) as stored:
            return dict(stored)
    found = compute()
    if path is not None:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.npz")
        np.savez(part, **found)
        part.rename(path)
    return found


def _tests(parameter: str, effects: Effects) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "parameter": parameter,
            "gene": np.arange(len(effects.estimate)),
            "log2_fold": effects.estimate[:, 1] / np.log(2),
            "standard_error": effects.error[:, 1] / np.log(2),
            "degrees": effects.degrees,
            "p_value": effects.p_value[:, 1],
        }
    )
    told = table["p_value"].notna()
    table.loc[told, "q_value"] = stats.false_discovery_control(table.loc[told, "p_value"])
    return table


def _sign(change: np.ndarray, later: np.ndarray) -> np.ndarray:
    return np.sign(change[:, later].mean(axis=1) - change[:, ~later].mean(axis=1))


def level_table(tests: pd.DataFrame) -> list[str]:
    """Share of p-values below 5 % where nothing differs, and whether they are uniform."""
    lines = ["| samples differ in | test | tests | p < 5 % | between seeds (sd) | p < 1 % | p < 50 % |"]
    lines.append("| --- | --- |" + " ---: |" * 5)
    null = tests[(tests["setting"] != "changes") & tests["p_value"].notna()]
    for (setting, parameter), own in null.groupby(["setting", "parameter"], sort=False):
        if parameter == "composition" and setting != "batch":
            continue  # conditions do differ in it
        p = own["p_value"]
        spread = own.groupby("seed")["p_value"].agg(lambda one: (one < LEVEL).mean()).std()
        shares = " | ".join(f"{(p < at).mean():.1%}" for at in (LEVEL, 0.01, 0.5)).split(" | ")
        lines.append(
            f"| {setting} | {parameter} | {len(p):,} | {shares[0]} | {spread:.1%} | {shares[1]} | {shares[2]} |"
        )
    return lines


def change_table(tests: pd.DataFrame) -> list[str]:
    """Power, false discoveries and recovered change of degradation rates, samples and cells as replicates."""
    own = tests[(tests["setting"] == "changes") & tests["p_value"].notna()]
    lines = [
        "| replicates | changed genes with p < 5 % | with q < 5 % | false among q < 5 % | unchanged with p < 5 % |"
    ]
    lines.append("| --- |" + " ---: |" * 4)
    for name, parameter in (("samples", "gamma"), ("cells", "any, cells as replicates")):
        one = own[own["parameter"] == parameter]
        changed, found = one["true_log2_fold"] != 0, one["q_value"] < LEVEL
        power = [(one.loc[changed, column] < LEVEL).mean() for column in ("p_value", "q_value")]
        false = (~changed & found).sum() / max(found.sum(), 1)
        wrong = (one.loc[~changed, "p_value"] < LEVEL).mean()
        lines.append(f"| {name} | {power[0]:.0%} | {power[1]:.0%} | {false:.1%} | {wrong:.1%} |")
    return lines


def size_table(tests: pd.DataFrame) -> list[str]:
    """How much of a change is recovered, and how often its interval holds it."""
    own = tests[(tests["setting"] == "changes") & (tests["parameter"] == "gamma") & tests["p_value"].notna()]
    lines = ["| true log2 fold | genes | median estimate | 95 % interval holds it |", "| ---: | ---: | ---: | ---: |"]
    half = stats.t.ppf(0.975, own["degrees"]) * own["standard_error"]
    holds = (own["log2_fold"] - own["true_log2_fold"]).abs() < half
    for fold, one in own.groupby("true_log2_fold"):
        lines.append(
            f"| {fold + 0.0:+.0f} | {len(one):,} | {one['log2_fold'].median():+.2f} | {holds[one.index].mean():.0%} |"
        )
    return lines


def conditions(seeds: int, pieces: dict[str, list[str]], kept: Path | None, settings: list[str]) -> None:
    tables = []
    for setting in settings:
        for seed in range(seeds):
            changed = setting == "changes"  # where nothing changes, depth by the same genes is the harder case
            tables += [conditions_of(setting, seed + 1000 * changed, kept=kept, panel=not changed)]
        print("\n".join(level_table(pd.concat(tables))), flush=True)
    tests = pd.concat(tables, ignore_index=True)
    pieces |= {"level": level_table(tests), "changes": change_table(tests), "sizes": size_table(tests)}


def cells(pieces: dict[str, list[str]], kept: Path | None, seeds: int = 4) -> None:
    """Power with 1,000 cells in each sample; and sizes where depth is told by the same 80 genes."""
    tests = pd.concat([conditions_of("changes", 100 + s, 6000, kept) for s in range(seeds)], ignore_index=True)
    panel = [conditions_of("changes", 100 + s, 6000, kept, panel=True) for s in range(seeds)]
    pieces |= {"many": change_table(tests), "many_sizes": size_table(tests)}
    pieces |= {"panel_sizes": size_table(pd.concat(panel, ignore_index=True))}


# ---------------------------------------------------------------------- sources
class AtTrueTimes:
    """A problem whose E-step knows the times."""

    def __init__(self, problem: SoftProblem, statistics: Sums) -> None:
        self.problem, self.statistics = problem, statistics

    def __getattr__(self, name: str) -> Any:
        return getattr(self.problem, name)

    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[Sums, float]:
        """The same sums whatever the parameters."""
        del parameters, temperature
        return self.statistics, 0.0


def source_of(seed: int, *, panel: bool, known: bool, kept: Path | None) -> pd.DataFrame:
    """Changes of degradation in 40 % of the genes, 500 cells a sample, no captures; at true times if they are known."""
    path = None if kept is None else kept / f"source_{panel}_{known}_{seed}.csv"
    if path is not None and path.is_file():
        return pd.read_csv(path)
    adata = simulated(sim.Samples((3, 3), changed=0.4, **NO_CAPTURE), 3000, 80, 200 + seed, panel=panel)
    fit = at_true_times(adata) if known else begun_at_the_truth(adata)
    found = rates_of_samples(fit).regress("gamma", DESIGN)
    true = np.where(adata.var["true_changed"], np.sign(adata.varm["true_log_gamma_change"][:, 3]), 0.0)
    error = found.error[:, 1] / np.log(2)
    table = pd.DataFrame({"true": true, "found": found.estimate[:, 1] / np.log(2), "error": error}).dropna()
    if path is not None:
        table.to_csv(path, index=False)
    return table


def sources(pieces: dict[str, list[str]], kept: Path | None, seeds: int = 4) -> None:
    """What makes changes come out too small: times that are not known, or depth that is told by few genes."""
    lines = ["| depth by | times | changed genes | change found, of 1 (weighted mean) |", "| --- | --- | ---: | ---: |"]
    for panel in (False, True):
        for known in (True, False):
            table = pd.concat([source_of(seed, panel=panel, known=known, kept=kept) for seed in range(seeds)])
            own = table[table["true"] != 0]
            weight = own["error"] ** -2.0
            mean, error = (weight * own["found"] * own["true"]).sum() / weight.sum(), weight.sum() ** -0.5
            depth, times = "the 80 genes" if panel else "all genes", "true" if known else "fitted"
            lines.append(f"| {depth} | {times} | {len(own)} | {mean:.2f} ± {error:.2f} |")
    print("\n".join(lines), flush=True)
    pieces["sources"] = lines


# ---------------------------------------------------------------------- captures
def joint(adata: ad.AnnData) -> tuple[pd.Series, pd.Series | None]:
    """``SoftEM(samples=...)``."""
    fit(adata, samples="sample")
    return adata.obs["latent_time"], adata.var["fit_gamma"]


def merged(adata: ad.AnnData) -> tuple[pd.Series, pd.Series | None]:
    """All cells as if of one sample."""
    fit(adata)
    return adata.obs["latent_time"], adata.var["fit_gamma"]


def alone(adata: ad.AnnData) -> tuple[pd.Series, pd.Series | None]:
    """Each sample by itself, its own clock taken for the common one; rates are means over samples, of logs."""
    times, rates = [], []
    for name in adata.obs["sample"].cat.categories:
        own = fit(adata[adata.obs["sample"] == name].copy())
        slope = np.polyfit(own.obs["latent_time"], own.obs["true_time"], 1)[0]
        times.append(own.obs["latent_time"])
        rates.append(np.log(own.var["fit_gamma"] / slope))
    return pd.concat(times)[adata.obs_names], np.exp(pd.concat(rates, axis=1).mean(axis=1))


def combat(adata: ad.AnnData) -> tuple[pd.Series, pd.Series | None]:
    """Sums of both layers corrected by ComBat and divided again as counts were; moments, Gaussian noise."""
    u, s = (adata.layers[name].toarray() for name in ("unspliced", "spliced"))
    total = u + s
    share = np.divide(s, total, out=np.zeros_like(s), where=total > 0)
    changed = ad.AnnData(total / total.sum(axis=1, keepdims=True) * np.median(total.sum(axis=1)), obs=adata.obs.copy())
    sc.pp.log1p(changed)
    sc.pp.combat(changed, key="sample")
    values = np.maximum(np.expm1(changed.X), 0)
    sc.pp.pca(changed, n_comps=20)
    sc.pp.neighbors(changed, n_neighbors=30)
    near = changed.obsp["connectivities"] + sparse.eye(changed.n_obs)
    near = sparse.diags(1 / np.asarray(near.sum(axis=1)).ravel()) @ near
    changed.layers["spliced"], changed.layers["unspliced"] = near @ (values * share), near @ (values * (1 - share))
    changed.var_names = adata.var_names
    fit(changed, noise=vt.Gaussian())
    return changed.obs["latent_time"], changed.var["fit_gamma"]


WAYS: dict[str, Callable[[ad.AnnData], tuple[pd.Series, pd.Series | None]]] = {
    "`samples=`": joint,
    "merged": merged,
    "each sample alone": alone,
    "ComBat on u + s": combat,
}


def errors(adata: ad.AnnData, way: Callable[[ad.AnnData], tuple[pd.Series, pd.Series | None]]) -> dict[str, float]:
    began = time.process_time()
    found, gamma = way(adata.copy())
    seconds = time.process_time() - began
    slope = 1.0 if way is alone else np.polyfit(found, adata.obs["true_time"], 1)[0]
    told = adata.var["true_class"] != "flat"
    error = np.abs(np.log(gamma / slope / adata.var["true_gamma"]))[told]
    return {
        "time": abs(float(stats.spearmanr(found, adata.obs["true_time"]).statistic)),
        "gamma": float(np.nanmedian(error)),
        "seconds": seconds,
    }


def captures(pieces: dict[str, list[str]], seeds: int = 3) -> None:
    """The same cells, clean and with captures, fitted in the ways that are in use."""
    lines = [
        "| cells | way | time (Spearman) | gamma (median error of logs) | CPU s |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for kind, more in (("the same capture", NO_CAPTURE), ("captures differ", {})):
        for name, way in WAYS.items():
            found = []
            for seed in range(seeds):
                adata = simulated(sim.Samples((3, 3), composition=1.5, **more), 900, 100, 50 + seed, panel=True)
                found.append(errors(adata, way))
            mean = pd.DataFrame(found).mean()
            lines.append(f"| {kind} | {name} | {mean['time']:.4f} | {mean['gamma']:.3f} | {mean['seconds']:.0f} |")
            print(lines[-1], flush=True)
    pieces["captures"] = lines


# ---------------------------------------------------------------------- speed
SLOWER = (1.0, 1.3)  # times
DATA_SETS = 100


def speed_of(slower: float, seed: int, kept: Path | None) -> dict[str, float]:
    """Speed of one data set, whose fit begins with cells at their true times."""
    stored = kept_arrays(kept, f"speed_{slower}_{seed}", lambda: _speeds_of(slower, seed))
    found = SampleSpeeds(stored["log_slowing"], stored["slowing_variance"]).regress(DESIGN)
    genes = moderated_effects(stored["gamma_change"], stored["gamma_variance"], DESIGN)
    log, half = found.estimate[0, 1], stats.t.ppf(0.975, found.degrees[0]) * found.error[0, 1]
    one = {"times_slower": log, "low": log - half, "high": log + half, "genes": -np.nanmedian(genes.estimate[:, 1])}
    return {name: float(np.exp(value)) for name, value in one.items()} | {"p_value": float(found.p_value[0, 1])}


def _speeds_of(slower: float, seed: int) -> dict[str, np.ndarray]:
    """Speeds and rates of each sample."""
    adata = simulated(sim.Samples((3, 3), speed=slower, replicates=0.2, **COMPOSITION), 600, 60, 300 + seed)
    fitted = begun_at_the_truth(adata)
    speeds = speeds_of_samples(fitted)
    own = {"log_slowing": speeds.log_slowing, "slowing_variance": speeds.variance}
    return _arrays(rates_of_samples(fitted)) | own


def speed(pieces: dict[str, list[str]], kept: Path | None) -> None:
    """How often the interval of the speed holds what is true."""
    lines = [
        "| true | data sets | median found | 95 % interval holds it | p < 5 % | half width | by single genes |",
        "| ---: |" + " ---: |" * 6,
    ]
    for slower in SLOWER:
        table = pd.DataFrame([speed_of(slower, seed, kept) for seed in range(DATA_SETS)])
        holds = ((table["low"] < slower) & (slower < table["high"])).mean()
        half = np.sqrt(table["high"] / table["low"]).median() - 1
        lines.append(
            f"| {slower:.1f} | {DATA_SETS} | {table['times_slower'].median():.3f} | {holds:.0%} | "
            f"{(table['p_value'] < LEVEL).mean():.0%} | {half:.0%} | {table['genes'].median():.3f} |"
        )
        print(lines[-1], flush=True)
    pieces["speed"] = lines


# ---------------------------------------------------------------------- sizes
SIZES = (50, 5_000, 20_000)
LACKING = 6  # genes that the second sample does not have
NUCLEI = 6.0  # times as many unspliced counts in the third


def uneven(n_genes: int = 120) -> ad.AnnData:
    """Samples of very different sizes; one lacks some genes, and one is of nuclei."""
    samples = sim.Samples((1, 1, 1), sizes=SIZES, composition=1.0)
    adata = simulated(samples, sum(SIZES), n_genes, 500)
    second, third = (adata.obs["sample"].to_numpy() == name for name in samples.names[1:])
    unspliced, spliced = (adata.layers[name].toarray() for name in ("unspliced", "spliced"))
    for counts in (unspliced, spliced):
        counts[np.ix_(second, np.arange(LACKING))] = 0
    unspliced[third] = np.random.default_rng(0).poisson(NUCLEI * unspliced[third])
    adata.layers["unspliced"], adata.layers["spliced"] = sparse.csr_matrix(unspliced), sparse.csr_matrix(spliced)
    return adata


def fit_uneven(way: str) -> None:
    """One fit in a process of its own, for its peak of memory: prints CPU seconds, megabytes, and what it found."""
    adata = uneven()
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(adata, **({"samples": "sample"} if way == "samples=" else {}))
    seconds, peak = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    named = [str(one.message) for one in said if "another chemistry" in str(one.message)]
    rows = []
    for b, name in enumerate(adata.obs["sample"].cat.categories):
        own = adata[adata.obs["sample"] == name]
        row = {"cells": own.n_obs, "time": agreement(own.obs["latent_time"], own.obs["true_time"])}
        if way == "samples=":
            row |= captures_against_truth(adata, b)
            row |= {"named": any(repr(str(name)) in text for text in named)}
        rows.append(row)
    print(json.dumps({"seconds": seconds, "more": peak - held, "rows": rows}))


def captures_against_truth(adata: ad.AnnData, b: int) -> dict[str, float]:
    """Spliced captures of a sample against those of the largest: sd of logs, fitted and true, and correlation."""
    found, true = (np.log(np.maximum(adata.varm[f"{kind}_capture_s"], 1e-12)) for kind in ("fit", "true"))
    genes = (adata.var["fit_status"] == "fitted").to_numpy() & (found.min(axis=1) > np.log(1e-9))
    if b == len(SIZES) - 1:
        return {}
    one, other = (x[genes, b] - x[genes, -1] for x in (found, true))
    return {"sd": one.std(), "true_sd": other.std(), "r": np.corrcoef(one, other)[0, 1]}


def sizes(pieces: dict[str, list[str]]) -> None:
    """Samples of 50, 5,000 and 20,000 cells, with and without ``samples=``."""
    lines = [
        "| way | CPU s | MB more | cells | time (Spearman) | spliced captures: r | their sd | true sd | named |",
        "| --- |" + " ---: |" * 7 + " --- |",
    ]
    for way in ("samples=", "merged"):
        out = subprocess.run([sys.executable, __file__, "--uneven", way], capture_output=True, text=True, check=True)
        found = json.loads(out.stdout.splitlines()[-1])
        for row in found["rows"]:
            told = [f"{row[name]:.2f}" if name in row else "" for name in ("r", "sd", "true_sd")]
            named = "yes" if row.get("named") else ""
            lines.append(
                f"| {way} | {found['seconds']:.0f} | {found['more']:.0f} | {row['cells']:,} | {row['time']:.3f} | "
                f"{' | '.join(told)} | {named} |"
            )
    print("\n".join(lines), flush=True)
    pieces["unequal"] = lines


# ---------------------------------------------------------------------- blocks
BLOCKS = {"cells": 20_000, "genes": 1_000, "samples": (5, 5), "entries": 2**20}
ORDERS = {
    "one after the other": ("together.zarr", "samples"),
    "among each other": ("mixed.zarr", "samples"),
    "in ten files": ("samples.csv", "samples"),
    "as if of one sample": ("together.zarr", "one"),
}


def blocks(pieces: dict[str, list[str]]) -> None:
    """Ten samples in a store that is read in blocks, their cells together or mixed, or in ten files; a process each."""
    lines = ["| cells of the ten samples lie | CPU s | counts, MB | MB more | time (Spearman) |"]
    lines.append("| --- |" + " ---: |" * 4)
    with tempfile.TemporaryDirectory() as folder:
        adata = simulated(sim.Samples(BLOCKS["samples"], composition=1.0), BLOCKS["cells"], BLOCKS["genes"], 700)
        del adata.layers["true_velocity"]
        counts = sum(sum(part.nbytes for part in (x.data, x.indices, x.indptr)) for x in adata.layers.values()) / 2**20
        mixed = adata[np.random.default_rng(0).permutation(adata.n_obs)]
        for name, cells in (("together", adata), ("mixed", mixed)):
            vt.write.zarr(cells.copy(), Path(folder) / f"{name}.zarr")
        in_files(adata, Path(folder))
        del adata, mixed
        for order, (name, way) in ORDERS.items():
            call = [sys.executable, __file__, "--blocked", str(Path(folder) / name), way]
            out = subprocess.run(call, capture_output=True, text=True, check=True)
            found = json.loads(out.stdout.splitlines()[-1])
            lines.append(
                f"| {order} | {found['seconds']:.0f} | {counts:.0f} | {found['more']:.0f} | {found['time']:.4f} |"
            )
            print(lines[-1], flush=True)
    pieces["blocks"] = lines


def in_files(adata: ad.AnnData, folder: Path) -> None:
    """A file for each sample, and a table of them."""
    names = adata.obs["sample"].cat.categories
    for name in names:
        own = adata[adata.obs["sample"] == name].copy()
        del own.obs["sample"]
        own.write_h5ad(folder / f"{name}.h5ad")
    table = pd.DataFrame({"sample": names, "path": [f"{name}.h5ad" for name in names]})
    table.to_csv(folder / "samples.csv", index=False)


def fit_blocked(path: str, way: str) -> None:
    """One fit of a store: prints CPU seconds, megabytes, and agreement with true times."""
    of_blocks.ENTRIES = BLOCKS["entries"]
    adata = vt.read.samples(path, lazily=True) if path.endswith(".csv") else vt.read.lazy(path)
    held, began = peak_of_this_process(), time.process_time()
    fit(adata, max_cells=4000, **({"samples": "sample"} if way == "samples" else {}))
    seconds, more = time.process_time() - began, peak_of_this_process() - held
    found = agreement(adata.obs["latent_time"], adata.obs["true_time"])
    print(json.dumps({"seconds": seconds, "more": more, "time": found}))


def peak_of_this_process() -> float:
    """MB; what ``getrusage`` gives is at least what the process had that began this one."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


# ---------------------------------------------------------------------- pancreas
KEPT = 4, 4  # of the Beta distribution of shares
KINDS = {"at random": 0.5, "one with two thirds of the late cells": 2 / 3}


def pancreas(path: Path, pieces: dict[str, list[str]]) -> None:
    """Halves of the pancreas, unspliced counts of one thinned by a share of each gene."""
    whole = ad.read_h5ad(path)
    vt.pp.filter_genes(whole, n_top_genes=300)
    untouched = times_of(whole, vt.SoftEM(n_lineages=1))
    again = times_of(whole, vt.SoftEM(n_lineages=1), rng=1)
    captures = ["| halves | genes | log capture, fitted | ratio of counts, halves | ratio of counts, before thinning |"]
    captures.append("| --- | --- |" + " ---: |" * 3)
    times = ["| cells | fit | time against the untouched fit |", "| --- | --- | ---: |"]
    times.append(f"| as they are | another seed | {agreement(again, untouched):.4f} |")
    print(times[-1], flush=True)
    for kind, share in KINDS.items():
        rng = np.random.default_rng(1)
        second = rng.random(whole.n_obs) < np.where(untouched > untouched.median(), share, 1 - share)
        kept = rng.beta(*KEPT, whole.n_vars)
        half, everywhere = (with_thinned(whole, of, kept, rng) for of in (second, second | True))
        half.obs["half"] = pd.Categorical(np.where(second, "b", "a"))
        fits = {
            "`samples=`": (half, "one half thinned", vt.SoftEM(n_lineages=1, samples="half")),
            "merged": (half, "one half thinned", vt.SoftEM(n_lineages=1)),
            "merged, all cells": (everywhere, "all cells thinned", vt.SoftEM(n_lineages=1)),
        }
        for name, (adata, thinning, method) in fits.items():
            found = agreement(times_of(adata, method), untouched)
            times.append(f"| {thinning}, halves {kind} | {name.split(',')[0]} | {found:.4f} |")
            print(times[-1], flush=True)
            captures += capture_lines(kind, whole, adata, kept) if method.samples else []
        print("\n".join(captures), flush=True)
    pieces |= {"pancreas": captures, "pancreas_times": times}


def times_of(adata: ad.AnnData, method: vt.SoftEM, rng: int = 0) -> pd.Series:
    """Latent times of a fit."""
    vt.tl.recover_dynamics(adata, method=method, progress=False, layers=(), rng=rng)
    return adata.obs["latent_time"].copy()


def agreement(times: pd.Series, others: pd.Series) -> float:
    """Spearman, whichever way time runs."""
    return abs(float(stats.spearmanr(times, others).statistic))


def with_thinned(whole: ad.AnnData, of: np.ndarray, kept: np.ndarray, rng: np.random.Generator) -> ad.AnnData:
    """The same cells, unspliced counts of some thinned, and as many times fewer in all genes."""
    obs = whole.obs[list(TOTALS)].copy()
    obs.loc[of, "initial_size_unspliced"] *= KEPT[0] / sum(KEPT)
    adata = ad.AnnData(whole.layers["spliced"], obs=obs, var=whole.var[[]])
    adata.layers["spliced"], adata.layers["unspliced"] = whole.layers["spliced"], thinned(whole, of, kept, rng)
    return adata


def capture_lines(kind: str, whole: ad.AnnData, adata: ad.AnnData, kept: np.ndarray) -> list[str]:
    """Correlation with the true log share of what is fitted, and of ratios of counts; of all genes, and of many counts.

    The ratio of the counts of both halves is what any method sees; that of counts before and after thinning, what is
    left of the shares in the counts.
    """
    second = (adata.obs["half"] == "b").to_numpy()
    after, before = (cells.layers["unspliced"].toarray() for cells in (adata, whole))
    log = np.log(adata.varm["fit_capture_u"])
    told = np.isfinite(log).all(axis=1) & (adata.var["fit_status"] == "fitted").to_numpy()
    counts = before[second].sum(axis=0)
    with np.errstate(divide="ignore"):
        seen = np.log(after[second].sum(axis=0) / after[~second].sum(axis=0))
        realised = np.log(after[second].sum(axis=0) / counts)
    lines = []
    for least in (0, 50, 200):
        genes = told & np.isfinite(seen) & (counts >= least)
        r = [np.corrcoef(x[genes], np.log(kept[genes]))[0, 1] for x in (log[:, 1] - log[:, 0], seen, realised)]
        of = f"{genes.sum()}, {least} counts or more" if least else f"{genes.sum()}, all"
        lines.append(f"| {kind} | {of} | " + " | ".join(f"{one:.3f}" for one in r) + " |")
    return lines


def thinned(whole: ad.AnnData, second: np.ndarray, kept: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    counts = whole.layers["unspliced"].toarray().astype(int)
    counts[second] = rng.binomial(counts[second], kept)
    return sparse.csr_matrix(counts.astype(np.float32))


def fill(pieces: dict[str, list[str]]) -> None:
    """Put lines between the page's markers of their names."""
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in pieces.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        head, rest = text.split(begin)
        text = head + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1]
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ("conditions", "captures", "cells", "sources", "speed", "unequal", "blocks", "pancreas")
    parser.add_argument("--parts", nargs="*", choices=known, default=list(known))
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS), default=list(SETTINGS), help="of conditions")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument(
        "--keep", type=Path, help="a folder for what was fitted to each data set, which is read there the next time"
    )
    parser.add_argument("--write-captures", type=Path, help="cells whose captures differ into this file, and no more")
    parser.add_argument("--uneven", choices=("samples=", "merged"), help=argparse.SUPPRESS)
    parser.add_argument("--blocked", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="the tables into docs/studies/samples.md")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.write_captures:
        simulated(sim.Samples((3, 3), composition=1.5), 900, 100, 50, panel=True).write_h5ad(chosen.write_captures)
        return
    if chosen.uneven:
        fit_uneven(chosen.uneven)
        return
    if chosen.blocked:
        fit_blocked(*chosen.blocked)
        return
    pieces: dict[str, list[str]] = {}
    if "blocks" in chosen.parts:
        blocks(pieces)
    if "unequal" in chosen.parts:
        sizes(pieces)
    if "captures" in chosen.parts:
        captures(pieces)
    if "sources" in chosen.parts:
        sources(pieces, chosen.keep)
    if "speed" in chosen.parts:
        speed(pieces, chosen.keep)
    if "pancreas" in chosen.parts and (chosen.data / "pancreas.h5ad").is_file():
        pancreas(chosen.data / "pancreas.h5ad", pieces)
    if "conditions" in chosen.parts:
        conditions(chosen.seeds, pieces, chosen.keep, chosen.settings)
    if "cells" in chosen.parts:
        cells(pieces, chosen.keep)
    for name, lines in pieces.items():
        print(f"\n{name}\n" + "\n".join(lines))
    if chosen.write:
        fill(pieces)


if __name__ == "__main__":
    main()
