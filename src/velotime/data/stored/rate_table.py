"""Rates of the genes with intervals, from a stored fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from velotime import _keys as keys
from velotime._types import FloatArray
from velotime.data.fitted import Fitted

COVERAGE = 0.9  # of the intervals
QUALITY = (keys.FIT_DEVIANCE_EXPLAINED, keys.FIT_GAIN, keys.FIT_CHECK_MEANS, keys.FIT_CHECK_ZEROS)


def rate_table(fitted: Fitted) -> pd.DataFrame:
    """Rates of every gene with 90 % intervals, where there are standard errors; NaN where a gene was not fitted.

    Columns that the method does not give are left out.

    Raises
    ------
    InputError
        If the method gives no rates.
    """
    var = fitted.require("rates").adata.var
    columns: dict[str, FloatArray] = {name: var[name].to_numpy() for name in QUALITY if name in var}
    columns["alpha"] = var[keys.FIT_ALPHA].to_numpy()
    z = norm.ppf(0.5 + COVERAGE / 2)
    for name, slot in (("beta", keys.FIT_BETA), ("gamma", keys.FIT_GAMMA)):
        rate = columns[name] = var[slot].to_numpy()
        if f"{slot}_se" in var:
            width = np.exp(z * var[f"{slot}_se"].to_numpy())
            columns |= {f"{name}_low": rate / width, f"{name}_high": rate * width}
    for name, slot, low, high in (
        ("t_on", keys.FIT_T_ON, keys.FIT_T_ON_Q05, keys.FIT_T_ON_Q95),
        ("t_off", keys.FIT_T_OFF, keys.FIT_T_OFF_Q05, keys.FIT_T_OFF_Q95),
    ):
        if slot in var:
            columns[name] = var[slot].to_numpy()
        if low in var:
            columns |= {f"{name}_low": var[low].to_numpy(), f"{name}_high": var[high].to_numpy()}
    columns["scaling"] = var[keys.FIT_SCALING].to_numpy()
    table = pd.DataFrame(columns, index=fitted.adata.var_names)
    return table.assign(shape=var[keys.FIT_SHAPE]) if keys.FIT_SHAPE in var else table
