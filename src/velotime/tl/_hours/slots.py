"""What a fit says in hours, as slots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from velotime import _keys as keys
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.inference import Scale

RATES = (keys.FIT_ALPHA, keys.FIT_ALPHA_0, keys.FIT_ALPHA_2, keys.FIT_BETA, keys.FIT_GAMMA)
COVERAGE = 0.9


def hours_slots(fitted: Fitted, scale: Scale, growth: float) -> dict[str, dict[str, Any]]:
    """Slots of ``obs`` and ``var``: times, rates and half-lives; growth, per hour, is taken off degradation."""
    hours = float(np.exp(scale.log_hours))
    return {"obs": _times(fitted, hours), "var": _genes(fitted, hours, scale.sd, growth)}


def _times(fitted: Fitted, hours: float) -> dict[str, FloatArray]:
    slot = keys.CYCLE_PHASE_HOURS if fitted.goes_round else keys.LATENT_TIME_HOURS
    found = {slot: hours * fitted.latent_time}
    uncertain = fitted.uncertainty
    if "sd" in uncertain:
        found[f"{slot}_sd"] = hours * uncertain["sd"].to_numpy()
    return found


def _genes(fitted: Fitted, hours: float, scale_sd: float, growth: float) -> dict[str, pd.Series]:
    """Half-lives with 90 % intervals, in which the error of the rate and that of the scale are joined."""
    var = fitted.adata.var
    rates = {f"{name}_per_hour": var[name] / hours for name in RATES if name in var}
    slot = keys.FIT_GAMMA_UNDILUTED if keys.FIT_GAMMA_UNDILUTED in var else keys.FIT_GAMMA
    gamma = (var[slot] / hours - growth).astype(np.float64)
    half_life = (np.log(2) / gamma).where(gamma > 0)
    found = rates | {keys.FIT_HALF_LIFE: half_life}
    if f"{keys.FIT_GAMMA}_se" in var:
        sd = np.hypot(var[f"{keys.FIT_GAMMA}_se"] * var[keys.FIT_GAMMA] / hours / gamma, scale_sd)
        width = np.exp(norm.ppf(0.5 + COVERAGE / 2) * sd)
        found |= {f"{keys.FIT_HALF_LIFE}_low": half_life / width, f"{keys.FIT_HALF_LIFE}_high": half_life * width}
    found[keys.FIT_SPLICING_HALF_LIFE] = np.log(2) * hours / var[keys.FIT_BETA]
    return found
