"""Whether phases of a clock that goes round are those that are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Number, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data.arguments import ADATA, COLUMN
from velotime.inference import Cycle, fisher_lee
from velotime.metrics._shared.inputs import read_time

PERIOD = Number(0, open_least=True)


@dataclass(frozen=True)
class CircularError:
    """How far phases are from known ones.

    Attributes
    ----------
    error
        Median distance, the shorter way round, in turns (0 to 0.5) once the rotation is taken off; 0.25 for phases
        that say nothing.
    error_as_given
        The same without taking it off: where the origin is to be right as well.
    rotation
        By how much the phases are ahead of the known ones, in turns, -0.5 to 0.5.
    n_cells
        Cells that it was taken over.
    n_cells_left_out
        Cells of which either is NaN.
    """

    error: float
    error_as_given: float
    rotation: float
    n_cells: int
    n_cells_left_out: int


@dataclass(frozen=True)
class CircularCorrelation:
    """A correlation of phases and what it rests on.

    Attributes
    ----------
    correlation
        Fisher and Lee's, from -1 (the other way round) to 1; NaN where one of the two is the same in all cells.
    n_cells
        Cells that it was taken over.
    n_cells_left_out
        Cells of which either is NaN.
    """

    correlation: float
    n_cells: int
    n_cells_left_out: int


@checked({"adata": ADATA, "known": COLUMN, "time": COLUMN, "period": PERIOD})
def circular_error(adata: AnnData, known: str, *, time: str = keys.CYCLE_PHASE, period: float = 1.0) -> CircularError:
    """Median distance of phases from known ones on the circle, apart from a rotation.

    With ``d_i = phase_i - known_i`` in turns, brought to [-1/2, 1/2), ``error = median |d_i - rotation|``; the rotation
    is the median of the d around their circular mean, the direction of ``sum e^(2 pi i d)`` (Fisher 1993, Statistical
    Analysis of Circular Data).

    Parameters
    ----------
    adata
        Cells x genes.
    known
        The obs column of the known phases.
    time
        The obs column of the phases to judge, in turns.
    period
        Of the known phases: 1 (default) for turns, ``2 * numpy.pi`` for angles, 24 for hours of a day.

    Raises
    ------
    InputError
        If a column is not there or holds no numbers, or no cell has both.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> import velotime as vt
    >>> obs = pd.DataFrame({"hour": [0.0, 6.0, 18.0], "cycle_phase": [0.9, 0.15, 0.65]}, index=list("abc"))
    >>> found = vt.metrics.circular_error(anndata.AnnData(obs=obs), "hour", period=24)
    >>> round(found.error, 3), round(found.rotation, 3)
    (0.0, -0.1)
    """
    phase, truth, left_out = _both(adata, known, time, period, least=1)
    clock = Cycle.curve.clock
    off = clock.away(phase, truth)
    mean = clock.mean(np.full((1, len(off)), 1.0 / len(off)), off)
    rotation = clock.away(mean + np.median(clock.away(off, mean)), np.zeros(1))
    return CircularError(
        error=float(np.median(np.abs(clock.away(off, rotation)))),
        error_as_given=float(np.median(np.abs(off))),
        rotation=float(rotation[0]),
        n_cells=len(off),
        n_cells_left_out=left_out,
    )


@checked({"adata": ADATA, "known": COLUMN, "time": COLUMN, "period": PERIOD})
def circular_correlation(
    adata: AnnData, known: str, *, time: str = keys.CYCLE_PHASE, period: float = 1.0
) -> CircularCorrelation:
    r"""Circular-circular correlation of phases with known ones: neither origin matters, the direction does.

    .. math::

        \rho = \frac{\sum_{i<j} \sin(a_i - a_j) \sin(b_i - b_j)}
        {\sqrt{\sum_{i<j} \sin^2(a_i - a_j) \sum_{i<j} \sin^2(b_i - b_j)}}

    of angles a and b (Fisher and Lee 1983, Biometrika 70:327).

    Parameters
    ----------
    adata, known, time, period
        As in :func:`circular_error`.

    Raises
    ------
    InputError
        If a column is not there or holds no numbers, or fewer than two cells have both.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> import velotime as vt
    >>> obs = pd.DataFrame({"true_phase": [0.0, 0.2, 0.5], "cycle_phase": [0.9, 0.7, 0.4]}, index=list("abc"))
    >>> round(vt.metrics.circular_correlation(anndata.AnnData(obs=obs), "true_phase").correlation, 3)
    -1.0
    """
    phase, truth, left_out = _both(adata, known, time, period, least=2)
    same = np.ptp(phase) == 0 or np.ptp(truth) == 0
    return CircularCorrelation(float("nan") if same else fisher_lee(phase, truth), len(phase), left_out)


def _both(adata: AnnData, known: str, time: str, period: float, *, least: int) -> tuple[FloatArray, FloatArray, int]:
    """Phases and known ones of the cells that have both, in turns, and how many have not."""
    phase, truth = read_time(adata, time), read_time(adata, known) / period
    use = np.isfinite(phase) & np.isfinite(truth)
    if use.sum() < least:
        raise InputError(f"only {int(use.sum())} cells have both {time!r} and {known!r}: {least} or more are needed.")
    return phase[use], truth[use], int((~use).sum())
