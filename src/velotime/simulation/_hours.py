"""What is known in hours of simulated genes: half-lives."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator

from velotime._check import RNG, Instance, Number, Whole, checked
from velotime._status import InputError

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


def _require_truth(adata: AnnData) -> None:
    if "true_gamma" not in adata.var:
        raise InputError("adata.var lacks 'true_gamma': give an object of velotime.simulation.simulate.")
