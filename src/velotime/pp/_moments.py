"""Means over neighbours."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from numpy.random import Generator

from velotime import _keys as keys
from velotime._check import RNG, Flag, Whole, checked, seed_of
from velotime._log import told
from velotime._types import FloatArray
from velotime.data import (
    NeighborhoodMeans,
    find_layers,
    find_neighbors,
    layer_blocks,
    sizes_of_totals,
    to_write_to,
)
from velotime.data.arguments import ADATA, LAYER


@checked(
    {
        "adata": ADATA,
        "n_neighbors": Whole(2),
        "unspliced": LAYER,
        "spliced": LAYER,
        "rng": RNG,
        "copy": Flag(),
    }
)
def moments(
    adata: AnnData,
    *,
    n_neighbors: int = 30,
    unspliced: str | None = None,
    spliced: str | None = None,
    rng: int | Generator = 0,
    copy: bool = False,
) -> AnnData | None:
    """Average both layers over each cell and its neighbours, for the methods that read moments.

    Every cell's counts are first scaled to the median total of its layer. scVelo's first-order moments (Bergen et
    al. 2020): all neighbours weigh the same, as does the cell itself. ``vt.SoftEM`` needs none of this.

    Parameters
    ----------
    adata
        Cells x genes with raw counts of both layers, which stay as they are. If ``obsp`` holds ``distances`` and
        ``connectivities`` already, those are the neighbours.
    n_neighbors
        Neighbours to find otherwise (the cell itself counts, as in scanpy), on 30 principal components of the
        log-normalised spliced counts. scVelo's 30.
    unspliced, spliced
        Layer names; found by themselves by default.
    rng
        Of the principal components: a seed, or a ``numpy.random.Generator``, which is asked for one.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; writes

    ``layers["Mu"]``, ``layers["Ms"]``
        Means of unspliced and spliced over the neighbours, (cells, genes), float32.
    ``uns["moments"]``
        Where the two came from, with the ``n_neighbors`` that were used. dict.
    ``obsp["velotime_distances"]``, ``obsp["velotime_connectivities"]``, ``uns["velotime_neighbors"]``
        Neighbours, where there were none. Those of the user are never changed.

    Raises
    ------
    InputError
        If a layer is missing or holds something else than raw counts, or ``n_neighbors`` is less than 2 (the cell
        itself counts).

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(100, 30, rng=np.random.default_rng(0))
    >>> vt.pp.moments(adata, n_neighbors=10)
    >>> adata.layers["Ms"].shape
    (100, 30)
    """
    adata = to_write_to(adata, copy=copy)
    with told("computing means over neighbours") as done:
        _write(adata, find_layers(adata, unspliced, spliced), n_neighbors, seed_of(rng))
        done(f"added layers {keys.MU!r} and {keys.MS!r}")
    return adata if copy else None


def _write(adata: AnnData, names: tuple[str, str], n_neighbors: int, seed: int) -> None:
    columns = keys.SIZE_UNSPLICED, keys.SIZE_SPLICED
    scales = [_scale(adata, name, column) for name, column in zip(names, columns, strict=True)]
    neighbors = find_neighbors(adata, n_neighbors=n_neighbors, spliced=names[1], seed=seed)
    means = {}
    for target, name, scale in zip((keys.MU, keys.MS), names, scales, strict=True):
        of_genes = NeighborhoodMeans.of(adata, name, scale, neighbors, counts=True)
        means[target] = np.empty(adata.shape, dtype=np.float32)
        for some in of_genes.blocks:
            means[target][:, some] = of_genes(some)
    neighbors.write(adata)
    adata.layers.update(means)
    adata.uns[keys.MOMENTS] = {
        "source": keys.NEIGHBORS,
        "layers": {"unspliced": names[0], "spliced": names[1]},
        "n_neighbors": neighbors.n_neighbors,
        keys.N_AVERAGED: neighbors.n_averaged,
    }


def _scale(adata: AnnData, name: str, column: str) -> FloatArray:
    """What brings each cell to the median size factor, ``(cells,)``."""
    blocks = layer_blocks(adata.layers[name], name, counts=True)
    totals = np.concatenate([values.sum(axis=1, dtype=np.float64) for _, values in blocks])
    size = sizes_of_totals(adata, totals, column)
    return np.asarray(np.median(size) / size)
