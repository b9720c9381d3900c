"""Simulated genes of a clock that goes round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator

from velotime._check import Number, Settings
from velotime._types import BoolArray, FloatArray
from velotime.kinetics import WHOLE_TURN, SwitchParameter, periodic_means, periodic_velocity
from velotime.simulation._genes import LogNormalRates

SMOOTH = "smooth"  # class of such genes
RAISED, RISE = 0.3, (2.0, 6.0)  # share of the genes that are up in cells that do not cycle, and how many times


@dataclass(frozen=True)
class Cycling(Settings):
    """Genes that are on once in every turn of the clock, a fifth to a half of it, each from a phase of its own on.

    Of some, transcription rises and falls as a cosine instead, round a phase of its own.

    Parameters
    ----------
    flat
        Share of the genes that are the same all the way round.
    smooth
        Share of the other genes whose transcription is smooth.
    growth
        By how many times, as a power of 2, cells hold more from one division to the next: 1 for cells that double, 0 by
        default, as counts are often brought to one depth.
    not_cycling
        Share of the cells that have left the cycle: genes that are on once in a turn are off in them, and three in ten
        of all genes have two to six times their mean. Their phases are NaN, and velocities zero.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(200, 50, rng=np.random.default_rng(0), cycle=vt.simulation.Cycling())
    >>> bool(adata.obs["true_phase"].between(0, 1).all())
    True
    """

    flat: float = 0.2
    growth: float = 0.0
    smooth: float = 0.0
    not_cycling: float = 0.0

    rules: ClassVar = {"flat": Number(0, 1), "growth": Number(0), "smooth": Number(0, 1), "not_cycling": Number(0, 1)}

    def take_off(self, means: tuple[FloatArray, FloatArray], rng: Generator) -> BoolArray | None:
        """Let some cells leave, in means of both layers ``(cells, genes)``, and mark them; None where none may."""
        if self.not_cycling == 0:
            return None
        off = rng.uniform(size=len(means[0])) < self.not_cycling
        raised = rng.uniform(size=means[0].shape[1]) < RAISED
        times = rng.uniform(*RISE, means[0].shape[1])
        for mean in means:
            mean[off] = np.where(raised, times * mean.mean(axis=0), mean.min(axis=0))
        return off

    def sizes(self, phase: FloatArray) -> FloatArray:
        """What cells hold at a phase, relative to the mean, ``(cells,)``."""
        size = 2.0 ** (self.growth * phase)
        return np.asarray(size / size.mean())

    def draw(self, n_genes: int, rates: LogNormalRates, rng: Generator) -> tuple[list[str], FloatArray]:
        """Class of each gene, and its parameters, ``(1, genes, 8)``; the last level is the first."""
        p = SwitchParameter
        classes = ["flat" if place < round(self.flat * n_genes) else "pulse" for place in rng.permutation(n_genes)]
        theta = np.zeros((n_genes, 8))
        beta, gamma = rates.draw(n_genes, rng)
        theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = np.log(beta), np.log(gamma)
        theta[:, p.T_ON] = rng.uniform(0, 1, n_genes)
        theta[:, p.LOG_DURATION] = np.log(rng.uniform(0.2, 0.5, n_genes))
        theta[:, p.LOG_SCALING] = rng.normal(0, 0.3, n_genes)
        fold = rng.uniform(np.log(5), np.log(30), n_genes)
        theta[:, p.LOG_LEVEL_0] = np.where(np.array(classes) == "flat", 0.0, -fold)
        theta[:, p.LOG_LEVEL_2] = theta[:, p.LOG_LEVEL_0]
        pulses = [g for g, name in enumerate(classes) if name == "pulse"]
        for g in pulses[: round(self.smooth * len(pulses))]:
            classes[g], theta[g, p.LOG_DURATION] = SMOOTH, WHOLE_TURN
        return classes, theta[None]


def cycle_means(theta: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of parameters ``(genes, 8)``, of which the last level is not used."""
    return periodic_means(theta[:, :7], t)


def cycle_velocity(theta: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Their rates of change."""
    return periodic_velocity(theta[:, :7], t)


def with_phase(adata: AnnData, off: BoolArray | None) -> AnnData:
    """The same with phases in place of times, which a circle has not, and smooth genes "off" where below the middle.

    Cells that are ``off`` the cycle, ``(cells,)``, have none.
    """
    adata.var.loc[adata.var["true_class"] == SMOOTH, "true_t_off"] -= 0.5
    obs = adata.obs.rename(columns={"true_time": "true_phase"})
    adata.obs = pd.DataFrame(obs.drop(columns="true_lineage"))
    if off is not None:
        adata.obs["true_not_cycling"] = off
        adata.obs.loc[off, "true_phase"] = np.nan
        adata.layers["true_velocity"][off] = 0.0
    return adata
