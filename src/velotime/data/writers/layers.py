"""Which dense layers of cells x genes a fit writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data.fitted import Fitted
from velotime.inference import Method, MixtureEM, SoftEM, TwoStageEM

MOST_ENTRIES = 2e8  # of cells x genes: 0.8 GB per layer; larger ones are written where they are asked for
SOFT = (keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U, keys.VELOCITY_SD, keys.FIT_T)
SHARED = (keys.VELOCITY, keys.VELOCITY_U, keys.FIT_T)
GENE = (*SHARED, keys.FIT_TAU, keys.FIT_TAU_OFF, keys.MS, keys.MU)


def offered_layers(method: Method) -> tuple[str, ...]:
    """Layers that fits by a method can write; any for a method that velotime does not know."""
    if isinstance(method, SoftEM):
        return SOFT
    if isinstance(method, TwoStageEM):
        return SHARED if method.places_cells else GENE
    return () if isinstance(method, MixtureEM) else tuple(dict.fromkeys((*SOFT, *GENE)))


def choose_layers(adata: AnnData, method: Method, given: Sequence[str] | None) -> tuple[str, ...]:
    """The layers to write: those given, else all if each has at most 2e8 entries, else none.

    Raises
    ------
    InputError
        If a name is not that of a layer that the method can write.
    """
    offered = offered_layers(method)
    if given is None:
        return offered if adata.n_obs * adata.n_vars <= MOST_ENTRIES else ()
    if not all(name in offered for name in given):
        raise InputError(
            f"layers={given!r}: must be a tuple of names, of which {type(method).__name__} can write {offered}; () "
            "writes none, None all of them if cells x genes are at most 200 million."
        )
    return tuple(given)


def rows_of_layers(adata: AnnData, names: Sequence[str]) -> dict[str, Callable[[slice], FloatArray]]:
    """What computes the rows of dense layers of the fit, all genes; of those names that are not in ``layers`` yet.

    Raises
    ------
    InputError
        If nothing is fitted, or a name is not that of a layer that the fit can give for a block of cells.
    """
    missing = [name for name in names if name not in adata.layers]
    if not missing:
        return {}
    fitted = Fitted.of(adata).require("curves")
    genes = np.arange(adata.n_vars)
    rows: dict[str, Callable[[slice], FloatArray]] = {
        keys.VELOCITY: lambda cells: fitted.velocity(cells, genes),
        keys.VELOCITY_U: lambda cells: fitted.velocity_u(cells, genes),
        keys.MU: lambda cells: fitted.means(cells, genes)[0],
        keys.MS: lambda cells: fitted.means(cells, genes)[1],
        keys.FIT_T: lambda cells: np.repeat(fitted.latent_time[cells, None].astype(np.float32), len(genes), axis=1),
    }
    if "velocity_sd" in fitted.capabilities:
        rows[keys.VELOCITY_SD] = lambda cells: fitted.velocity_sd(cells, genes)
    wrong = [name for name in missing if name not in rows]
    if wrong:
        raise InputError(f"layers={tuple(names)!r}: no layers {wrong}; this fit can give {tuple(rows)}.")
    return {name: rows[name] for name in missing}
