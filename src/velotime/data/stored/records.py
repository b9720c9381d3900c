"""What a fit recorded of itself besides its slots of cells and genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from velotime import _keys as keys


@dataclass(frozen=True)
class Records:
    """The records of a fit by name; empty where the method leaves none.

    Attributes
    ----------
    uns
        Where they stand: ``adata.uns``, or what is about to be written there.
    """

    uns: Mapping[str, Any]

    @property
    def run(self) -> Mapping[str, Any]:
        """Settings, status and size of the run."""
        return self._record(keys.RECOVER_DYNAMICS)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the method, as they are stored."""
        settings: Mapping[str, Any] = self.run.get("settings", {})
        return settings

    @property
    def samples(self) -> str | None:
        """The obs column of the samples that were fitted on one clock; None where they were not."""
        column = self.settings.get("samples")
        return None if column is None else str(column)

    @property
    def arrow(self) -> Mapping[str, Any]:
        """Evidence for the direction of time."""
        return self._record(keys.TIME_ARROW)

    @property
    def fit_verdict(self) -> Mapping[str, Any]:
        """Whether the model fits."""
        return self._record(keys.FIT_VERDICT)

    @property
    def lineages(self) -> Mapping[str, Any]:
        """Names and shares of the lineages, and how their number was found."""
        return self._record(keys.LINEAGES)

    @property
    def background(self) -> Mapping[str, Any]:
        """Counts of no cell's own, where the method looks for them."""
        return self._record(keys.BACKGROUND)

    @property
    def knowledge(self) -> pd.DataFrame | None:
        """A row for each piece of what was known of the cells; None if nothing was."""
        table = self._record(keys.KNOWLEDGE).get("table")
        return table if isinstance(table, pd.DataFrame) else None

    @property
    def left_out(self) -> dict[str, int]:
        """How many genes were left out before and by the fit, by reason, the most first."""
        out: dict[str, int] = {}
        for record in (self._record(keys.FILTER_GENES), self.run):
            for reason, n in record.get("left_out", {}).items():
                out[str(reason)] = out.get(str(reason), 0) + int(n)
        return dict(sorted(out.items(), key=lambda item: -item[1]))

    def _record(self, name: str) -> Mapping[str, Any]:
        record: Mapping[str, Any] = self.uns.get(name, {})
        return record
