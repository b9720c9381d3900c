"""Where cells lie in gene space, for what compares it with velocity."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.data.neighbors import neighborhood
from velotime.data.reading import find_layers


def neighborhood_means(adata: AnnData, genes: IntArray, *, spliced: str | None = None) -> FloatArray:
    """Spliced counts at size factor 1, averaged over each cell and its neighbours, ``(cells, genes)``, float32."""
    layers = adata.uns.get(keys.RECOVER_DYNAMICS, {}).get("layers", {})
    layer = sparse.csr_matrix(adata.layers[find_layers(adata, spliced=spliced or layers.get("spliced"))[1]])
    total = np.asarray(layer.sum(axis=1)).ravel()
    scale = total.mean() / np.where(total > 0, total, 1.0)
    weights = neighborhood(adata, scale)
    return np.asarray((weights @ layer[:, genes]).toarray(), dtype=np.float32)
