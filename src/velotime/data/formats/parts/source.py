"""Files that are read: there or not, text compressed or not, and one sentence where one cannot be read."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.io import mmread

from velotime._status import InputError


def existing(path: Path) -> Path | None:
    """The path, or that of its compressed form, if it is a file."""
    zipped = path.with_name(path.name + ".gz")
    return path if path.is_file() else zipped if zipped.is_file() else None


def read_text(path: Path) -> str:
    """All of a text file."""
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as file:
            return file.read()
    return path.read_text()


def read_lines(path: Path) -> pd.Series:
    """The lines of a file."""
    return pd.Series(read_or_explain(path, read_text).splitlines(), dtype=object)


def read_table(path: Path) -> pd.DataFrame:
    """Columns of a file with tabs between them, all as text."""
    return pd.DataFrame([line.split("\t") for line in read_lines(path)], dtype=object)


def read_matrix(path: Path) -> sparse.csr_matrix:
    """A Matrix Market file as CSR, float32; one that is cut off is refused."""
    return read_or_explain(path, lambda path: sparse.csr_matrix(mmread(path, spmatrix=False), dtype=np.float32))


def absent(path: Path) -> InputError:
    """An error that says that a file or folder is not there, and what of nearly this name is."""
    names = [beside.name for beside in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, sorted(names), n=3)
    if near:
        return InputError(f"{path} does not exist; similar: {', '.join(str(path.with_name(name)) for name in near)}.")
    return InputError(f"{path} does not exist{f'; nor does its folder {path.parent}' * (not path.parent.is_dir())}.")


def read_or_explain(path: Path, reader: Callable[[Path], Any]) -> Any:
    """What ``reader`` makes of the file, or one sentence about why it cannot."""
    try:
        return reader(path)
    except Exception as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}.") from error


def read_checked(path: str | Path, reader: Callable[[Path], AnnData], kind: str) -> AnnData:
    """What ``reader`` makes of a file of this ``kind`` (its suffix), or one sentence about why it cannot."""
    path = Path(path)
    if not path.exists():
        raise absent(path)
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; give a file ({kind}), or read the folder of a quantifier with velotime.read.auto."
        )
    try:
        with warnings.catch_warnings():  # velotime warns itself, where it matters
            warnings.filterwarnings("ignore", ".*names are not unique", UserWarning)
            return reader(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as {kind}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """What an error says, or its name."""
    return (str(error) or type(error).__name__).splitlines()[0]


def check_stored(path: Path, group: Any) -> None:
    """Check that HDF5 holds all pieces of its datasets: it reads one that was never written as zeros."""

    def check(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or item.chunks is None:
            return
        whole = int(np.prod([-(-n // piece) for n, piece in zip(item.shape, item.chunks, strict=True)]))
        stored = item.id.get_num_chunks()
        if 0 < stored < whole:
            raise InputError(
                f"{path}: {stored} of {whole} pieces of {name} were written; the file is not complete. Copy it again, "
                "or make it again."
            )

    group.visititems(check)
