"""Cells on a ring told from lines and trees: the measure behind it, on simulations and on every data set.

Usage: ``python benchmarks/rings.py --data ../shared/data --first-seed 20 --seeds 10``

For each kind of cells the range over seeds of ``ring_of``; above 0.3 a line or tree is said not to fit. The bound was
set on seeds 0 to 3.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference.evidence.fit_verdict import RING
from velotime.inference.search.geometry.ring import ring_of
from velotime.inference.search.geometry.tree import geodesics_of, tree_of
from velotime.tl._geometry import place_cells

Maker = Callable[[np.random.Generator], ad.AnnData]

KINDS: dict[str, Maker] = {
    "line": lambda rng: sim.simulate(500, 100, rng=rng),
    "line, 300 cells": lambda rng: sim.simulate(300, 80, rng=rng),
    "line with a gap": lambda rng: sim.simulate(500, 100, rng=rng, times=sim.GappedTimes(0.45, 0.65)),
    "two fates": lambda rng: sim.simulate(800, 100, rng=rng, branches=sim.Branches((0.3,))),
    "three fates": lambda rng: sim.simulate(800, 100, rng=rng, branches=sim.Branches((0.3, 0.6))),
    "cycle": lambda rng: sim.simulate(500, 100, rng=rng, cycle=sim.Cycling()),
    "cycle, 300 cells": lambda rng: sim.simulate(300, 80, rng=rng, cycle=sim.Cycling()),
    "growing cycle": lambda rng: sim.simulate(500, 100, rng=rng, cycle=sim.Cycling(), times=sim.GrowingTimes()),
}


def ring(adata: ad.AnnData) -> float:
    """What a fit with default settings would find."""
    geometry = place_cells(read_observations(adata).observations, np.random.default_rng(0), counts=True)
    geodesics = geodesics_of(geometry.components)
    return ring_of(geodesics, tree_of(geodesics))


def main() -> None:
    """Print the ranges of simulations, then the data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--first-seed", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for kind, make in KINDS.items():
        found = np.array([ring(make(np.random.default_rng(seed))) for seed in seeds])
        print(
            f"{kind:<18} {found.min():.2f} to {found.max():.2f}; {(found > RING).sum()} of {len(found)} a ring",
            flush=True,
        )
    for path in sorted(given.data.glob("*.h5ad")):
        adata = ad.read_h5ad(path)
        vt.pp.filter_genes(adata)
        print(f"{path.stem:<26} {ring(adata):.2f}", flush=True)


if __name__ == "__main__":
    main()
