"""What an object knows of hours, as a record and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import number
from velotime.data.stored.derived import read_record

AGREE = "agree"


def hours_record(adata: AnnData) -> Mapping[str, Any]:
    """What :func:`velotime.tl.to_real_time` recorded of this fit, if it found hours; empty otherwise."""
    record = read_record(adata, keys.REAL_TIME)
    return record if str(record.get("verdict", "")) == AGREE else {}


def hours_in_words(adata: AnnData) -> str:
    """What is known of hours, or why they are not though they were asked for; empty if they were not."""
    record = read_record(adata, keys.REAL_TIME)
    if not record:
        return ""
    if not (found := hours_record(adata)):
        return f"no hours by {record['by']}: {record['reason']}"
    whole = "a turn" if keys.CYCLE in adata.uns else "the clock"
    low, high = (number(found[f"hours_per_clock_{end}"]) for end in ("low", "high"))
    return (
        f"{whole} takes {number(found['hours_per_clock'])} hours (90 % interval {low} to {high}) by {found['by']}: "
        f"{found['reason']}"
    )
