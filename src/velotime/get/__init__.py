"""What a fit says of any cells and genes, as data frames with their names.

Dense layers of cells x genes need not be stored: these functions compute any block of them from the posterior. All of
them return a :class:`pandas.DataFrame`; ``.to_numpy()`` gives the array, without a copy.
"""

from __future__ import annotations

from velotime.get._blocks import FittedMeans, fitted_means, velocity, velocity_sd, velocity_u
from velotime.get._tables import half_lives, latent_time, lineage_posterior, posterior, rates, size_factors

__all__ = [
    "FittedMeans",
    "fitted_means",
    "half_lives",
    "latent_time",
    "lineage_posterior",
    "posterior",
    "rates",
    "size_factors",
    "velocity",
    "velocity_sd",
    "velocity_u",
]
