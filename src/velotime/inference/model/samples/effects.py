r"""How samples differ for technical reasons: capture of each gene, and dispersion.

In sample b the mean of gene g is ``l (A_gb mu_g + e_b p_gb)``, with a background that is a share e_b of its counts
where that pays, and its dispersion ``phi_g psi_b``, unspliced and spliced apart, with

    log A_gb ~ Normal(0, tau^2),    sum_b w_b log A_gb = 0

(w_b the sample's share of the cells). A multiplies a whole curve, as rates and switches do not: so these, and the times
of the cells, are those of all samples. As means are linear in the levels, a curve times A is the curve of the same gene
with other levels and another scaling: log A_s is added to the log levels, and log A_u - log A_s to the log scaling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.kinetics import SwitchParameter

NOT_SEEN = -30.0  # log capture of a gene that a sample does not have: its counts say nothing
LEVELS = [SwitchParameter.LOG_LEVEL_0, SwitchParameter.LOG_LEVEL_1]
LAST_LEVELS = slice(7, None, 2)  # of every lineage
FIRST_SPREAD = 0.3


@dataclass(frozen=True)
class SampleEffects:
    """What each sample has of its own.

    Attributes
    ----------
    names
        Of the samples.
    log_capture
        Log A of both layers, ``(2, genes, samples)``; -30 where a sample does not have a gene.
    log_dispersion
        Log psi of both layers, ``(2, samples)``.
    spread
        tau of both layers, ``(2,)``.
    share
        Share of the cells in each sample, ``(samples,)``.
    background
        Counts of both layers that are in every cell whatever its state, at size factor 1, ``(2, genes, samples)``;
        None for nothing.
    log_volume
        ``sum 1/2 log(1 + tau^2 information)``: what it costs to learn A (Laplace), nats.
    """

    names: tuple[str, ...]
    log_capture: FloatArray
    log_dispersion: FloatArray
    spread: FloatArray
    share: FloatArray
    log_volume: float = 0.0
    background: FloatArray | None = None

    @classmethod
    def none(cls, names: tuple[str, ...], n_cells: FloatArray, seen: BoolArray) -> SampleEffects:
        """Samples that do not differ, but for genes that one does not have, ``(genes, samples)``."""
        capture = np.where(seen, 0.0, NOT_SEEN)
        return cls(
            names,
            np.stack([capture, capture]),
            np.zeros((2, len(names))),
            np.full(2, FIRST_SPREAD),
            n_cells / n_cells.sum(),
        )

    @property
    def penalty(self) -> float:
        """Minus the log prior of A and what learning it costs, nats."""
        known = np.where(self.log_capture > NOT_SEEN, self.log_capture, 0.0)
        return float((0.5 * (known**2).sum(axis=(1, 2)) / self.spread**2).sum()) + self.log_volume

    def genes(self, index: IntArray | slice) -> SampleEffects:
        """Of these genes."""
        background = None if self.background is None else self.background[:, index]
        return replace(self, log_capture=self.log_capture[:, index], background=background)

    @property
    def besides(self) -> FloatArray:
        """The background of all samples, zeros where there is none, ``(2, genes, samples)``."""
        return np.zeros_like(self.log_capture) if self.background is None else self.background

    def background_of(self, sample: int) -> FloatArray | None:
        """That of one sample, ``(2, genes)``."""
        return None if self.background is None else self.background[:, :, sample]

    def named(self, names: tuple[str, ...]) -> SampleEffects:
        """Of these samples, in this order; a sample that was not fitted has none of its own."""
        at = [self.names.index(name) if name in self.names else -1 for name in names]
        found = np.array([k >= 0 for k in at])
        share = np.where(found, self.share[at], 0.0)
        return replace(
            self,
            names=names,
            log_capture=np.where(found, self.log_capture[:, :, at], 0.0),
            log_dispersion=np.where(found, self.log_dispersion[:, at], 0.0),
            background=None if self.background is None else np.where(found, self.background[:, :, at], 0.0),
            share=share / max(float(share.sum()), 1e-12),
        )


def with_capture(theta: FloatArray, log_capture: FloatArray) -> FloatArray:
    """Parameters of the same curves times A of both layers, ``(2, genes)``."""
    out = theta.copy()
    unspliced, spliced = log_capture[:, :, None]
    out[:, LEVELS] += spliced
    out[:, LAST_LEVELS] += spliced
    out[:, [SwitchParameter.LOG_SCALING]] += unspliced - spliced
    return out
