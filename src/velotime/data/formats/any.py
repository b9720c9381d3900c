"""Whatever is there: a file or the folder of a quantifier, recognised by what is in it."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.alevin_fry import FRY, from_alevin_fry
from velotime.data.formats.h5ad import read_h5ad
from velotime.data.formats.kb import KB, from_kb
from velotime.data.formats.layout import read_layout
from velotime.data.formats.loom import read_loom
from velotime.data.formats.starsolo import SOLO, SOLO_OLD, from_old_starsolo, from_starsolo

READABLE = (".h5ad", ".loom")


def read_file(path: str | Path) -> AnnData:
    """Read an ``.h5ad`` or ``.loom`` file, told apart by how its name ends.

    Raises
    ------
    InputError
        If there is no such file, its kind is unknown, or it cannot be read.
    """
    path = Path(path)
    if path.exists() and not path.is_dir() and path.suffix not in READABLE:
        raise InputError(
            f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; known: {', '.join(READABLE)}."
        )
    return read_h5ad(path) if path.suffix == ".h5ad" else read_loom(path)


def read_any(path: str | Path) -> AnnData:
    """Read a file (``.h5ad``, ``.loom``) or the folder of a quantifier, recognised by what is in it.

    Parameters
    ----------
    path
        As of the other readers.

    Returns
    -------
    Cells x genes with the layers of the file, or ``spliced``, ``unspliced`` and ``ambiguous`` from a folder.

    Raises
    ------
    InputError
        If it does not exist, or is neither (the message lists what was looked for).
    """
    if not Path(path).is_dir():
        return read_file(path)
    return read_layout(
        path, (SOLO, from_starsolo), (KB, from_kb), (FRY, from_alevin_fry), (SOLO_OLD, from_old_starsolo)
    )
