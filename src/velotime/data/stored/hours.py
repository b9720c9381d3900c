"""What an object knows of hours, and the unit in which a reader is told of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anndata import AnnData

from velotime import _keys as keys
from velotime.data.stored.derived import read_record

AGREE = "agree"


@dataclass(frozen=True)
class TimeUnit:
    """The unit in which times of the cells are shown.

    Attributes
    ----------
    length
        Of the whole clock, or of a turn, in the unit.
    name
        Of the unit.
    known
        Whether it is one of physical time.
    goes_round
        Whether the clock has neither beginning nor end.
    """

    length: float
    name: str
    known: bool
    goes_round: bool = False

    @property
    def label(self) -> str:
        """Of an axis of times."""
        if not self.goes_round:
            return f"latent time ({self.name})"
        return f"time in the cycle ({self.name})" if self.known else f"phase ({self.name})"


def hours_record(adata: AnnData) -> Mapping[str, Any]:
    """What :func:`velotime.tl.to_real_time` recorded of this fit, if it found hours; empty otherwise."""
    record = read_record(adata, keys.REAL_TIME)
    return record if str(record.get("verdict", "")) == AGREE else {}


def time_unit(adata: AnnData) -> TimeUnit:
    """Hours where they are known, else the clock itself."""
    record, round_ = hours_record(adata), keys.CYCLE in adata.uns
    if record:
        return TimeUnit(float(record["hours_per_clock"]), "hours", True, round_)
    return TimeUnit(1.0, "turns of the clock" if round_ else "relative", False, round_)
