"""A table of samples: where each one lies, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import label_text
from velotime._status import InputError
from velotime.data.formats.parts.source import first_line

PATH = "path"
MANIFESTS = {".csv": ",", ".tsv": "\t"}  # how names of tables end, and what stands between their columns
COLUMNS = f"A table of samples has the columns {keys.SAMPLE!r} and {PATH!r}, one row for each sample, and any others"


@dataclass(frozen=True)
class Manifest:
    """Samples by name.

    Attributes
    ----------
    paths
        File or folder of each sample.
    about
        What else the table says of them, a row for each sample; text columns are categories.
    """

    paths: Mapping[str, Path]
    about: pd.DataFrame

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """From a ``.csv`` or ``.tsv`` file; paths in it are relative to its folder.

        Raises
        ------
        InputError
            If it cannot be read, or as :meth:`of`.
        """
        path = Path(path)
        try:
            table = pd.read_csv(path, sep=MANIFESTS[path.suffix], dtype={keys.SAMPLE: str, PATH: str}, comment="#")
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a table of samples: {first_line(error)}. {COLUMNS}.") from error
        return cls.of(table, path.parent)

    @classmethod
    def of(cls, table: pd.DataFrame, folder: Path | None = None) -> Manifest:
        """From a table; paths are relative to ``folder``.

        Raises
        ------
        InputError
            If a column is missing, a sample or path is empty, or a sample is there twice.
        """
        missing = [name for name in (keys.SAMPLE, PATH) if name not in table]
        if missing:
            raise InputError(f"the table of samples lacks {missing}; its columns are {list(table)}. {COLUMNS}.")
        if not len(table) or table[[keys.SAMPLE, PATH]].isna().any(axis=None):
            raise InputError(f"the table of samples has no row, or one without name or path. {COLUMNS}.")
        names = table[keys.SAMPLE].map(label_text).astype(str)
        if not names.is_unique:
            raise InputError(
                f"the table of samples has {names[names.duplicated()].iloc[0]!r} twice: name each row differently."
            )
        at = [(folder or Path()) / str(path) for path in table[PATH]]
        about = table.drop(columns=[keys.SAMPLE, PATH]).set_axis(pd.Index(names, name=None), axis=0)
        return cls(dict(zip(names, at, strict=True)), about.apply(_as_annotation))

    @classmethod
    def named(cls, paths: Mapping[str, str | Path]) -> Manifest:
        """Of paths alone."""
        at = {str(name): Path(path) for name, path in paths.items()}
        return cls(at, pd.DataFrame(index=pd.Index(list(at))))

    def annotate(self, merged: AnnData, column: str) -> None:
        """Write what is said of the samples into ``obs``, in place.

        Raises
        ------
        InputError
            If the cells have such a column already.
        """
        taken = [name for name in self.about if name in merged.obs]
        if taken:
            raise InputError(
                f"the table of samples says {taken}, but the files have obs columns of these names: "
                "give the columns of the table other names."
            )
        sample = merged.obs[column].astype(str)
        for name in self.about:
            merged.obs[name] = self.about[name].loc[sample].set_axis(merged.obs_names)


def _as_annotation(values: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as they are, anything else as categories."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return values
    return values.map(label_text, na_action="ignore").astype("category")
