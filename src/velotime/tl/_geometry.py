"""Where cells lie, for the starts: principal components and diffusion map of some of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import anndata as ad
import numpy as np
import scanpy as sc
from numpy.random import Generator
from scipy import sparse

from velotime._log import scanpy_aside
from velotime._status import InputError
from velotime._types import BoolArray
from velotime.inference import MOST_LANDMARKS, Geometry, Observations, without_offsets

MOST_CELLS = 3000  # placed at most: enough for the axes, and short fits use some of them anyhow
N_COMPONENTS = 20
N_DIFFUSION = 10
N_NEIGHBORS = 30  # or half of the cells: if all were neighbours of all, the map would have no axis
LEAST_GENES = 2
LEAST_DISTINCT = 10  # cells with values of their own


def place_cells(
    observations: Observations, rng: Generator, *, counts: bool = True, include: Sequence[int] = ()
) -> Geometry:
    """Diffusion map of at most 3,000 cells, from spliced: log-normalised if they are counts, else as they are.

    Up to 100 of ``include`` are among them; of others with the same values one is. Scanpy does the work on a copy; the
    caller's object is not touched.

    Raises
    ------
    InputError
        If there is only one gene, or hardly any two cells differ.
    """
    if observations.n_genes < LEAST_GENES:
        raise InputError(
            f"only {observations.n_genes} gene can be fitted: to order the cells a shared clock needs at least "
            f"{LEAST_GENES}. Keep more genes, or give each a clock of its own: method=vt.TwoStageEM()."
        )
    cells = observations.draw(MOST_CELLS, rng, include, MOST_LANDMARKS)
    spliced = sparse.csr_matrix(observations.select_cells(cells).spliced, dtype=np.float32)
    if counts:
        spliced = (sparse.diags(1.0 / observations.size_spliced[cells], dtype=np.float32) @ spliced).log1p()
    chosen = _first_of_same(spliced) | np.isin(cells, include)
    cells, spliced = cells[chosen], spliced[chosen]
    if len(cells) < LEAST_DISTINCT:
        raise InputError(
            f"only {len(cells)} cells differ from each other in the spliced values of the genes to fit: to order them "
            f"at least {LEAST_DISTINCT} must. Check the layers, or keep more genes."
        )
    copy = ad.AnnData(spliced)
    smaller = min(len(cells), observations.n_genes) - 1
    seed = int(rng.integers(2**31 - 1))
    with scanpy_aside(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scanpy's own making, about its dependencies
        sc.pp.pca(copy, n_comps=min(N_COMPONENTS, smaller), random_state=seed)
        if isinstance(observations, Observations) and observations.sample is not None:
            copy.obsm["X_pca"] = without_offsets(copy.obsm["X_pca"], observations.sample[cells], seed)
        sc.pp.neighbors(copy, n_neighbors=min(N_NEIGHBORS, len(cells) // 2), method="gauss", random_state=seed)
        sc.tl.diffmap(copy, n_comps=min(N_DIFFUSION, len(cells) - 2), random_state=seed)
    value = np.clip(np.asarray(copy.uns["diffmap_evals"][1:], dtype=np.float64), 0.0, 1.0 - 1e-6)
    vectors = np.asarray(copy.obsm["X_diffmap"][:, 1:], dtype=np.float64)
    return Geometry(cells, vectors * (value / (1.0 - value)), np.asarray(copy.obsm["X_pca"], dtype=np.float64))


def _first_of_same(values: sparse.csr_matrix) -> BoolArray:
    """Which cells are the first with their values, ``(cells,)``.

    Means over neighbours are often the same for many cells. Of a cell whose neighbours all lie at its own place, a
    diffusion map does not know how far to look.
    """
    # a projection on a random direction is equal for equal values, and only for these
    key = values @ np.random.default_rng(0).normal(size=values.shape[1])
    first = np.zeros(len(key), dtype=bool)
    first[np.unique(key, return_index=True)[1]] = True
    return first
