"""Array aliases. Shapes are written in docstrings with the words cells, genes, times, states, lineages."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: A real array, float64 unless said otherwise.
FloatArray: TypeAlias = NDArray[np.floating[Any]]
#: An array of indices or counts of things.
IntArray: TypeAlias = NDArray[np.integer[Any]]
#: A mask.
BoolArray: TypeAlias = NDArray[np.bool_]
