"""Where simulated cells lie on the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator

from velotime._status import InputError
from velotime._types import FloatArray


class Times(Protocol):
    """A distribution of cell times on [0, 1]."""

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Times of ``n_cells`` cells, ``(cells,)``."""


@dataclass(frozen=True)
class UniformTimes:
    """Every time is as likely as any other."""

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Uniform on [0, 1]."""
        return rng.uniform(0, 1, n_cells)


@dataclass(frozen=True)
class ClumpedTimes:
    """Most cells sit in a few clumps, the rest anywhere.

    Parameters
    ----------
    centres
        Middles of the clumps.
    width
        Standard deviation of a clump.
    background
        Share of the cells that are uniform.
    """

    centres: tuple[float, ...] = (0.15, 0.5, 0.85)
    width: float = 0.05
    background: float = 0.2

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """A mixture of normals and a uniform, folded into [0, 1]."""
        centre = rng.choice(np.asarray(self.centres), n_cells)
        time = np.abs(rng.normal(centre, self.width))
        time = np.where(time > 1, 2 - time, time)
        return np.clip(np.where(rng.uniform(size=n_cells) < self.background, rng.uniform(0, 1, n_cells), time), 0, 1)


@dataclass(frozen=True)
class GappedTimes:
    """No cell between ``start`` and ``stop``."""

    start: float = 0.4
    stop: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= 1:
            raise InputError(f"GappedTimes(start={self.start}, stop={self.stop}): needs 0 <= start < stop <= 1.")

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """Uniform outside the gap."""
        time = rng.uniform(0, 1 - (self.stop - self.start), n_cells)
        return np.where(time > self.start, time + self.stop - self.start, time)


@dataclass(frozen=True)
class ExponentialTimes:
    """Most cells are early: density proportional to ``exp(-rate t)`` on [0, 1]."""

    rate: float = 3.0

    def draw(self, n_cells: int, rng: Generator) -> FloatArray:
        """By inversion of the truncated exponential distribution."""
        return -np.log1p(-rng.uniform(0, 1, n_cells) * -np.expm1(-self.rate)) / self.rate
