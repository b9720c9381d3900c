"""Which layers hold unspliced and spliced counts."""

from __future__ import annotations

from collections.abc import Iterable

from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError


def find_layers(adata: AnnData, unspliced: str | None = None, spliced: str | None = None) -> tuple[str, str]:
    """Names of the unspliced and the spliced layer: those given, or those that the common quantifiers write.

    Raises
    ------
    InputError
        If a layer is not there; the message lists those that are.
    """
    names = (
        _find_layer(adata, unspliced, keys.UNSPLICED_NAMES, "unspliced"),
        _find_layer(adata, spliced, keys.SPLICED_NAMES, "spliced"),
    )
    if names[0] == names[1]:
        raise InputError(
            f"layer {names[0]!r} is given for both unspliced= and spliced=: they must be two layers. Available: "
            f"{layer_names(adata)}."
        )
    return names


def find_spliced(adata: AnnData, spliced: str | None = None) -> str:
    """Name of the spliced layer alone, as :func:`find_layers` finds it, for what reads no unspliced counts.

    A fit may have read the layers under any names, also exchanged.
    """
    return _find_layer(adata, spliced, keys.SPLICED_NAMES, "spliced")


def _find_layer(adata: AnnData, given: str | None, known: Iterable[str], kind: str) -> str:
    available = layer_names(adata)
    for name in [given] if given is not None else known:
        if name in available:
            return name
    if given is not None:
        raise InputError(
            f"layer {given!r} not found in adata.layers; available: {available}. Pass {kind}= one of these."
        )
    raise InputError(
        f"no {kind} layer found in adata.layers: looked for {list(known)}; available: {available}. "
        f"Pass {kind}='...' with the name of the layer that holds the {kind} counts "
        f"(--{kind} on the command line)."
    )


def layer_names(adata: AnnData) -> list[str]:
    """Names of the layers, without X, which AnnData 0.13 keeps among them under None."""
    return [name for name in adata.layers if name is not None]
