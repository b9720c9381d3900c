"""The number of lineages that geometry counts, over own simulations: a line, equal and unequal fates, few counts, gaps.

Usage: ``python benchmarks/count_lineages.py --first-seed 20 --seeds 10 [--out table.csv] [SET ...]``

Nothing is fitted: cells are placed and the ends of their tree counted in draws of them, as a fit does first of all. The
set with two fates away from the middle of a line is left out, as held-out counts decide on it. The table goes into
``docs/studies/branches.md`` by ``branches.py --page ... --counts table.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from branches import FORKS, OWN, Truth, of_simulation

import velotime as vt
from velotime import simulation as sim
from velotime.data import read_observations
from velotime.inference.search.geometry.tree import geodesics_of, tree_of, votes_of
from velotime.tl._geometry import place_cells

UNEQUAL = {2: (0.9, 0.1), 3: (0.6, 0.35, 0.05), 4: (0.5, 0.3, 0.15, 0.05), 5: (0.4, 0.25, 0.2, 0.1, 0.05)}
N_CELLS = 2000


def unequal(rng: np.random.Generator, n_fates: int) -> Truth:
    """Fates of unequal size, the last ones the smallest, whose branches leave last."""
    adata = sim.simulate(3 * n_fates * N_CELLS // 4, 300, rng=rng, branches=sim.Branches(FORKS[n_fates]))
    lineage = adata.obs["true_lineage"].astype(int).to_numpy()
    kept = [np.flatnonzero(lineage == k)[: int(share * N_CELLS)] for k, share in enumerate(UNEQUAL[n_fates])]
    return of_simulation(adata[np.sort(np.concatenate(kept))].copy(), n_fates)


SETS = {name: draw for name, draw in OWN.items() if not name.startswith("inner_root")}
SETS |= {f"unequal_{k}": lambda rng, k=k: unequal(rng, k) for k in UNEQUAL}


def measure(name: str, seed: int) -> dict[str, object]:
    """The number that is counted, and how far off the ways the last end that counts and the next one lie."""
    truth = SETS[name](np.random.default_rng(1000 * seed + sum(map(ord, name))))
    vt.pp.filter_genes(truth.adata)
    placing, drawing = np.random.default_rng(seed).spawn(2)
    components = place_cells(read_observations(truth.adata).observations, placing).components
    votes = votes_of(components, drawing)
    tree = tree_of(geodesics_of(components))
    found = len(tree.first(votes.n_lineages + 1).ends) - 1
    off = np.append(np.nan, tree.off)
    return {"set": name, "seed": seed, "lineages": found, "votes": " ".join(map(str, votes.numbers))} | {
        "right": found in truth.numbers,
        "off": off[found - 1],
        "next": off[found],
    }


def main() -> None:
    """Count the lineages of the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[], metavar="SET", help=f"of {', '.join(SETS)}")
    parser.add_argument("--first-seed", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="write the table as CSV, row by row")
    given = parser.parse_args()
    rows = []
    for name in given.sets or SETS:
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            rows.append(measure(name, seed))
            print(rows[-1], flush=True)
            if given.out is not None:
                pd.DataFrame(rows).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
