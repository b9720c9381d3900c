"""Simulated genes: classes of curves, rates, lineages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from velotime._check import Number, Numbers, Settings
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.kinetics import SwitchParameter

CLASSES = ("induction", "repression", "pulse", "dip", "flat")


@dataclass(frozen=True)
class GeneMix(Settings):
    """Shares of the classes of genes; they must sum to 1.

    An induced gene is switched on and stays on, a repressed one off; a pulse and a dip come back; a flat gene stays
    where it is.
    """

    induction: float = 0.30
    repression: float = 0.20
    pulse: float = 0.30
    dip: float = 0.15
    flat: float = 0.05

    rules: ClassVar = dict.fromkeys(CLASSES, Number(0, 1))

    def __post_init__(self) -> None:
        super().__post_init__()
        total = sum(getattr(self, own.name) for own in fields(self))
        if abs(total - 1) > 1e-9:
            raise InputError(f"{self}: shares must sum to 1, not {total:g}.")

    def draw(self, n_genes: int, rng: Generator) -> list[str]:
        """Class of each gene; counts follow the shares as closely as whole genes can."""
        shares = np.array([getattr(self, name) for name in CLASSES])
        edges = np.round(np.cumsum(shares) * n_genes).astype(int)
        which = np.searchsorted(edges, np.arange(n_genes), side="right")
        return [CLASSES[k] for k in rng.permutation(which)]


@dataclass(frozen=True)
class LogNormalRates(Settings):
    """Rates per total time, log-normal over genes.

    Parameters
    ----------
    beta, gamma
        Medians; 8 and 5 are half-lives of about a tenth of the clock.
    sd
        Standard deviation of the logs; 0 gives all genes the same rates.
    """

    beta: float = 8.0
    gamma: float = 5.0
    sd: float = 0.5

    rules: ClassVar = {"beta": Number(0, open_least=True), "gamma": Number(0, open_least=True), "sd": Number(0)}

    def draw(self, n_genes: int, rng: Generator) -> tuple[FloatArray, FloatArray]:
        """Splicing and degradation rates, each ``(genes,)``."""
        z = rng.normal(size=(2, n_genes)) * self.sd
        return self.beta * np.exp(z[0]), self.gamma * np.exp(z[1])


@dataclass(frozen=True)
class Branches(Settings):
    """A trunk that lineages leave one by one: lineage 0 is the trunk's own continuation.

    Parameters
    ----------
    times
        When lineages 1, 2, ... leave, one to four of them, each in (0, 1).
    fate_genes
        Share of the genes that tell lineages apart; each has a last switch of its own in every lineage, after the
        last branching.
    """

    times: tuple[float, ...] = (0.4,)
    fate_genes: float = 0.5

    rules: ClassVar = {
        "times": Numbers(Number(0, 1, open_least=True, open_most=True), 1, 4),
        "fate_genes": Number(0, 1),
    }

    @property
    def n_lineages(self) -> int:
        """Lineages, the trunk's continuation among them."""
        return len(self.times) + 1


def draw_theta(classes: list[str], rates: LogNormalRates, rng: Generator) -> FloatArray:
    """Parameters of each gene in one lineage, ``(genes, 8)``, levels around 1.

    Switches come anywhere on the clock (pulses and dips within it), changes are five- to thirtyfold.
    """
    n = len(classes)
    p = SwitchParameter
    beta, gamma = rates.draw(n, rng)
    theta = np.zeros((n, 8))
    theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = np.log(beta), np.log(gamma)
    theta[:, p.LOG_SCALING] = rng.normal(0, 0.3, n)
    low, high = -rng.uniform(np.log(5), np.log(30), n), np.zeros(n)
    kind = np.asarray(classes)
    lasting = np.isin(kind, ("induction", "repression", "flat"))
    theta[:, p.T_ON] = np.where(lasting, rng.uniform(0.0, 0.75, n), rng.uniform(0.0, 0.5, n))
    theta[:, p.LOG_DURATION] = np.where(lasting, np.log(1.5), np.log(rng.uniform(0.15, 0.4, n)))
    starts_high = np.isin(kind, ("repression", "dip", "flat"))
    between_high = np.isin(kind, ("induction", "pulse", "flat"))
    ends_high = np.isin(kind, ("induction", "dip", "flat"))
    for column, is_high in (
        (p.LOG_LEVEL_0, starts_high),
        (p.LOG_LEVEL_1, between_high),
        (p.LOG_LEVEL_2, ends_high),
    ):
        theta[:, column] = np.where(is_high, high, low)
    return theta


def branch_theta(theta: FloatArray, branches: Branches, rng: Generator) -> FloatArray:
    """Parameters in each lineage, ``(lineages, genes, 8)``: fate genes get a last switch of their own in each.

    A lineage that leaves at time b keeps to the continuation until b, and switches within 0.15 after it. So a fate
    gene of lineage k is high in k and low in the others, or the other way round, from some time after k left.
    """
    p = SwitchParameter
    n_genes = theta.shape[0]
    every = np.repeat(theta[None], branches.n_lineages, axis=0)
    is_fate = rng.uniform(size=n_genes) < branches.fate_genes
    owner = rng.integers(0, branches.n_lineages, n_genes)
    rises = rng.uniform(size=n_genes) < 0.7
    fold = rng.uniform(np.log(5), np.log(30), n_genes)
    for k in range(branches.n_lineages):
        # the trunk's continuation parts from the others when the first of them leaves
        leaves = min(branches.times) if k == 0 else branches.times[k - 1]
        when = leaves + rng.uniform(0.0, 0.15, n_genes)
        mine = is_fate & (owner == k)
        before = np.where(rises, -fold, 0.0)
        for lineage in range(branches.n_lineages):
            every[lineage, mine, p.T_ON] = 0.0
            every[lineage, mine, p.LOG_LEVEL_0] = before[mine]
            every[lineage, mine, p.LOG_LEVEL_1] = before[mine]
            every[lineage, mine, p.LOG_DURATION] = np.log(when[mine])
            every[lineage, mine, p.LOG_LEVEL_2] = before[mine]
        every[k, mine, p.LOG_LEVEL_2] = np.where(rises, 0.0, -fold)[mine]
    return every


def draw_lineages(time: FloatArray, branches: Branches, rng: Generator) -> np.ndarray:
    """Lineage of each cell, ``(cells,)``: late cells are shared equally between the lineages that have left by then."""
    lineage = np.zeros(len(time), dtype=int)
    wish = rng.integers(0, branches.n_lineages, len(time))
    for k, leaves in enumerate(branches.times, start=1):
        lineage[(wish == k) & (time >= leaves)] = k
    return lineage
