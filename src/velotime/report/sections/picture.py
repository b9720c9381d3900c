"""Streamlines of velocity as a picture for the page."""

from __future__ import annotations

import base64
import io
import warnings

from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime.data import has_arrows, list_embeddings
from velotime.report.sections.fates import cluster_column

MOST_CELLS = 20_000  # of which arrows are computed for the page: some seconds
SIZE, RESOLUTION = (7.5, 4.6), 110  # inches, and pixels in each


def draw_stream(adata: AnnData, basis: str | None) -> str:
    """A PNG as a data URI; empty where there is no embedding, or no velocity: the object stays as it is.

    Arrows of this fit on the embedding are computed where they are missing, unless cells are many.
    """
    name = basis or next(iter(list_embeddings(adata)), None)
    if name is None or not (has_arrows(adata, name) or adata.n_obs <= MOST_CELLS):
        return ""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from velotime import pl

    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    color = cluster_column(adata) or keys.LATENT_TIME
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.velocity_stream(_beside(adata), basis=name, color=color, ax=ax, show=False)
    except InputError:  # the method gives no velocity, or no cell has an arrow
        return ""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=RESOLUTION, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _beside(adata: AnnData) -> AnnData:
    """An object of its own that shares all data but ``X``: what is written to it is not in the other one."""
    boxes = {box: dict(getattr(adata, box)) for box in ("layers", "obsm", "varm", "obsp", "uns")}
    boxes["layers"].pop(None, None)  # where AnnData 0.13 keeps X
    return AnnData(obs=adata.obs, var=adata.var, **boxes)
