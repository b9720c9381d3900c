"""moscot's couplings of the days of a file, in an environment of its own; ``couplings.py`` starts it.

    python3.12 -m venv .venv-moscot && .venv-moscot/bin/pip install moscot
    .venv-moscot/bin/python benchmarks/peer_moscot.py IN.h5ad OUT.npz

``TemporalProblem`` on the log-normalised spliced counts. ``OUT.npz`` holds, by the numbers of the days such as "0-1",
where each cell of the one goes to in the next: ``(cells, cells of the next day)``, rows sum to 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata as ad
import moscot
import numpy as np
import scanpy as sc
from moscot.problems.time import TemporalProblem

EPSILON = 0.01  # with moscot's 0.001 its solver did not converge on 1,200 such cells


def couple(path: Path) -> dict[str, np.ndarray]:
    """The couplings of each day with the next."""
    adata = ad.read_h5ad(path)
    adata.X = adata.layers["spliced"].copy()
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    solved = TemporalProblem(adata).prepare(time_key="day").solve(epsilon=EPSILON)
    out = {}
    for (one, other), solution in solved.solutions.items():
        mass = np.asarray(solution.transport_matrix)
        out[f"{int(one)}-{int(other)}"] = mass / mass.sum(axis=1, keepdims=True)
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    np.savez(given.out, version=moscot.__version__, **couple(given.path))
