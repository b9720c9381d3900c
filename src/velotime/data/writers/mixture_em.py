"""Slots of a fit by ``MixtureEM``."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime.data.reading import Reading
from velotime.data.slots import Slots, gene_rows, slots_of
from velotime.inference import MixtureFit


@slots_of.register
def _(fit: MixtureFit, adata: AnnData, reading: Reading) -> Slots:
    parameters = fit.parameters
    by_gene = {
        keys.MIXTURE_MEAN_U: parameters.unspliced.mean,
        keys.MIXTURE_MEAN_S: parameters.spliced.mean,
        keys.MIXTURE_VARIANCE_U: parameters.unspliced.variance,
        keys.MIXTURE_VARIANCE_S: parameters.spliced.variance,
    }
    names: Any = [str(k) for k in range(len(parameters.weight))]
    return Slots(
        obs={keys.MIXTURE_COMPONENT: pd.Categorical.from_codes(fit.posterior.argmax(axis=1), names)},
        obsm={keys.MIXTURE_POSTERIOR: fit.posterior},
        varm=gene_rows(by_gene, reading.genes, adata.n_vars),
        record={"weights": parameters.weight},
    )
