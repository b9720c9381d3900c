"""Branches, roots and directions called clear, on every set with truth: how many are right.

Usage: ``python benchmarks/branches.py --data ../shared/data --seeds 1 --draws 1 [--out table.csv] [SET ...]``

Each set is fitted with default settings, from seeds 0 to ``--seeds`` - 1 on all cells, and with as many on draws of
80 % of the cells as ``--draws`` says. Own simulations are drawn again for each seed. "Right" is a Spearman correlation
of latent time with the truth above 0.7, and a root among the earliest third. Sets that bounds and thresholds were
chosen on are marked "tuned"; the others were held out. ``--page TABLE.csv ...`` sums the tables of earlier runs up in
``docs/studies/branches.md`` instead and puts all their rows into ``docs/studies/branches.csv``, with ``--counts``
those of ``count_lineages.py``.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim

PAGES = Path(__file__).resolve().parents[1] / "docs" / "studies"
SHARE = 0.8  # of the cells in a draw
RIGHT = 0.7  # Spearman correlation from which on an order is right
FIRST_CELLS = 30  # whose mean true time says where the root lies
EARLY = 0.35  # quantile of true time that it must not exceed
LATE = 0.75  # true time from which on cells of own simulations belong to a branch


@dataclass(frozen=True)
class Truth:
    """Cells with what is known of them.

    Attributes
    ----------
    adata
        Counts.
    order
        True time, or the rank of each cell's stage; None where there is no order.
    branch
        Label of the branch, "" where a cell is in none; None if there are no branches.
    numbers
        Numbers of lineages that are right; none where there is no trajectory.
    coherent
        Whether unspliced counts belong to the cells: nothing may be called clear where they were shuffled.
    """

    adata: ad.AnnData
    order: np.ndarray | None
    branch: np.ndarray | None
    numbers: tuple[int, ...]
    coherent: bool = True


@dataclass(frozen=True)
class File:
    """A data file: its column of labels, the order of these, and those that are branches."""

    name: str
    numbers: tuple[int, ...]
    ranks: dict[str, int] | None = None
    branches: tuple[str, ...] = ()
    key: str | None = None
    shuffled: bool = False

    def read(self, folder: Path) -> Truth:
        """Read it; with unspliced counts shuffled gene by gene within labels if asked for."""
        adata = ad.read_h5ad(folder / f"{self.name}.h5ad")
        label = adata.obs[self.key or adata.uns["cluster_key"]].astype(str)
        if self.shuffled:
            shuffle(adata, label.to_numpy())
        order = None
        if self.ranks is not None:
            order = label.map(self.ranks).to_numpy(float)
        elif "time_key" in adata.uns:
            order = adata.obs[adata.uns["time_key"]].to_numpy(float)
        branch = np.where(label.isin(self.branches), label, "") if self.branches else None
        return Truth(adata, order, branch, self.numbers, coherent=not self.shuffled)


STAGES = {"Ductal": 0, "Ngn3 low EP": 1, "Ngn3 high EP": 2, "Pre-endocrine": 3}
ISLETS = dict.fromkeys(("Alpha", "Beta", "Delta", "Epsilon"), 4)
FILES = {
    "pancreas": File("pancreas", (3, 4), STAGES | ISLETS, ("Alpha", "Beta"), key="clusters"),
    "gfcp_abcde": File("sim_gfcp_abcde", (3,), branches=("2", "3", "4")),
    "gfcp_aba": File("sim_gfcp_aba", (3,), branches=("2", "3", "4")),
    "dyngen_smallbifurc": File("sim_dyngen_smallbifurc", (2,), branches=("sC -> sEndC", "sD -> sEndD")),
    "dyngen_linear": File("sim_dyngen_linear", (1,)),
    "sergio_DS4": File("sim_sergio_DS4", (1,), {"T0": 0, "T1": 1, "T2": 2}),
    "sergio_DS5": File("sim_sergio_DS5", (2,), {"T0": 0, "T1": 1, "T2": 2, "T3": 2}, ("T2", "T3")),
    "static_4clusters": File("sim_static_4clusters", ()),
    "shuffled_pancreas": File("pancreas", (), STAGES | ISLETS, key="clusters", shuffled=True),
    "shuffled_abcde": File("sim_gfcp_abcde", (), shuffled=True),
}
TUNED = {
    "pancreas",
    "gfcp_abcde",
    "dyngen_smallbifurc",
    "sergio_DS4",
    "sergio_DS5",
    "static_4clusters",
    "shuffled_abcde",
    "shuffled_pancreas",
}


BLOCKS = (4, 8, 12)  # along the true order, within which unspliced counts are shuffled
FINE = {
    f"{name}_in_{blocks}": (name, blocks)
    for name in ("pancreas", "gfcp_aba", "dyngen_linear", "fates_1", "fates_2")
    for blocks in BLOCKS
}


def shuffled_finely(truth: Truth, blocks: int) -> Truth:
    """Unspliced counts shuffled within as many blocks of the order, branch by branch; stages in the order of a fit."""
    order = truth.order
    if len(np.unique(order)) < 2 * blocks:
        fitted = truth.adata.copy()
        vt.pp.filter_genes(fitted)
        vt.tl.recover_dynamics(fitted, progress=False)
        order = fitted.obs["latent_time"].to_numpy()
    block = np.minimum(order.argsort().argsort() * blocks // len(order), blocks - 1).astype(str)
    branch = np.full(len(order), "") if truth.branch is None else truth.branch
    shuffle(truth.adata, np.char.add(block, branch.astype(str)))
    return replace(truth, coherent=False)


def shuffle(adata: ad.AnnData, label: np.ndarray) -> None:
    """Shuffle unspliced counts, gene by gene, among cells of one label."""
    rng = np.random.default_rng(7)
    unspliced = adata.layers["unspliced"].toarray()
    for name in np.unique(label):
        cells = np.flatnonzero(label == name)
        for gene in range(unspliced.shape[1]):
            unspliced[cells, gene] = unspliced[rng.permutation(cells), gene]
    adata.layers["unspliced"] = sparse.csr_matrix(unspliced)


FORKS = {1: (), 2: (0.4,), 3: (0.35, 0.5), 4: (0.3, 0.4, 0.5), 5: (0.25, 0.35, 0.45, 0.55)}
SMALL = 0.05  # share of the cells in the small fate


def fork(n_fates: int, **settings: object) -> Callable[[np.random.Generator], Truth]:
    """A simulation with so many fates."""

    def draw(rng: np.random.Generator) -> Truth:
        given = {"n_cells": 2000, "n_genes": 300, **settings}
        if n_fates > 1:
            given.setdefault("branches", sim.Branches(FORKS[n_fates]))
        return of_simulation(sim.simulate(rng=rng, **given), n_fates)

    return draw


def small_fate(n_fates: int) -> Callable[[np.random.Generator], Truth]:
    """One fate with 5 % of the cells."""

    def draw(rng: np.random.Generator) -> Truth:
        adata = sim.simulate(3500, 300, rng=rng, branches=sim.Branches(FORKS[n_fates]))
        last = adata.obs["true_lineage"].astype(str).to_numpy() == str(n_fates - 1)
        kept = np.concatenate([np.flatnonzero(~last)[:1900], np.flatnonzero(last)[:100]])
        return of_simulation(adata[np.sort(kept)].copy(), n_fates)

    return draw


def of_simulation(adata: ad.AnnData, n_fates: int) -> Truth:
    """The truth of a simulation."""
    order = adata.obs["true_time"].to_numpy()
    lineage = adata.obs["true_lineage"].astype(str).to_numpy() if n_fates > 1 else None
    branch = None if lineage is None else np.where(order > LATE, lineage, "")
    return Truth(adata, order, branch, (n_fates,))


FEW = {"n_genes": 150, "mean_spliced": 0.5, "mean_unspliced": 0.15}
OWN = {
    **{f"fates_{k}": fork(k) for k in FORKS},
    **{f"few_counts_{k}": fork(k, **FEW) for k in (1, 2, 3)},
    **{f"small_fate_{k}": small_fate(k) for k in (2, 3)},
    **{f"gap_{k}": fork(k, times=sim.GappedTimes(0.45, 0.65)) for k in (1, 2)},
    **{f"first_day_{k}": fork(k, times=sim.GappedTimes(0.1, 0.35)) for k in (1, 2)},
    **{f"inner_root_{k}": fork(k, branches=sim.Branches((0.03,) * (k - 1))) for k in (2,)},
}


SETS = (*FILES, *OWN, *FINE)
UNNUMBERED = {name for name, file in FILES.items() if not file.numbers}  # no number of lineages is right


def truth_of(name: str, seed: int, share: float, folder: Path) -> Truth:
    """A set, all of it or a draw of its cells."""
    if name in FINE:
        of, blocks = FINE[name]
        return shuffled_finely(truth_of(of, seed, share, folder), blocks)
    if name in OWN:
        truth = OWN[name](np.random.default_rng(1000 * seed + sum(map(ord, name))))
    else:
        truth = FILES[name].read(folder)
    if share == 1.0:
        return truth
    n = truth.adata.n_obs
    cells = np.sort(np.random.default_rng(100 + seed).permutation(n)[: int(share * n)])
    order, branch = (None if values is None else values[cells] for values in (truth.order, truth.branch))
    return Truth(truth.adata[cells].copy(), order, branch, truth.numbers, truth.coherent)


def purity(lineages: np.ndarray, branch: np.ndarray) -> float:
    """Share of the cells of branches in the lineage of their branch, lineages and branches matched one to one."""
    cells = branch != ""
    found, label = lineages[cells].argmax(axis=1), branch[cells]
    table = np.array(
        [[((label == b) & (found == k)).sum() for k in range(lineages.shape[1])] for b in np.unique(label)]
    )
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / table.sum())


def measure(name: str, seed: int, share: float, folder: Path) -> dict[str, object]:
    """One fit with default settings, and what is right of it."""
    truth = truth_of(name, seed, share, folder)
    adata = truth.adata
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vt.pp.filter_genes(adata)
        began = time.process_time()
        vt.tl.recover_dynamics(adata, rng=seed, progress=False)
    seconds = time.process_time() - began
    found, arrow, fit = adata.obs["latent_time"].to_numpy(), adata.uns["time_arrow"], adata.uns["fit_verdict"]
    rho = early = np.nan
    if truth.order is not None:
        rho = spearmanr(found, truth.order).statistic
        early = truth.order[np.argsort(found)[:FIRST_CELLS]].mean() <= np.quantile(truth.order, EARLY) + 1e-9
    lineages = adata.obsm["lineage_posterior"]
    tuned = name in TUNED or (FINE.get(name, (name,))[0] in OWN and seed % 2 == 0)
    rivals = arrow["rivals"]
    return {
        "set": name,
        "seed": seed,
        "share": share,
        "tuned": tuned,
        "lineages": lineages.shape[1],
        "number_right": lineages.shape[1] in truth.numbers,
        "votes": " ".join(map(str, adata.uns["lineages"].get("votes", ()))),
        "spearman": rho,
        "right": bool(rho > RIGHT and early) and truth.coherent,
        "branches": np.nan if truth.branch is None else purity(lineages, truth.branch),
        "clear": arrow["verdict"] == "clear",
        "fit": fit["verdict"],
        "margin": (rivals["margin"] + rivals["known"]).min(),
        "half": np.nanmin(rivals[["half_1", "half_2"]].to_numpy()),
        "agreement": fit["agreement"],
        "coherence": fit["coherence_found"] / fit["coherence_expected"],
        "expected": fit["coherence_expected"],
        "steps": fit["steps"],
        "steps_share": fit["steps_found"] / fit["steps_expected"],
        "poor_genes": fit["poor_genes"],
        "start": adata.uns["recover_dynamics"]["starts"]["start"].iloc[0],
        "cpu": seconds,
        "reason": arrow["reason"],
    }


def rates(rows: pd.DataFrame) -> str:
    """Of the clear ones, how many are right; of the right ones, how many are clear."""
    clear, right = rows["clear"], rows["right"]
    both = int((clear & right).sum())
    return f"right of the clear: {both} of {int(clear.sum())}; clear of the right: {both} of {int(right.sum())}"


def counts_table(tables: list[Path]) -> pd.DataFrame:
    """How often the number of lineages was right in each set, and how far off the ways its ends and others lay."""
    grouped = pd.concat([pd.read_csv(path) for path in tables], ignore_index=True).groupby("set", sort=False)
    shown = {
        "simulations": grouped["seed"].nunique(),
        "right": grouped["right"].sum(),
        "least off of a lineage": grouped["off"].min(),
        "farthest off of another end": grouped["next"].max(),
    }
    return pd.DataFrame(shown).reset_index()


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per set: the worst and the median of its runs, and how many of them are right, clear, or both."""
    return pd.DataFrame([{"set": name, **summed_up(name, some)} for name, some in rows.groupby("set", sort=False)])


