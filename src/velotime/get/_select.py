"""Some cells and genes of an object, by name or by place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from velotime._check import NotAllowedError, Optional, Rule
from velotime._status import InputError
from velotime._types import IntArray

#: Names, indices, a boolean mask or a slice; one name or index; None for all.
Selection: TypeAlias = "str | int | slice | Sequence[Any] | np.ndarray | pd.Index | pd.Series | None"


@dataclass(frozen=True)
class SomeOf(Rule):
    """Some cells or genes."""

    what: str

    @property
    def allowed(self) -> str:
        """In any way that tells them."""
        return f"names of {self.what}, their indices, a boolean mask or a slice"

    def accept(self, value: Any) -> Any:
        """As it is."""
        if isinstance(value, bool | np.bool_ | float | bytes) or not isinstance(
            value, str | int | np.integer | slice | Iterable
        ):
            raise NotAllowedError
        return list(value) if isinstance(value, set | frozenset | dict) else value


CELLS, GENES = Optional(SomeOf("cells")), Optional(SomeOf("genes"))


def select(names: pd.Index, given: Selection, what: str) -> IntArray:
    """Indices of what is asked for, in the order in which it is.

    Raises
    ------
    InputError
        If a name does not exist, an index is out of range, or a mask has another length.
    """
    if given is None:
        return np.arange(len(names))
    if isinstance(given, slice):
        return np.arange(len(names))[given]
    asked = np.atleast_1d(np.asarray(given))
    if asked.dtype == bool:
        if asked.shape != (len(names),):
            raise InputError(f"{what}: a mask of {asked.size} for {len(names)} {what}; it needs one value for each.")
        return np.flatnonzero(asked)
    if asked.size == 0:
        return np.zeros(0, dtype=np.int64)
    if np.issubdtype(asked.dtype, np.integer):
        if asked.min() < -len(names) or asked.max() >= len(names):
            raise InputError(
                f"{what}={given!r}: there are {len(names)} {what}; indices run from 0 to {len(names) - 1}."
            )
        return np.asarray(asked % len(names), dtype=np.int64)
    found = names.get_indexer(pd.Index(asked.astype(str)))
    if (found < 0).any():
        missing = [str(name) for name in asked[found < 0][:5]]
        raise InputError(f"{what} not found: {missing}; names look like {[str(name) for name in names[:3]]}.")
    return np.asarray(found, dtype=np.int64)
