"""tidesurf: an ``.h5ad`` with layers spliced, unspliced and ambiguous for each sample of a Cell Ranger run."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from velotime._status import InputError
from velotime.data.formats.h5ad import read_h5ad
from velotime.data.formats.parts.layout import KINDS
from velotime.data.layers.names import layer_names
from velotime.data.samples import merge_samples

PLACES = ("", "tidesurf_out")
PREFIX = "tidesurf"


def read_tidesurf(path: str | Path) -> AnnData:
    """Read what tidesurf counts.

    Parameters
    ----------
    path
        The output folder, ``tidesurf_out`` by tidesurf's default, the folder above it, or one of the files in it:
        ``tidesurf.h5ad``, or ``tidesurf_SAMPLE.h5ad`` for each sample of ``cellranger multi``, which are merged.

    Returns
    -------
    Cells x genes; layers ``spliced``, ``unspliced`` and ``ambiguous``, their sum in ``X``; the sample in
    ``obs["sample"]`` where there are several.

    Raises
    ------
    InputError
        If no such file is there, or one lacks a layer (as of tidesurf before 0.1).
    """
    files = [Path(path)] if Path(path).is_file() else find_tidesurf(Path(path))
    if not files:
        raise InputError(
            f"{path} {'holds no' if Path(path).exists() else 'does not exist: no'} tidesurf.h5ad or "
            "tidesurf_SAMPLE.h5ad. Give the folder that tidesurf wrote (its -o)."
        )
    samples = {file.stem.removeprefix(f"{PREFIX}_"): _read(file) for file in files}
    return merge_samples(samples) if len(samples) > 1 else next(iter(samples.values()))


def find_tidesurf(folder: Path) -> list[Path]:
    """Files of tidesurf in a folder, in the order of their names."""
    for place in PLACES:
        found = sorted((folder / place).glob(f"{PREFIX}*.h5ad"))
        found = [file for file in found if file.stem == PREFIX or file.stem.startswith(f"{PREFIX}_")]
        if found:
            return found
    return []


def _read(path: Path) -> AnnData:
    adata = read_h5ad(path)
    missing = [kind for kind in KINDS if kind not in adata.layers]
    if missing:
        raise InputError(
            f"{path} has no layers {missing}, but {layer_names(adata)}: it was not made by tidesurf, or by one of its "
            "first versions. Read any other file with velotime.read.auto(path)."
        )
    return adata
