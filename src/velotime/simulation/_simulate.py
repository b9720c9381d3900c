"""Cells from known rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator
from scipy import sparse

from velotime._check import RNG, Instance, Number, Optional, Whole, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.kinetics import SwitchParameter, switch_means, switch_velocity
from velotime.simulation._cycle import Cycling, cycle_means, cycle_velocity, with_phase
from velotime.simulation._genes import (
    CLASSES,
    Branches,
    GeneMix,
    LogNormalRates,
    branch_theta,
    draw_lineages,
    draw_theta,
)
from velotime.simulation._noise import Ambient, Counts, LogNormalDepth, NegativeBinomialCounts
from velotime.simulation._samples import Samples
from velotime.simulation._times import Times, UniformTimes

EXPRESSION_SD = 0.8  # of the log mean expression over genes
BLOCK = 512  # cells whose curves are evaluated at a time


@checked(
    {
        "n_cells": Whole(1),
        "n_genes": Whole(1),
        "rng": RNG,
        "times": Instance(Times, "UniformTimes(), ClumpedTimes(), GappedTimes() or ExponentialTimes()"),
        "genes": Instance(GeneMix, "a GeneMix(...)"),
        "rates": Instance(LogNormalRates, "LogNormalRates(...)"),
        "noise": Instance(Counts, "NegativeBinomialCounts(), PoissonCounts() or GaussianValues()"),
        "depth": Instance(LogNormalDepth, "LogNormalDepth(...)"),
        "branches": Optional(Instance(Branches, "Branches(...)")),
        "samples": Optional(Instance(Samples, "Samples(...)")),
        "ambient": Optional(Instance(Ambient, "Ambient(...)")),
        "cycle": Optional(Instance(Cycling, "Cycling(...)")),
        "mean_unspliced": Number(0, open_least=True),
        "mean_spliced": Number(0, open_least=True),
    }
)
def simulate(
    n_cells: int = 2000,
    n_genes: int = 500,
    *,
    rng: int | Generator = 0,
    times: Times = UniformTimes(),  # noqa: B008 - frozen
    genes: GeneMix = GeneMix(),  # noqa: B008
    rates: LogNormalRates = LogNormalRates(),  # noqa: B008
    noise: Counts = NegativeBinomialCounts(),  # noqa: B008
    depth: LogNormalDepth = LogNormalDepth(),  # noqa: B008
    branches: Branches | None = None,
    samples: Samples | None = None,
    ambient: Ambient | None = None,
    cycle: Cycling | None = None,
    mean_unspliced: float = 0.3,
    mean_spliced: float = 1.0,
) -> AnnData:
    """Simulate cells along a process with known truth.

    Parameters
    ----------
    n_cells, n_genes
        Size of the data.
    rng
        Of all random numbers: a seed, or a ``numpy.random.Generator``.
    times
        Distribution of the cells over the clock, [0, 1].
    genes
        Shares of the classes of genes.
    rates
        Distribution of beta and gamma, per total time.
    noise
        How counts scatter around their means; negative-binomial by default, as real ones.
    depth
        Size factors of the cells, shared by both layers.
    branches
        Lineages, none by default.
    samples
        Samples and conditions, one sample by default.
    ambient
        Molecules that come with every cell besides its own, none by default.
    cycle
        A clock that goes round: its genes take the place of ``genes``, and times are phases. None by default: a line.
    mean_unspliced, mean_spliced
        Mean counts of a gene of the cells' own, over genes and cells.

    Returns
    -------
    AnnData with layers ``unspliced`` and ``spliced`` (CSR, float32) and ``true_velocity`` (ds/dt at size factor 1);
    obs ``true_time``, ``true_depth``, ``true_lineage``; var ``true_class``, ``true_beta``, ``true_gamma``,
    ``true_t_on``, ``true_t_off``, ``true_level_0`` to ``_2``, ``true_scaling`` (of lineage 0 where lineages differ);
    with branches also varm ``true_t_off`` and ``true_level_2``, ``(genes, lineages)``; with samples, whose parameters
    these are the common ones of, also obs ``sample`` and ``condition``, var ``true_changed``, varm ``true_capture_u``,
    ``true_capture_s`` and ``true_log_gamma_change``, ``(genes, samples)``, and uns ``true_samples``; with
    ambient counts also varm ``true_ambient_u`` and ``true_ambient_s``, at size factor 1, ``(genes, samples)``.
    ``true_capture_s`` and ``true_log_gamma_change``, ``(genes, samples)``, and uns ``true_samples``. With a cycle
    obs ``true_phase`` stands in place of time and lineage, and ``true_t_off`` may lie in the next turn; genes of
    class "smooth" pass the middle of their levels at ``true_t_on``, upwards, and ``true_t_off``. Where some of the
    cells do not cycle, also obs ``true_not_cycling``.

    Raises
    ------
    InputError
        If both branches and a cycle are given, or both samples and cells that do not cycle.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(200, 50, rng=np.random.default_rng(0), branches=vt.simulation.Branches((0.4,)))
    >>> adata.shape, adata.layers["unspliced"].dtype.name
    ((200, 50), 'float32')
    >>> sorted(adata.obs["true_lineage"].unique().tolist())
    ['0', '1']
    """
    if branches is not None and cycle is not None:
        raise InputError("branches=... and cycle=...: a clock that goes round has no branches; leave one of them out.")
    if samples is not None and cycle is not None and cycle.not_cycling > 0:
        raise InputError("samples=... and Cycling(not_cycling=...): all cells of several samples cycle; leave one out.")
    rng = np.random.default_rng(rng)  # a generator as it is
    classes, theta = _draw_genes(n_genes, genes, rates, cycle, rng)
    curves = (switch_means, switch_velocity) if cycle is None else (cycle_means, cycle_velocity)
    differences = None if samples is None else samples.draw(n_genes, rng)
    sample = np.zeros(n_cells, dtype=int) if samples is None else samples.of_cells(n_cells)
    time = times.draw(n_cells, rng) if differences is None else differences.draw_times(times, sample, rng)
    lineage = np.zeros(n_cells, dtype=int)
    if branches is not None:
        theta = branch_theta(theta[0], branches, rng)
        lineage = draw_lineages(time, branches, rng)
    theta = _set_expression(curves[0], theta, time, lineage, (mean_unspliced, mean_spliced), rng)
    size = depth.draw(n_cells, rng) * (1.0 if cycle is None else cycle.sizes(time))
    layers = {name: np.empty((n_cells, n_genes), dtype=np.float32) for name in ("unspliced", "spliced")}
    velocity, besides, off = np.empty((n_cells, n_genes)), np.zeros((2, n_genes, sample.max() + 1)), None
    for k in np.unique(sample):
        cells = np.flatnonzero(sample == k)
        own = theta if differences is None else differences.theta_of(theta, k)
        means = _evaluate(curves[0], own, time[cells], lineage[cells])
        velocity[cells] = _evaluate(curves[1], own, time[cells], lineage[cells])[1]
        off = None if cycle is None else cycle.take_off(means, rng)
        for number, (name, mean) in enumerate(zip(layers, means, strict=True)):
            scatter = noise if differences is None else differences.noise_of(noise, number, k)
            mean *= 1.0 if differences is None else differences.capture[number, :, k]
            besides[number, :, k] = 0.0 if ambient is None else ambient.of_layer(mean, number)
            layers[name][cells] = scatter.draw((mean + besides[number, :, k]) * size[cells, None], rng)
    adata = _annotate(layers, velocity, theta, time, lineage, size, classes, branches)
    if samples is not None and differences is not None:
        differences.annotate(adata, samples, sample)
    if ambient is not None:
        adata.varm["true_ambient_u"], adata.varm["true_ambient_s"] = besides
    return adata if cycle is None else with_phase(adata, off)


def _draw_genes(
    n_genes: int, genes: GeneMix, rates: LogNormalRates, cycle: Cycling | None, rng: Generator
) -> tuple[list[str], FloatArray]:
    """Class of each gene, and parameters of one lineage, ``(1, genes, 8)``."""
    if cycle is not None:
        return cycle.draw(n_genes, rates, rng)
    classes = genes.draw(n_genes, rng)
    return classes, draw_theta(classes, rates, rng)[None]


def _evaluate(curve: Any, theta: FloatArray, time: FloatArray, lineage: Any) -> tuple[FloatArray, FloatArray]:
    """Both layers of a curve at each cell's own time and lineage, each ``(cells, genes)``."""
    out = np.empty((2, len(time), theta.shape[1]))
    for k in range(theta.shape[0]):
        cells = np.flatnonzero(lineage == k)
        for first in range(0, len(cells), BLOCK):
            some = cells[first : first + BLOCK]
            unspliced, spliced = curve(theta[k], time[some])
            out[0, some], out[1, some] = unspliced.T, spliced.T
    return out[0], out[1]


