"""Models of the same cells compared: is there a trajectory at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from anndata import AnnData
from numpy.random import Generator

from velotime import _keys as keys
from velotime._check import N_JOBS, RNG, Instance, Optional, checked, seed_of
from velotime._log import told
from velotime.compute.threads import at_most_threads
from velotime.data import (
    Reading,
    find_layers,
    leave_out,
    open_blocks,
    read_for,
    read_labels,
    read_observations,
    write_derived,
)
from velotime.data.arguments import ADATA, LAYER
from velotime.inference import SoftEM
from velotime.tl._geometry import place_cells


@checked(
    {
        "adata": ADATA,
        "method": Optional(Instance(SoftEM, "SoftEM(...)")),
        "unspliced": LAYER,
        "spliced": LAYER,
        "rng": RNG,
        "n_jobs": N_JOBS,
    }
)
def compare_models(
    adata: AnnData,
    *,
    method: SoftEM | None = None,
    unspliced: str | None = None,
    spliced: str | None = None,
    rng: int | Generator = 0,
    n_jobs: int | None = None,
) -> str:
    """Compare a constant, discrete clusters, a trajectory and a cycle of the same cells on held-out counts.

    Every count is thinned binomially: 70 % train, 30 % test. For Poisson counts the two parts are independent given the
    means; for the negative binomial each is negative binomial with the same dispersion but they share the cell's
    random part of the rate, so that the comparison is close, not exact. It uses the cells and genes of the starts (up
    to 2,000 and 300) and takes about as long as these. Of several samples (``method.samples``) the largest one is
    compared, as models that know nothing of captures would take samples for clusters.

    Parameters
    ----------
    adata
        Raw counts of both layers, cells x genes; need not be fitted.
    method
        The trajectory's method: its noise, number of lineages, root. ``vt.SoftEM()`` by default. ``n_lineages="auto"``
        uses the number of an earlier fit, or 1.
    unspliced, spliced
        Layer names; found by themselves by default.
    rng
        A seed, or a ``numpy.random.Generator``, which is asked for one. The same seed gives the same result.
    n_jobs
        Threads at most, -1 for all cores; by default ``NUMBA_NUM_THREADS``, or all cores. The result is the same.

    Returns
    -------
    The verdict: "trajectory", "cycle", "clusters" or "nothing". A richer model must win by two standard errors and by
    0.05 nats per cell; it is a cycle where a clock that begins and ends does no better. Where clusters reach the
    trajectory only with more parameters than it has, it is called a trajectory if cells lie between the clusters.
    Writes

    ``uns["model_comparison"]``
        ``verdict``, ``reason`` in a sentence, and ``table``: each model's held-out log-likelihood per cell, its
        distance from the best in nats and the standard error of that. It is of these cells and genes: a fit of others
        removes it, and reports of others do not show it.

    Raises
    ------
    InputError
        As :func:`recover_dynamics`, or if the noise is no count noise.
    """
    cells, method, sample = _within_one_sample(adata, SoftEM() if method is None else method)
    reading = _read(cells, method, unspliced, spliced)
    placing, comparing = np.random.default_rng(seed_of(rng)).spawn(2)
    labels = read_labels(cells, method.columns, method.marker_genes, reading.layers)
    landmarks = method.landmarks(labels)
    fitted = len(adata.uns[keys.LINEAGES]["names"]) if keys.LINEAGES in adata.uns else 1
    with at_most_threads(n_jobs), told("comparing a trajectory with clusters on held-out counts") as done:
        geometry = place_cells(reading.observations, placing, counts=method.noise.counts, include=landmarks)
        result = method.compare(reading.observations, geometry, n_lineages=fitted, labels=labels, rng=comparing)
        done(result.verdict)
    record = {
        "verdict": result.verdict,
        "reason": result.reason + sample,
        "table": result.table.set_axis(result.table.index.astype(str)),
    }
    write_derived(adata, keys.MODEL_COMPARISON, {"uns": {keys.MODEL_COMPARISON: record}})
    return result.verdict


def _within_one_sample(adata: AnnData, method: SoftEM) -> tuple[AnnData, SoftEM, str]:
    """The cells to compare, the method for them, and a sentence on that; all cells where they are of one sample.

    Models without captures would take samples for clusters.
    """
    if method.samples is None:
        return adata, method, ""
    names, code = read_labels(adata, (method.samples,)).codes(method.samples)
    n_cells = np.bincount(code[code >= 0], minlength=len(names))
    largest = int(n_cells.argmax())
    own = adata[code == largest]
    root = method.root if method.root is None or method.root.cell in (None, *own.obs_names) else None
    text = f" Compared within the largest sample, {names[largest]} ({n_cells[largest]:,} cells)."
    return own, replace(method, samples=None, root=root), text if len(names) > 1 else ""


def _read(adata: AnnData, method: SoftEM, unspliced: str | None, spliced: str | None) -> Reading:
    """The values of both layers, in memory or in blocks."""
    if method.noise.counts and open_blocks(adata, find_layers(adata, unspliced, spliced)) is not None:
        return read_for(adata, method, unspliced=unspliced, spliced=spliced)
    reading = read_observations(adata, unspliced=unspliced, spliced=spliced, counts=method.noise.counts)
    return leave_out(reading, adata, method.without) if method.without else reading
