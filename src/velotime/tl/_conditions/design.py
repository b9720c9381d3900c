"""Which sample is of which condition, and what such a design can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime._check import label_text
from velotime._status import InputError
from velotime._types import FloatArray


@dataclass(frozen=True)
class Design:
    """Samples and their conditions.

    Attributes
    ----------
    matrix
        Intercept, a column for each further condition, then columns of batches, ``(samples, coefficients)``.
    conditions
        The reference first.
    of_samples
        Condition of each sample.
    """

    matrix: FloatArray
    conditions: tuple[str, ...]
    of_samples: tuple[str, ...]

    @property
    def n_samples(self) -> tuple[int, ...]:
        """Of each condition."""
        return tuple(self.of_samples.count(name) for name in self.conditions)

    @property
    def replicated(self) -> bool:
        """Whether samples are left to tell chance from conditions."""
        return bool(len(self.matrix) > self.matrix.shape[1])

    @property
    def note(self) -> str:
        """What the design can tell and what not, in a sentence; empty where nothing needs to be said."""
        counts = ", ".join(f"{name}: {n}" for name, n in zip(self.conditions, self.n_samples, strict=True))
        if not self.replicated:
            return (
                f"samples by condition are {counts}: without a second sample of any condition, what differs between "
                "conditions cannot be told from what differs between any two samples. Estimates are given, without "
                "p-values; levels of transcription are not compared, as a sample's captures would pass for them."
            )
        alone = [name for name, n in zip(self.conditions, self.n_samples, strict=True) if n == 1]
        if alone:
            return f"conditions with one sample only: {', '.join(alone)}; how much samples differ comes from others."
        return ""


def design_of(
    adata: AnnData, column: str, names: tuple[str, ...], condition: str, reference: str | None, batch: str | None
) -> Design:
    """The design of the samples ``names`` of an obs column.

    Raises
    ------
    InputError
        If a column is missing, lacks values or differs within a sample, there is one condition, the reference is none
        of them, or batches and conditions are the same.
    """
    of = _of_samples(adata, column, names, condition)
    found = _ordered(adata, condition, of)
    if len(found) < 2:
        raise InputError(f"obs[{condition!r}] has one condition, {found[0]!r}: give a column with two or more.")
    if reference is not None and reference not in found:
        raise InputError(f"reference={reference!r}: must be one of the conditions, {found}.")
    first = found[0] if reference is None else reference
    conditions = (first, *(name for name in found if name != first))
    columns = [np.ones(len(names)), *((of == name).astype(float) for name in conditions[1:])]
    if batch is not None:
        batches = _of_samples(adata, column, names, batch)
        columns += [(batches == name).astype(float) for name in np.unique(batches)[1:]]
    matrix = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise InputError(
            f"obs[{batch!r}] and obs[{condition!r}] go together: every batch holds one condition, so that nothing can "
            "tell what is of the batch from what is of the condition. No analysis can mend this; it takes samples "
            "of two conditions in one batch. Leave out batch= to compare the conditions as they are."
        )
    return Design(matrix, conditions, tuple(str(name) for name in of))


def _of_samples(adata: AnnData, column: str, names: tuple[str, ...], asked: str) -> np.ndarray:
    if asked not in adata.obs:
        raise InputError(f"column {asked!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    _require_values(adata, column, asked)
    table = pd.DataFrame(
        {"sample": adata.obs[column].map(label_text).astype(str), "value": adata.obs[asked].map(label_text).astype(str)}
    ).drop_duplicates()
    twice = table.loc[table["sample"].duplicated(), "sample"]
    if len(twice):
        raise InputError(
            f"obs[{asked!r}] differs within sample {twice.iloc[0]!r}: conditions and batches are of whole samples. "
            "To compare cells within a sample use velotime.tl.differential_kinetics."
        )
    return table.set_index("sample")["value"].loc[list(names)].to_numpy()


def _require_values(adata: AnnData, column: str, asked: str) -> None:
    cells = adata.obs.loc[adata.obs[asked].isna(), column]
    if len(cells):
        raise InputError(
            f"obs[{asked!r}] has no value in cells of these samples: {sorted(set(cells.astype(str)))}. Fill it in for "
            "all of their cells, or fit without these samples."
        )


def _ordered(adata: AnnData, column: str, found: np.ndarray) -> list[str]:
    """Conditions in the order of their categories, else sorted, numbers as numbers."""
    values = adata.obs[column]
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [label_text(name) for name in values.cat.categories if label_text(name) in set(found)]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return [label_text(value) for value in np.unique(values) if label_text(value) in set(found)]
    return [str(name) for name in np.unique(found)]
