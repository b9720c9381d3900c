"""What is known in hours of simulated genes: half-lives, and counts that were labelled before harvest."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator
from scipy import sparse

from velotime._check import RNG, Either, Instance, Number, Text, Whole, checked
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.kinetics import WHOLE_TURN, SwitchParameter, labelled_shares, switch_means
from velotime.simulation._cycle import SMOOTH, cycle_means

TRUTH = ("true_beta", "true_gamma", "true_t_on", "true_t_off", "true_level_0", "true_level_1", "true_level_2")
BLOCK = 512  # cells whose curves are evaluated at a time
ADATA = Instance(AnnData, "an AnnData of velotime.simulation.simulate")


@checked({"adata": ADATA, "hours": Number(0, open_least=True), "n_genes": Whole(1), "error": Number(0), "rng": RNG})
def half_lives(
    adata: AnnData, *, hours: float = 48.0, n_genes: int = 30, error: float = 0.3, rng: int | Generator = 0
) -> pd.Series:
    """Half-lives of some genes as if they had been measured.

    Parameters
    ----------
    adata
        Of :func:`simulate`.
    hours
        That all of the clock, or a turn of it, takes.
    n_genes
        Genes of which they are known, drawn among all; all of them if there are fewer.
    error
        Standard deviation of the log-normal error.
    rng
        A seed, or a ``numpy.random.Generator``.

    Returns
    -------
    Hours, by gene: ``hours ln 2/gamma``; of a cycle without the dilution of cells that double in a turn.

    Raises
    ------
    InputError
        If the object is not simulated.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> rng = np.random.default_rng(0)
    >>> adata = vt.simulation.simulate(50, 40, rng=rng)
    >>> len(vt.simulation.half_lives(adata, hours=48.0, rng=rng))
    30
    """
    _require_truth(adata)
    rng = np.random.default_rng(rng)  # a generator as it is
    genes = np.sort(rng.choice(adata.n_vars, min(n_genes, adata.n_vars), replace=False))
    gamma = adata.var["true_gamma"].to_numpy()[genes]
    if "true_phase" in adata.obs:
        gamma = np.maximum(gamma - np.log(2), 0.05 * gamma)
    measured = hours * np.log(2) / gamma * np.exp(rng.normal(0, error, len(genes)))
    return pd.Series(measured, index=adata.var_names[genes], name="half_life")


@checked(
    {
        "adata": ADATA,
        "labelled": Either((Number(0), Text("the name of an obs column"))),
        "hours": Number(0, open_least=True),
        "conversion": Number(0, 1),
        "rng": RNG,
    }
)
def label_new(
    adata: AnnData,
    labelled: float | str,
    *,
    hours: float = 48.0,
    conversion: float = 0.4,
    rng: int | Generator = 0,
) -> None:
    """Label what was transcribed within the last hours before harvest, and see a share of it as new.

    Parameters
    ----------
    adata
        Of :func:`simulate`, of one sample.
    labelled
        Hours for which the label was there: a number, or an obs column of numbers.
    hours
        That all of the clock, or a turn of it, takes.
    conversion
        Share of the new molecules that are seen as new.
    rng
        A seed, or a ``numpy.random.Generator``.

    Returns
    -------
    Nothing. Writes layers ``new_unspliced`` and ``new_spliced`` (CSR, float32): binomial draws of the counts.

    Raises
    ------
    InputError
        If the object is not simulated, or holds several samples, which have curves of their own.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> rng = np.random.default_rng(0)
    >>> adata = vt.simulation.simulate(50, 40, rng=rng)
    >>> vt.simulation.label_new(adata, 2.0, hours=48.0, rng=rng)
    >>> bool((adata.layers["new_spliced"] > adata.layers["spliced"]).nnz == 0)
    True
    """
    _require_truth(adata)
    if "true_samples" in adata.uns:
        raise InputError("the object holds several samples, which have curves of their own: simulate one sample.")
    rng = np.random.default_rng(rng)  # a generator as it is
    given = adata.obs[labelled].to_numpy(dtype=np.float64) if isinstance(labelled, str) else float(labelled)
    shares = _new_shares(adata, np.broadcast_to(np.asarray(given) / hours, adata.n_obs))
    for name, share in zip(("unspliced", "spliced"), shares, strict=True):
        counts = sparse.coo_array(adata.layers[name])
        new = rng.binomial(counts.data.astype(np.int64), conversion * share[counts.row, counts.col])
        adata.layers[f"new_{name}"] = sparse.csr_matrix((new.astype(np.float32), counts.coords), counts.shape)


def _require_truth(adata: AnnData) -> None:
    missing = [name for name in TRUTH if name not in adata.var]
    if missing:
        raise InputError(f"adata.var lacks {missing}: give an object of velotime.simulation.simulate.")


def _new_shares(adata: AnnData, window: FloatArray) -> FloatArray:
    """Shares of new molecules of both layers, ``(2, cells, genes)``, of windows on the clock, ``(cells,)``."""
    round_ = "true_phase" in adata.obs
    time = adata.obs["true_phase" if round_ else "true_time"].to_numpy(dtype=np.float64)
    means = cycle_means if round_ else switch_means
    shares = np.empty((2, *adata.shape))
    for lineage, theta in enumerate(_theta(adata)):
        rates = tuple(np.exp(theta[:, [k]]) for k in (SwitchParameter.LOG_BETA, SwitchParameter.LOG_GAMMA))
        mine = np.flatnonzero(_lineage(adata) == lineage)
        for cells in np.array_split(mine, -(-max(len(mine), 1) // BLOCK)):
            before, now = (means(theta, at) for at in (time[cells] - window[cells], time[cells]))
            shares[:, cells] = np.stack([of.T for of in labelled_shares(before, now, window[cells], rates)])
    return shares


def _theta(adata: AnnData) -> list[FloatArray]:
    """Parameters of the genes in each lineage, ``(genes, 8)`` each."""
    p, var = SwitchParameter, {name: adata.var[name].to_numpy(dtype=np.float64) for name in TRUTH}
    theta = np.zeros((adata.n_vars, len(p)))
    for column, name in ((p.LOG_BETA, "beta"), (p.LOG_GAMMA, "gamma"), (p.LOG_LEVEL_0, "level_0")):
        theta[:, column] = np.log(var[f"true_{name}"])
    theta[:, p.T_ON], theta[:, p.LOG_LEVEL_1] = var["true_t_on"], np.log(var["true_level_1"])
    ends = np.asarray(adata.varm.get("true_t_off", var["true_t_off"][:, None]), dtype=np.float64)
    levels = np.asarray(adata.varm.get("true_level_2", var["true_level_2"][:, None]), dtype=np.float64)
    every = []
    for end, level in zip(ends.T, levels.T, strict=True):
        own = theta.copy()
        own[:, p.LOG_DURATION], own[:, p.LOG_LEVEL_2] = np.log(end - var["true_t_on"]), np.log(level)
        own[np.asarray(adata.var["true_class"] == SMOOTH), p.LOG_DURATION] = WHOLE_TURN
        every.append(own)
    return every


def _lineage(adata: AnnData) -> IntArray:
    """Lineage of each cell, ``(cells,)``; a circle has one."""
    if "true_lineage" not in adata.obs:
        return np.zeros(adata.n_obs, dtype=int)
    return np.asarray(adata.obs["true_lineage"].astype(int))
