"""Figures in the default style, closed when a test is done; and a fit of several samples."""

from __future__ import annotations

import warnings
from dataclasses import replace

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import velotime as vt


@pytest.fixture(autouse=True)
def _close_figures():
    with mpl.style.context("default"):
        yield
    plt.close("all")


@pytest.fixture(scope="session")
def sampled():
    """Four samples of two conditions, fitted quickly."""
    samples = vt.simulation.Samples((2, 2), condition_composition=3.0)
    adata = vt.simulation.simulate(240, 24, rng=np.random.default_rng(0), samples=samples, mean_spliced=4)
    quick = vt.SoftEM(samples="sample", n_times=16, annealing=2, max_iterations=4, start_times=8, n_lineages=1)
    quick = replace(quick, root=vt.Root(cell=adata.obs["true_time"].idxmin()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=quick, progress=False, layers=())
    return adata


@pytest.fixture(scope="session")
def compared(sampled):
    """The same with conditions compared."""
    adata = sampled.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.compare_conditions(adata, "condition")
    return adata
