"""The published data, one function for each."""

from __future__ import annotations

from pathlib import Path

from anndata import AnnData

from velotime._check import FilePath, Optional, checked
from velotime.datasets._published import Published

RULES = {"folder": Optional(FilePath())}
GITHUB = "https://github.com/theislab/scvelo_notebooks/raw/master/data"
PANCREAS = Published("endocrinogenesis_day15.h5ad", f"{GITHUB}/Pancreas/endocrinogenesis_day15.h5ad", (3696, 27998))
DENTATE_GYRUS = Published("10X43_1.h5ad", f"{GITHUB}/DentateGyrus/10X43_1.h5ad", (2930, 13913))
ERYTHROID = Published("erythroid_lineage.h5ad", "https://ndownloader.figshare.com/files/27686871", (9815, 53801))


@checked(RULES, "datasets.pancreas")
def pancreas(*, folder: str | Path | None = None) -> AnnData:
    """Endocrine cells of the mouse pancreas at E15.5: 3,696 cells x 27,998 genes, four fates (50 MB).

    Published by Bastidas-Ponce et al. 2019, Development 146: dev173849 (GSE132188).

    Parameters
    ----------
    folder
        Where the file is kept, or is already; by default the cache folder of the system, such as ``~/.cache/velotime``.

    Returns
    -------
    Raw counts in the layers ``spliced`` and ``unspliced``, stages in ``obs["clusters"]``, ``obsm["X_umap"]``.

    Raises
    ------
    InputError
        If it cannot be downloaded, or is not what it should be.

    Examples
    --------
    >>> import velotime as vt
    >>> adata = vt.datasets.pancreas()  # doctest: +SKIP
    """
    return PANCREAS.read(folder)


@checked(RULES, "datasets.dentategyrus")
def dentategyrus(*, folder: str | Path | None = None) -> AnnData:
    """Neurogenesis in the mouse dentate gyrus at P12 and P35: 2,930 cells x 13,913 genes, several lineages.

    Most of its cells are mature and stand still; beside the granule cells' line are types that come from elsewhere: see
    what the verdict on fit says of it.

    Published by Hochgerner et al. 2018, Nature Neuroscience 21: 290-299 (GSE95753).

    Parameters
    ----------
    folder
        Where the file is kept, or is already; by default the cache folder of the system, such as ``~/.cache/velotime``.

    Returns
    -------
    Raw counts in the layers ``spliced`` and ``unspliced``, types in ``obs["clusters"]``, ``obs["age(days)"]``,
    ``obsm["X_umap"]``.

    Raises
    ------
    InputError
        If it cannot be downloaded, or is not what it should be.

    Examples
    --------
    >>> import velotime as vt
    >>> adata = vt.datasets.dentategyrus()  # doctest: +SKIP
    """
    return DENTATE_GYRUS.read(folder)


@checked(RULES, "datasets.gastrulation_erythroid")
def gastrulation_erythroid(*, folder: str | Path | None = None) -> AnnData:
    """The erythroid lineage of mouse gastrulation, E7.0 to E8.5: 9,815 cells x 53,801 genes, one line.

    Known for arrows that point backwards: genes whose transcription is boosted late break the model of constant rates
    (Barile et al. 2021).

    Published by Pijuan-Sala et al. 2019, Nature 566: 490-495 (E-MTAB-6967).

    Parameters
    ----------
    folder
        Where the file is kept, or is already; by default the cache folder of the system, such as ``~/.cache/velotime``.

    Returns
    -------
    Raw counts in the layers ``spliced`` and ``unspliced``, ``obs["celltype"]``, ``obs["stage"]``, ``obsm["X_umap"]``.

    Raises
    ------
    InputError
        If it cannot be downloaded, or is not what it should be.

    Examples
    --------
    >>> import velotime as vt
    >>> adata = vt.datasets.gastrulation_erythroid()  # doctest: +SKIP
    """
    return ERYTHROID.read(folder)
