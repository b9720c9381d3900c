"""Names of fits and of sets of cells or genes: hashes of their contents, not of the time of the run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime.inference import Observations

DIGITS = 8  # bytes of a hash
BLOCK = 4096  # rows of a dense array that are hashed at a time


def digest(*parts: Any) -> str:
    """Hash of texts, numbers, arrays and sparse matrices; the same values in other containers have other hashes."""
    hasher = blake2b(digest_size=DIGITS)
    for part in parts:
        for piece in _pieces(part):
            hasher.update(piece)
        hasher.update(b"|")
    return hasher.hexdigest()


def _pieces(part: Any) -> Iterable[Any]:
    if sparse.issparse(part):
        part = part.tocsr()
        yield str(part.shape).encode()
        for array in (part.indptr.astype(np.int64), part.indices.astype(np.int32, copy=False), part.data):
            yield np.ascontiguousarray(array).data.cast("B")
    elif isinstance(part, np.ndarray) and part.dtype.kind in "biufc":
        yield f"{part.dtype}{part.shape}".encode()
        for first in range(0, len(part), BLOCK):
            yield np.ascontiguousarray(part[first : first + BLOCK]).data.cast("B")
    elif isinstance(part, np.ndarray):
        yield "\x1f".join(part.astype(str).tolist()).encode()
    else:
        yield json.dumps(part, sort_keys=True, default=_as_list).encode()


def _as_list(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def fingerprint(names: Iterable[Any]) -> str:
    """Of a set of names in any order: their number, and the sum of their hashes."""
    total, n = 0, 0
    for name in names:
        total += int.from_bytes(blake2b(str(name).encode(), digest_size=DIGITS).digest(), "little")
        n += 1
    return f"{n}:{total % 2 ** (8 * DIGITS):0{2 * DIGITS}x}"


def fit_id(adata: AnnData, observations: Observations, settings: Any, columns: Iterable[str], **what: Any) -> str:
    """Name of a fit: a hash of the values, sizes and labels that it was given, of the method, seed and version."""
    return digest(
        what,
        settings,
        np.asarray(adata.obs_names),
        np.asarray(adata.var_names),
        *observations.contents,
        observations.size_unspliced,
        observations.size_spliced,
        float(observations.n_averaged),
        *(np.asarray(adata.obs[column].astype(str)) for column in columns),
    )


def fingerprints(adata: AnnData) -> tuple[str, str]:
    """Of the names of cells and genes."""
    return fingerprint(adata.obs_names), fingerprint(adata.var_names)