def summed_up(name: str, some: pd.DataFrame) -> dict[str, object]:
    """Of the runs of one set."""
    return {
        "tuned": "yes" if some["tuned"].all() else "",
        "runs": len(some),
        "lineages right": _of(some["number_right"]) if name not in UNNUMBERED else "",
        "worst": _number(some["spearman"].min()),
        "median": _number(some["spearman"].dropna().median()),
        "branches, worst": _number(some["branches"].min()),
        "clear": _of(some["clear"]),
        "clear and wrong": str(int((some["clear"] & ~some["right"]).sum())),
        "fits": _of(some["fit"] == "fits"),
        "CPU seconds": f"{some['cpu'].median():.0f}",
    }


def _of(marked: pd.Series) -> str:
    return f"{int(marked.sum())} of {len(marked)}"


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def page(tables: list[Path], counts: list[Path]) -> None:
    """Sum up the tables of earlier runs, and of those of ``count_lineages.py``, in the page of the study."""
    sys.path.insert(0, str(PAGES))
    from _page import fill, table

    rows = pd.concat([pd.read_csv(path) for path in tables], ignore_index=True)
    rows = rows.sort_values(["share", "seed"], ascending=[False, True], kind="stable")
    rows = rows.sort_values("set", key=lambda names: names.map(list(SETS).index), kind="stable")
    rows.to_csv(PAGES / "branches.csv", index=False, float_format="%.4g")
    lines = [f"{name}: {rates(some)}" for name, some in (("All", rows), ("Held out", rows[~rows["tuned"]]))]
    numbers = counts_table(counts)
    right = f"Right in {int(numbers['right'].sum())} of {int(numbers['simulations'].sum())} simulations."
    fill(
        "branches",
        {
            "sets": table(summary(rows)),
            "rates": "\n\n".join(f"{line}." for line in lines),
            "numbers": f"{right}\n\n{table(numbers)}",
        },
    )


def main() -> None:
    """Measure the sets asked for and print the table, the rates of all, and of those held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[], metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the table as CSV, row by row")
    parser.add_argument("--page", type=Path, nargs="+", metavar="TABLE", help="write the study from these tables")
    parser.add_argument("--counts", type=Path, nargs="+", metavar="TABLE", help="with --page: of count_lineages.py")
    given = parser.parse_args()
    if given.page is not None:
        page(given.page, given.counts)
        return
    runs = [(given.first_seed + k, 1.0) for k in range(given.seeds)]
    runs += [(given.first_seed + k, SHARE) for k in range(given.draws)]
    rows = []
    for name in given.sets or SETS:
        for seed, share in runs:
            if share < 1 and (name in OWN or name in FINE):
                continue  # own simulations are drawn again for each seed
            rows.append(measure(name, seed, share, given.data))
            print(
                " ".join(f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in rows[-1].items()),
                flush=True,
            )
            if given.out is not None:
                pd.DataFrame(rows).to_csv(given.out, index=False)
    table = pd.DataFrame(rows)
    print(table.drop(columns="reason").round(3).to_string())
    print("all:", rates(table))
    print("held out:", rates(table[~table["tuned"]]))


if __name__ == "__main__":
    main()
