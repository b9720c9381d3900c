"""Fits of halves of the cells."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime import InputError
from velotime.data import restore_soft_fit


@pytest.mark.long
def test_replicates_cover_the_truth_and_agree_on_direction(fitted):
    adata = fitted.copy()
    table = vt.tl.resample(adata, n_replicates=4, progress=False)
    assert list(table["agrees"]) == [True] * 4
    assert table["correlation"].min() > 0.97
    assert adata.uns["resample"] == {"share_agreeing": 1.0, "n_replicates": 4}
    unit = np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)
    low, high = (np.polyval(unit, adata.obs[f"latent_time_resampled_{q}"]) for q in ("q05", "q95"))
    covered = ((adata.obs["true_time"] >= low) & (adata.obs["true_time"] <= high)).mean()
    assert 0.82 < covered < 0.98
    errors = adata.var["fit_gamma_resampled_se"]
    assert ((errors > 0) & (errors < 2)).all()


def test_what_cannot_be_resampled(fitted, small):
    with pytest.raises(InputError, match="2 or more"):
        vt.tl.resample(fitted, n_replicates=1)
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.tl.resample(small)


def test_the_prior_adds_to_the_error_of_rates_what_it_holds(fitted):
    """Never more than the whole error, nearly all of it where the counts say nothing, little where they say much."""
    genes, restored = restore_soft_fit(fitted)
    share = restored.shrinkage[:, 1] / np.asarray(fitted.var["fit_gamma_se"])[genes] ** 2
    assert np.all((share > 0) & (share <= 1 + 1e-6))
    gain = np.asarray(fitted.var["fit_gain"])[genes]
    assert np.median(share[gain < np.quantile(gain, 0.1)]) > 3 * np.median(share[gain > np.quantile(gain, 0.9)])
