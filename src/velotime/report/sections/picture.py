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

SIZE, RESOLUTION = (7.5, 4.6), 110  # inches, and pixels in each


def draw_stream(adata: AnnData, basis: str | None) -> str:
    """A PNG as a data URI; empty where there are no arrows of this fit on the embedding: the object stays as it is."""
    name = basis or next(iter(list_embeddings(adata)), None)
    if name is None or not has_arrows(adata, name):
        return ""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from velotime import pl

    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    there = set(adata.uns)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.velocity_stream(adata, basis=name, color=cluster_column(adata) or keys.LATENT_TIME, ax=ax, show=False)
    except InputError:  # no cell has an arrow
        return ""
    finally:
        for slot in set(adata.uns) - there:
            del adata.uns[slot]
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=RESOLUTION, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
