"""What samples have of their own as slots, and back: the only place that knows both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.inference import SampleEffects, SoftParameters

SLOTS = (keys.CAPTURE_U, keys.CAPTURE_S)
BACKGROUND = (keys.FIT_BACKGROUND_U, keys.FIT_BACKGROUND_S)  # of each sample in varm, their mean in var


def capture_columns(parameters: SoftParameters) -> dict[str, FloatArray]:
    """Capture and background of each gene in each sample, ``(genes, samples)``; 0 where a sample does not have it."""
    effects = parameters.effects
    if effects is None:
        return {}
    return dict(zip((*SLOTS, *BACKGROUND), (*np.exp(effects.log_capture), *effects.besides), strict=True))


def samples_record(parameters: SoftParameters, table: pd.DataFrame | None) -> dict[str, Any]:
    """Names of the samples, spread of their captures, their dispersion, their share of the cells, and the table."""
    effects = parameters.effects
    if effects is None:
        return {}
    record = {
        "names": np.array(effects.names, dtype=object),
        "spread": effects.spread,
        "dispersion_u": np.exp(effects.log_dispersion[0]),
        "dispersion_s": np.exp(effects.log_dispersion[1]),
        "shares": effects.share,
        "table": table,
    }
    return {keys.SAMPLES: record}


def read_effects(adata: AnnData, genes: IntArray) -> SampleEffects | None:
    """What samples have of their own in some genes; None for a fit of one sample."""
    record = adata.uns.get(keys.SAMPLES)
    if record is None or keys.CAPTURE_U not in adata.varm:
        return None
    capture, background = (
        np.stack([np.asarray(adata.varm[slot], dtype=np.float64)[genes] for slot in slots])
        for slots in (SLOTS, BACKGROUND)
    )
    return SampleEffects(
        tuple(str(name) for name in record["names"]),
        np.log(capture),
        np.log(np.stack([np.asarray(record["dispersion_u"]), np.asarray(record["dispersion_s"])])),
        np.asarray(record["spread"], dtype=np.float64),
        np.asarray(record["shares"], dtype=np.float64),
        background=background if np.any(background > 0) else None,
    )
