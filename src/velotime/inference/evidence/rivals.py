"""Other ways in which time might run, and by how much each of them loses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

CLEAR_PER_CELL = 0.05  # nats per cell by which every rival must lose on all genes: genes that do not change reach 0.02
# The same order backwards loses by 0.4 and more where it is wrong (docs/studies/branches.md). Where cells run in from
# both ends of a line, or out from its middle, either direction is right for half of them, and neither loses by much.
CLEAR_BACKWARDS = 0.2
BACKWARDS = -0.9  # correlation of times below which a rival is the same order backwards
NOT_ASKED = (float("nan"), float("nan"))
IN_A_HALF = 0.5  # share of that by which it must lose in each half of the genes


@dataclass(frozen=True)
class Rival:
    """A fit from another root, or of the reversed clock, and by how many nats per cell it is behind.

    Attributes
    ----------
    root
        The cell it begins at, in the caller's order.
    how
        How it was started.
    margin
        By how much it is behind on all genes of the search, by the counts alone.
    halves
        Likewise in each of two disjoint halves of these genes, fitted apart, NaN in one where it ended with the times
        that are reported; None where it is so far behind that they were not asked.
    known
        By how much what is known of the cells speaks against it, over what it says of the fit that is reported.
    correlation
        Spearman correlation of its times with those reported.
    """

    root: int
    how: str
    margin: float
    halves: tuple[float, float] | None
    known: float
    correlation: float

    @property
    def total(self) -> float:
        """All that speaks against it."""
        return self.margin + self.known

    @property
    def loses(self) -> bool:
        """Whether it loses clearly on all genes and in either half."""
        return self.loses_on_all and self.half_that_prefers is None

    @property
    def asked(self) -> float:
        """By how much it must lose on all genes, nats per cell."""
        return CLEAR_BACKWARDS if self.correlation < BACKWARDS else CLEAR_PER_CELL

    @property
    def loses_on_all(self) -> bool:
        """Whether it loses clearly on all genes."""
        return self.total >= self.asked

    @property
    def half_that_prefers(self) -> int | None:
        """The half of the genes, 1 or 2, in which it does not lose clearly: the one where it is closer. Else None.

        Halves are not asked where what is known of the cells rules it out by itself.
        """
        if self.halves is None or np.isnan(self.halves).all() or self.known >= CLEAR_PER_CELL:
            return None
        worst = int(np.nanargmin(self.halves))
        return worst + 1 if self.halves[worst] + self.known < IN_A_HALF * CLEAR_PER_CELL else None


def rivals_table(rivals: tuple[Rival, ...]) -> pd.DataFrame:
    """One row per rival, the closest first."""
    rows = sorted(rivals, key=lambda rival: rival.total)
    return pd.DataFrame(
        {
            "root_cell": np.array([rival.root for rival in rows], dtype=np.int64),
            "start": np.array([rival.how for rival in rows], dtype=object),
            "margin": np.array([rival.margin for rival in rows], dtype=float),
            "half_1": np.array([(rival.halves or NOT_ASKED)[0] for rival in rows], dtype=float),
            "half_2": np.array([(rival.halves or NOT_ASKED)[1] for rival in rows], dtype=float),
            "known": np.array([rival.known for rival in rows], dtype=float),
            "correlation": np.array([rival.correlation for rival in rows], dtype=float),
            "loses": np.array([rival.loses for rival in rows], dtype=bool),
        }
    )