def _set_expression(
    curve: Any, theta: FloatArray, time: FloatArray, lineage: Any, means: tuple[float, float], rng: Generator
) -> FloatArray:
    """Spread expression over genes and set the mean counts of both layers."""
    p = SwitchParameter
    theta = theta.copy()
    wanted = rng.lognormal(-0.5 * EXPRESSION_SD**2, EXPRESSION_SD, theta.shape[1])
    levels = [p.LOG_LEVEL_0, p.LOG_LEVEL_1, p.LOG_LEVEL_2]
    _, spliced = _evaluate(curve, theta, time, lineage)
    shift = np.log(means[1] * wanted / wanted.mean() / spliced.mean(axis=0))
    theta[:, :, levels] += shift[None, :, None]
    unspliced, _ = _evaluate(curve, theta, time, lineage)
    theta[:, :, p.LOG_SCALING] += np.log(means[0] / unspliced.mean())
    return theta


def _annotate(
    layers: dict[str, FloatArray],
    velocity: FloatArray,
    theta: FloatArray,
    time: FloatArray,
    lineage: Any,
    size: FloatArray,
    classes: list[str],
    branches: Branches | None,
) -> AnnData:
    p = SwitchParameter
    value = np.exp(theta)
    t_off = theta[:, :, p.T_ON] + value[:, :, p.LOG_DURATION]
    obs = pd.DataFrame(
        {
            "true_time": time,
            "true_depth": size,
            "true_lineage": pd.Categorical(lineage.astype(str)),
        },
        index=[f"cell_{i}" for i in range(len(time))],
    )
    if branches is not None:
        on_trunk = time < min(branches.times)
        obs["true_branch"] = pd.Categorical(np.where(on_trunk, "trunk", lineage.astype(str)))
    var = pd.DataFrame(
        {
            "true_class": pd.Categorical(classes, categories=[*CLASSES, *sorted({*classes} - {*CLASSES})]),
            "true_beta": value[0, :, p.LOG_BETA],
            "true_gamma": value[0, :, p.LOG_GAMMA],
            "true_t_on": theta[0, :, p.T_ON],
            "true_t_off": t_off[0],
            "true_level_0": value[0, :, p.LOG_LEVEL_0],
            "true_level_1": value[0, :, p.LOG_LEVEL_1],
            "true_level_2": value[0, :, p.LOG_LEVEL_2],
            "true_scaling": value[0, :, p.LOG_SCALING],
        },
        index=[f"gene_{g}" for g in range(theta.shape[1])],
    )
    spliced = sparse.csr_matrix(layers["spliced"])
    adata = AnnData(spliced.copy(), obs=obs, var=var)
    adata.layers["unspliced"] = sparse.csr_matrix(layers["unspliced"])
    adata.layers["spliced"] = spliced
    adata.layers["true_velocity"] = velocity.astype(np.float32)
    if branches is not None:
        adata.varm["true_t_off"] = t_off.T
        adata.varm["true_level_2"] = value[:, :, p.LOG_LEVEL_2].T
        adata.uns["branches"] = {"times": np.asarray(branches.times)}
    return adata
