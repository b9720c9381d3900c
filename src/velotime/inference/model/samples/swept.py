"""What the sweeps of several samples need of each, and what they tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import Sums, SweepModel
from velotime.inference.model.layer import size_levels
from velotime.inference.model.problem import N_LEVELS
from velotime.inference.model.scores import CentredTables, Scoring
from velotime.inference.observations import Observations


@dataclass(frozen=True)
class Swept:
    """What a sweep tells of cells of one sample.

    Attributes
    ----------
    sums
        Under the posterior.
    log_evidence
        Of the cells, nats.
    left_out
        What the tables of both layers leave out of it, nats.
    """

    sums: Sums
    log_evidence: float
    left_out: tuple[float, float]

    def __add__(self, other: Swept) -> Swept:
        u, s = (mine + theirs for mine, theirs in zip(self.left_out, other.left_out, strict=True))
        return Swept(self.sums + other.sums, self.log_evidence + other.log_evidence, (u, s))


class SampleLevels(NamedTuple):
    """Size factors of one layer, rounded within each sample.

    Attributes
    ----------
    levels
        Those of all samples, one sample after the other, ``(levels,)``.
    level
        Which of them each cell has, ``(cells,)``.
    starts
        Where those of each sample begin, and their number, ``(samples + 1,)``.
    """

    levels: FloatArray
    level: IntArray
    starts: IntArray

    def of_sample(self, b: int) -> FloatArray:
        """Those of one sample."""
        return self.levels[self.starts[b] : self.starts[b + 1]]


def levels_of(observations: Observations) -> tuple[SampleLevels, SampleLevels]:
    """Levels of both layers."""
    assert observations.sample is not None
    n_samples = len(observations.sample_names)
    u, s = (
        _levels(size, observations.sample, n_samples)
        for size in (observations.size_unspliced, observations.size_spliced)
    )
    return u, s


def _levels(size: FloatArray, sample: IntArray, n_samples: int) -> SampleLevels:
    level, levels, starts = np.zeros(len(size), dtype=np.int64), [], [0]
    for b in range(n_samples):
        own = np.flatnonzero(sample == b)
        if len(own):
            found, which = size_levels(size[own], N_LEVELS)
            level[own] = starts[-1] + which
            levels.append(found)
        starts.append(starts[-1] + (len(found) if len(own) else 0))
    return SampleLevels(np.concatenate(levels), level, np.array(starts))


class TablesInTurn:
    """Tables of the sample asked for; those of the one before are let go.

    Cells of one sample often lie together, so that blocks after each other ask for the same.

    Parameters
    ----------
    scorings
        What tables are made of, by sample.
    """

    def __init__(self, scorings: dict[int, Scoring]) -> None:
        self._scorings = scorings
        self._last: tuple[int, Any] = (-1, None)

    def of_sample(self, b: int) -> tuple[SweepModel, tuple[CentredTables, CentredTables]]:
        """As the sweep reads them, and as they were made."""
        sample, layers = self._last
        if sample != b:
            del layers
            self._last = (-1, None)
            layers = self._scorings[b].layers()
            self._last = (b, layers)
        return self._scorings[b].model(layers), layers

    def levels(self, b: int) -> tuple[FloatArray, FloatArray]:
        """Size factors of both layers."""
        return self._scorings[b].levels

    def __reduce__(self) -> tuple[type[TablesInTurn], tuple[dict[int, Scoring]]]:
        return TablesInTurn, (self._scorings,)  # tables are large, and made again where they are needed
