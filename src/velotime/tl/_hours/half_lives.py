"""Known half-lives, matched with the genes of an object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime._check import NotAllowedError, Rule
from velotime._status import InputError
from velotime._types import FloatArray

COLUMNS = ("half_life", "half_life_hours", "half_life_h", "halflife", "hours", "t1_2", "t_half")
ALLOWED = (
    "half-lives in hours by the names of genes: a Series, a dict, or a DataFrame with one numeric column or one named "
    "'half_life'"
)


@dataclass(frozen=True)
class HalfLives(Rule):
    """Half-lives of genes: kept as a Series of positive hours, one per name, missing ones left out."""

    allowed = ALLOWED

    def accept(self, value: Any) -> pd.Series:
        """The median where a name comes more than once, as genes with several transcripts do in published tables."""
        if isinstance(value, pd.DataFrame):
            value = _column(value)
        if not isinstance(value, pd.Series | Mapping):
            raise NotAllowedError("A file is read with pandas.read_csv(path, index_col=0).")
        series = pd.Series(value) if not isinstance(value, pd.Series) else value
        hours = pd.to_numeric(series, errors="coerce").astype(np.float64)
        hours = hours[np.isfinite(hours)]
        if len(hours) == 0:
            raise NotAllowedError("It holds no numbers.")
        if (hours <= 0).any():
            names = [str(name) for name in hours.index[hours <= 0][:3]]
            raise NotAllowedError(f"{int((hours <= 0).sum())} are zero or negative, e.g. of {names}: leave them out.")
        return hours.groupby(hours.index.astype(str)).median()


def _column(table: pd.DataFrame) -> pd.Series:
    """The column of half-lives."""
    named = [name for name in table.columns if str(name).lower().replace("-", "_").replace(" ", "_") in COLUMNS]
    numeric = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name])]
    for found in (named, numeric):
        if len(found) == 1:
            return table[found[0]]
    raise NotAllowedError(
        f"Columns are {[str(name) for name in table.columns]}: give the one with half-lives in hours, table['name']."
    )


def match_genes(adata: AnnData, half_lives: pd.Series) -> FloatArray:
    """Half-life of each gene of the object, NaN where none is given, ``(genes,)``.

    Names are those of ``var_names`` or of whichever column of ``var`` has most of them; versions of Ensembl's
    identifiers do not count.

    Raises
    ------
    InputError
        If none matches.
    """
    known = half_lives.groupby(_plain(half_lives.index)).median()
    ways = [pd.Index(adata.var_names), *(pd.Index(adata.var[name]) for name in _name_columns(adata))]
    found = [known.reindex(_plain(way)).to_numpy(dtype=np.float64) for way in ways]
    best = max(found, key=lambda values: int(np.isfinite(values).sum()))
    if not np.isfinite(best).any():
        raise InputError(_none_matches(adata, known))
    return best


def _plain(names: pd.Index) -> pd.Index:
    """Names as text, Ensembl's identifiers without their version."""
    return names.astype(str).str.replace(r"^(ENS[A-Z]*\d{8,})\.\d+$", r"\1", regex=True)


def _name_columns(adata: AnnData) -> list[str]:
    """Columns of ``var`` that hold text."""
    return [name for name in adata.var.columns if not pd.api.types.is_numeric_dtype(adata.var[name])]


def _none_matches(adata: AnnData, known: pd.Series) -> str:
    text = (
        f"half_lives: none of its {len(known):,} genes is among the {adata.n_vars:,} of adata. Its names look like "
        f"{[str(name) for name in known.index[:3]]}, those of adata like {list(adata.var_names[:3])}. "
        "Name its genes as adata.var_names or as a column of adata.var does."
    )
    alike = set(known.index.str.lower()) & set(adata.var_names.str.lower())
    if alike:
        text += f" {len(alike):,} would match but for upper and lower case: are they of another species?"
    return text
