"""Slots of a fit by the two-stage EM on a shared clock: those of ``SoftEM`` that one time per cell can fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime.data.reading import Reading
from velotime.data.slots import Slots, gene_columns, gene_rows, slots_of
from velotime.data.stored.gene_columns import lineage_columns
from velotime.data.writers.soft_em import (
    arrow_record,
    curve_columns,
    same_for_all,
    starts_record,
    with_velocity_genes,
)
from velotime.inference import AtTimes, SharedClockFit


@slots_of.register
def _(fit: SharedClockFit, adata: AnnData, reading: Reading) -> Slots:
    n_cells = adata.n_obs
    at = AtTimes(fit.parameters.theta, fit.time)
    columns = curve_columns(fit.parameters, fit.genes, n_cells=n_cells) | {
        keys.FIT_ARROW_EVIDENCE: fit.arrow.gene_evidence
    }
    one: Any = ["0"]
    return Slots(
        layers={
            keys.VELOCITY: at.velocity,
            keys.VELOCITY_U: at.velocity_u,
            keys.FIT_T: lambda: same_for_all(fit.time, len(reading.genes)),
        },
        obs={
            keys.LATENT_TIME: fit.time,
            keys.LINEAGE: pd.Categorical.from_codes(np.zeros(n_cells, dtype=int), one),
        },
        var=with_velocity_genes(gene_columns(columns, reading.genes, adata.n_vars)),
        obsm={keys.LINEAGE_POSTERIOR: np.ones((n_cells, 1))},
        varm=gene_rows(lineage_columns(fit.parameters.theta), reading.genes, adata.n_vars),
        uns={
            keys.LINEAGES: {"names": np.array(["0"], dtype=object), "shares": np.ones(1)},
            keys.TIME_ARROW: arrow_record(adata, fit.arrow),
        },
        record=starts_record(adata, fit.starts, fit.seconds_starts) | {"first_stage": fit.first_stage},
    )
