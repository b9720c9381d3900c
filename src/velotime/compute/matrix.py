"""Values of cells and genes, sparse or dense, and the one way to make an array of them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

#: Values of one layer, ``(cells, genes)``: a ``scipy.sparse`` matrix or array, or a dense array.
Matrix: TypeAlias = Any


def as_array(matrix: Matrix, dtype: DTypeLike | None = None) -> Any:
    """The values as a dense array, of their own type unless ``dtype`` is given; a dense array is not copied."""
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix, dtype=dtype)
