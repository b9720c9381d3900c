r"""What the user knows of the order of cells: experimental times, genes known to be early or late.

How labels lie on the clock is learned with the rest, monotone: the probability of a label up to the l-th falls with
time. It is estimated by isotonic regression of the expected shares of the labels at each time, and

    w_lj = strength P(l | t_j) / P(l) + (1 - strength)

enters as in ``base``. Where labels have nothing to do with time, or run against it, the relation that is learned
is flat and has no effect, so that a clock that runs against the labels lacks the gain of one that runs with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import isotonic_regression
from scipy.special import expit
from scipy.stats import rankdata

from velotime._check import Labels, Names
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.inference.knowledge.base import COLUMN, STRENGTH, Knowledge
from velotime.inference.labels import NO_LABEL, CellLabels
from velotime.inference.states import States

N_LEVELS = 8  # levels of the markers' score
MOST_LEVELS = 12  # different numbers among time labels above which they are binned
LABEL_SD = 0.05  # of the clock, over which the shares of labels are smoothed
LABEL_SCALE = 0.15  # of the clock, over which one label follows another before anything is learned
SHRINK = 0.1  # cells of overall composition added to every time


class Ordered(Knowledge):
    """Levels that follow each other along the clock; level k is row k + 1."""

    def places(self, n_rows: int) -> FloatArray:
        """Evenly from the beginning to the end."""
        return np.array([np.nan, *np.linspace(0.0, 1.0, n_rows - 1)])

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """Levels take over from each other at even distances."""
        return self.below_zeros(_follow_evenly(n_rows - 1, states))

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """Monotone relation of levels and time."""
        return self.below_zeros(_follow(weight[1:], states))


@dataclass(frozen=True)
class Markers(Ordered):
    """Genes whose expression is known to fall (early) or to rise (late) along time.

    A cell's score is the mean of the late genes' log-normalised spliced counts, each in units of its standard
    deviation, less that of the early ones; its rank among the cells, in 8 levels, is what enters. How the levels lie on
    the clock is learned, monotone, so that noisy markers have little weight.

    Parameters
    ----------
    early, late
        Names of genes, one or more in all. They may be among the genes to fit or not.
    strength
        Prior probability that a cell's level has to do with its time; otherwise it is drawn from all cells' levels.
        0.9 by default: a level costs at most 2.3 nats where none of its kind are.
    """

    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    strength: float = 0.9

    rules: ClassVar = {"early": Names("names of genes"), "late": Names("names of genes"), "strength": STRENGTH}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.genes or len(set(self.genes)) != len(self.genes):
            raise InputError(
                f"Markers(early={self.early}, late={self.late}): give one or more genes, each once: "
                "Markers(early=['Sox9'], late=['Ins2'])."
            )

    @property
    def title(self) -> str:
        """The genes."""
        sides = (("early", self.early), ("late", self.late))
        return f"Markers({'; '.join(f'{side}: ' + ', '.join(genes) for side, genes in sides if genes)})"

    @property
    def genes(self) -> tuple[str, ...]:
        """Early and late genes."""
        return (*self.early, *self.late)

    def rows(self, labels: CellLabels) -> IntArray:
        """Level of each cell's score, from the earliest on; equal scores share the middle of their ranks.

        Raises
        ------
        InputError
            If all cells have the same score.
        """
        score = np.zeros(len(labels.names))
        for genes, sign in ((self.early, -1.0), (self.late, 1.0)):
            for gene in genes:
                value = np.log1p(np.maximum(labels.genes[gene], 0.0))
                score += sign * value / max(float(value.std()), 1e-12) / len(genes)
        if np.ptp(score) < 1e-9:
            raise InputError(f"{self.title}: no cell differs from another in these genes; name other markers.")
        rank = (rankdata(score) - 0.5) / len(score)
        return np.asarray(np.minimum((rank * N_LEVELS).astype(np.int64), N_LEVELS - 1) + 1)

    def places(self, n_rows: int) -> FloatArray:  # noqa: ARG002 - always as many
        """Evenly; the last levels may be empty."""
        return super().places(N_LEVELS + 1)

    def initial(self, states: States, n_rows: int) -> FloatArray:  # noqa: ARG002 - always as many
        """Levels take over from each other at even distances."""
        return super().initial(states, N_LEVELS + 1)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """Monotone relation of levels and time."""
        return super().update(np.pad(weight, ((0, N_LEVELS + 1 - len(weight)), (0, 0))), states)


@dataclass(frozen=True)
class TimeLabels(Ordered):
    """Experimental times of the cells: numbers (hours, days) or ordered categories (stages).

    Only their order enters; how they lie on the clock is learned, monotone. For time and rates in their unit, see
    :func:`velotime.tl.to_experimental_time`.

    Parameters
    ----------
    column
        An obs column of numbers or ordered categories. More than 12 different numbers are binned.
    order
        Its labels from early to late, for a column of plain text.
    strength
        Prior probability that a cell's label has to do with its time; otherwise it is drawn from all cells' labels.
        0.9 by default: a label costs at most 2.3 nats where none of its kind are.
    """

    column: str
    order: tuple[str, ...] = ()
    strength: float = 0.9

    rules: ClassVar = {"column": COLUMN, "order": Labels(), "strength": STRENGTH}

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.order) == 1:
            raise InputError(f"TimeLabels(order={self.order}): give two or more labels, each once, from early to late.")

    @property
    def title(self) -> str:
        """The column."""
        return f"TimeLabels({self.column})"

    def rows(self, labels: CellLabels) -> IntArray:
        """Place of each cell's label in their order, from 1 on; 0 for cells without a label.

        Raises
        ------
        InputError
            If the labels have no order, or there are fewer than two.
        """
        values = labels.texts(self.column)
        told = values != NO_LABEL
        texts = list(self.order or labels.orders.get(self.column, ()))
        missing = sorted(set(values[told].tolist()) - set(texts))
        if missing:
            raise InputError(
                f"{self.title}: labels {missing} have no place in {texts or 'an order'}. Give numbers, an ordered "
                f"category, or all labels from early to late: TimeLabels({self.column!r}, order=[...])."
            )
        if len(texts) < 2:
            here = f"have the label {texts[0]!r}" if texts else "are without a label"
            raise InputError(f"{self.title}: all cells {here}, which gives no order of time.")
        n_levels = len(texts)
        level = np.arange(n_levels) if n_levels <= MOST_LEVELS else np.arange(n_levels) * MOST_LEVELS // n_levels
        row = dict(zip(texts, (level + 1).tolist(), strict=True)) | {NO_LABEL: 0}
        return np.array([row[label] for label in values.tolist()], dtype=np.int64)


def _follow_evenly(n_labels: int, states: States) -> FloatArray:
    """Labels that take over from each other at even distances, ``(labels, states)``."""
    cuts = np.arange(1, n_labels) / n_labels
    return _relative(expit((cuts[:, None] - states.time) / LABEL_SCALE), np.full(n_labels, 1.0 / n_labels))


def _follow(weight: FloatArray, states: States) -> FloatArray:
    """Probability of each label given time over its share, ``(labels, states)``, from the summed posterior of each.

    The labels' shares at each time, smoothed, are summed up to each label; each such sum is made to fall with time by
    isotonic regression weighted by the cells, which keeps one below the next. With two labels this is the M-step; with
    more the likelihood can fall a little from one iteration to the next, which the loop's monitor tolerates.
    """
    n_times = len(states.times)
    cells = weight.reshape(len(weight), -1, n_times).sum(axis=1)
    step = states.times[1] - states.times[0]
    cells = gaussian_filter1d(cells, LABEL_SD / step, axis=1, mode="nearest")
    share = cells.sum(axis=1) / max(cells.sum(), 1e-300)
    cells = cells + SHRINK * share[:, None]
    total = np.maximum(cells.sum(axis=0), 1e-12)
    up_to = np.cumsum(cells, axis=0)[:-1] / total
    falling = np.stack([isotonic_regression(row, weights=total, increasing=False).x for row in up_to])
    return np.tile(_relative(falling, share), states.layout.n_lineages)


def _relative(up_to: FloatArray, share: FloatArray) -> FloatArray:
    """Each label's probability over its share from the probabilities of labels up to each but the last."""
    edges = np.concatenate([np.zeros((1, up_to.shape[1])), up_to, np.ones((1, up_to.shape[1]))])
    each = np.maximum(np.diff(edges, axis=0), 0.0)
    return np.asarray(np.where(share[:, None] > 0, each / np.maximum(share, 1e-12)[:, None], 1.0))
