"""Does the model fit at all? Said before anything else is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from velotime.inference.evidence.coherence import Coherence
from velotime.inference.evidence.steps import Steps

AGREE, DISAGREE = 0.7, 0.5  # Spearman correlation of times from disjoint halves of the genes: fits, does not
COHERENT, INCOHERENT = 0.6, 0.3  # share of what the fit expects unspliced counts to say: likewise
TELLING = 0.02  # nats per cell that unspliced counts must be expected to say, for their silence to mean anything
RING = 0.3  # share of the longest way by which cells lie farther from it than in a tree: see search.geometry.ring
LEAST_GAIN = 0.2  # nats per cell over constant means
POOR_SHARE = 0.2  # of the genes that tell of time, which may be explained by less than
LEAST_EXPLAINED = 0.6  # of what a free curve along the clock explains


@dataclass(frozen=True)
class FitVerdict:
    """Whether the model fits, and why.

    Attributes
    ----------
    agreement
        Spearman correlation of the cells' times from two disjoint halves of the genes.
    lineage_agreement
        How often both halves put late cells into the same lineage, above chance (Cohen's kappa); NaN with one lineage.
    coherence
        What unspliced counts say of the time that spliced ones give, found and expected; None where values are means
        over neighbours.
    gain
        Log-likelihood over constant means, nats per cell.
    poor_genes
        Share of the genes that tell of time whose curve explains less than 0.6 of what a free curve along the clock
        explains; NaN if no gene tells of time.
    left_out
        Branches of the cells, beyond doubt, for which the lineages that were asked for have no place.
    ring
        How far the cells are from a line or a tree, as a share of the longest way along them.
    steps
        Whether unspliced counts go along the clock or in steps; None where values are means over neighbours.
    off_cycle
        Share of the cells that are likelier off a clock that goes round than on it, where that was not asked.
    """

    agreement: float
    lineage_agreement: float
    coherence: Coherence | None
    gain: float
    poor_genes: float
    left_out: int = 0
    ring: float = 0.0
    steps: Steps | None = None
    off_cycle: float = 0.0

    @property
    def word(self) -> str:
        """Say "fits", "fits in part" or "does not fit"."""
        if any(self._against()):
            return "does not fit"
        return "fits in part" if self.doubts or any(self._in_part()) else "fits"

    @property
    def reason(self) -> str:
        """Why, in words; empty if it fits."""
        return "; ".join(dict.fromkeys([*self._against(), *self.doubts, *self._in_part()]))

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the counts alone cannot say which way time runs, whatever their margin."""
        return tuple(self._doubts())

    def _against(self) -> Iterator[str]:
        if self.ring > RING:
            yield self._round
        if not self.agreement >= DISAGREE:
            yield self._disagreement
        if self._incoherent(INCOHERENT):
            yield self._incoherence

    def _doubts(self) -> Iterator[str]:
        if self.ring > RING:
            yield self._round
        if not self.agreement >= AGREE:
            yield self._disagreement
        if self._incoherent(COHERENT):
            yield self._incoherence
        if self.steps is not None and self.steps.hold:
            yield self._standing_still(self.steps.hold)
        if self.coherence is not None and self.coherence.expected < TELLING:
            yield "unspliced counts are too few to say anything of time that spliced ones do not"
        if self.left_out:
            yield f"the cells have {self.left_out} more branches than the fit has lineages"
        if self.gain < LEAST_GAIN:
            yield f"the curves gain only {self.gain:.2f} nats per cell over constant means"

    def _in_part(self) -> Iterator[str]:
        if self.off_cycle > 0:
            yield (
                f"some {self.off_cycle:.0%} of the cells fit no state of the cycle: if they have left it or rest, "
                "fit them with vt.Cycle(not_cycling=True)"
            )
        if self.poor_genes > POOR_SHARE:
            yield (
                f"{self.poor_genes:.0%} of the genes that tell of time vary along the clock in ways that no curve of "
                "the model has"
            )

    def _incoherent(self, least: float) -> bool:
        c = self.coherence
        return c is not None and c.expected >= TELLING and c.share < least

    @property
    def _round(self) -> str:
        return (
            "two ways lead along the cells from one end to the other: they go round, and a cycle is to be tried, "
            "or paths part and meet again, which no lineages describe"
        )

    @property
    def _disagreement(self) -> str:
        return f"times from two halves of the genes agree little (Spearman {self.agreement:.2f})"

    @property
    def _incoherence(self) -> str:
        assert self.coherence is not None
        return (
            f"among like cells, unspliced counts follow spliced ones by {max(self.coherence.share, 0):.0%} of what the "
            "model expects"
        )

    def _standing_still(self, number: int) -> str:
        return (
            f"unspliced counts stand still within some {number} stretches of the clock while spliced ones go on: what "
            "order there is comes from the stretches, and velocities of single cells mean nothing"
        )

    @property
    def numbers(self) -> dict[str, float]:
        """What it rests on."""
        c = Coherence(np.nan, np.nan) if self.coherence is None else self.coherence
        found, expected = (np.nan, np.nan) if self.steps is None else self.steps.of_worst
        return {
            "agreement": self.agreement,
            "lineage_agreement": self.lineage_agreement,
            "coherence_found": c.found,
            "coherence_expected": c.expected,
            "gain_per_cell": self.gain,
            "poor_genes": self.poor_genes,
            "ring": self.ring,
            "off_cycle": self.off_cycle,
            "steps": 0 if self.steps is None else self.steps.hold,
            "steps_found": found,
            "steps_expected": expected,
        }
