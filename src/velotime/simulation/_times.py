"""Where simulated cells lie on the clock."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from velotime._check import Number, Numbers, Settings
from velotime._status import InputError
from velotime._types import FloatArray


class Times(Settings):
    """A distribution of cell times on [0, 1]."""

    @abstractmethod
    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Times of ``n_cells`` cells, ``(cells,)``."""


@dataclass(frozen=True)
class UniformTimes(Times):
    """Every time is as likely as any other."""

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Uniform on [0, 1]."""
        return rng.uniform(0, 1, n_cells)


@dataclass(frozen=True)
class ClumpedTimes(Times):
    """Most cells sit in a few clumps, the rest anywhere.

    Parameters
    ----------
    centres
        Middles of the clumps.
    width
        Standard deviation of a clump.
    background
        Share of the cells that are uniform.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> clumps = vt.simulation.ClumpedTimes((0.2, 0.8))
    >>> adata = vt.simulation.simulate(200, 50, rng=np.random.default_rng(0), times=clumps)
    >>> bool(adata.obs["true_time"].between(0.4, 0.6).mean() < 0.1)
    True
    """

    centres: tuple[float, ...] = (0.15, 0.5, 0.85)
    width: float = 0.05
    background: float = 0.2

    rules: ClassVar = {"centres": Numbers(Number(0, 1)), "width": Number(0), "background": Number(0, 1)}

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """A mixture of normals and a uniform, folded into [0, 1]."""
        centre = rng.choice(np.asarray(self.centres), n_cells)
        time = np.abs(rng.normal(centre, self.width))
        time = np.where(time > 1, 2 - time, time)
        return np.clip(np.where(rng.uniform(size=n_cells) < self.background, rng.uniform(0, 1, n_cells), time), 0, 1)


@dataclass(frozen=True)
class GappedTimes(Times):
    """No cell between ``start`` and ``stop``."""

    start: float = 0.4
    stop: float = 0.6

    rules: ClassVar = {"start": Number(0, 1), "stop": Number(0, 1)}

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = self.start == 0 and self.stop == 1
        if not self.start < self.stop or whole:
            raise InputError(
                f"GappedTimes(start={self.start}, stop={self.stop}): start must be below stop, and cells need room "
                "beside the gap. The defaults are 0.4 and 0.6."
            )

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Uniform outside the gap."""
        time = rng.uniform(0, 1 - (self.stop - self.start), n_cells)
        return np.where(time > self.start, time + self.stop - self.start, time)


@dataclass(frozen=True)
class ExponentialTimes(Times):
    """Most cells are early: density proportional to ``exp(-rate t)`` on [0, 1]."""

    rate: float = 3.0

    rules: ClassVar = {"rate": Number(0, open_least=True)}

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """By inversion of the truncated exponential distribution."""
        return -np.log1p(-rng.uniform(0, 1, n_cells) * -np.expm1(-self.rate)) / self.rate


@dataclass(frozen=True)
class GrowingTimes(Times):
    """Cells that divide once a turn, evenly: density ``2 ln 2 2^-t`` on [0, 1), two new ones for each old.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> cycle, times = vt.simulation.Cycling(), vt.simulation.GrowingTimes()
    >>> adata = vt.simulation.simulate(500, 20, rng=np.random.default_rng(0), cycle=cycle, times=times)
    >>> bool((adata.obs["true_phase"] < 0.5).mean() > 0.52)
    True
    """

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """By inversion: ``-log2(1 - u / 2)``."""
        return -np.log2(1 - 0.5 * rng.uniform(0, 1, n_cells))
