"""Which dense layers of cells x genes a fit writes."""

from __future__ import annotations

from collections.abc import Sequence

from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
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
