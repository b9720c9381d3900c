"""AnnData's own files."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
from anndata import AnnData

from velotime.data.formats.source import read_checked


def read_h5ad(path: str | Path) -> AnnData:
    """Read an ``.h5ad`` file as it is.

    Parameters
    ----------
    path
        Layers may be called ``spliced`` and ``unspliced``, or ``mature`` and ``nascent`` as kb-python's: a fit finds
        both.

    Returns
    -------
    The AnnData, with the names of its layers.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    return read_checked(path, ad.read_h5ad, ".h5ad")
