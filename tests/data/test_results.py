"""Writing results: any method's, and nothing left of an earlier one's."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import velotime as vt
from velotime import _keys as keys
from velotime.data import Slots, gene_columns, slots_of
from velotime.inference import Reads, Trace


@dataclass(frozen=True)
class Mean:
    """A method that fits a constant."""

    strength: float = 1.0
    reads = Reads.MOMENTS

    def fit(self, observations, *, rng, watch):
        return MeanFit(observations.spliced.mean(axis=0))


@dataclass(frozen=True)
class MeanFit:
    mean: np.ndarray
    status: vt.Status = vt.Status.CONVERGED
    trace: Trace = field(default_factory=lambda: Trace(np.zeros(3), np.ones(3)))
    log_likelihood: float = -1.0
    seconds: float = 0.0


@slots_of.register
def _(fit: MeanFit, adata, reading):
    return Slots(var=gene_columns({keys.FIT_ALPHA: fit.mean}, reading.genes, adata.n_vars), record={"extra": 7})


def test_any_method_is_fitted_and_recorded(small):
    vt.pp.moments(small)
    vt.tl.recover_dynamics(small, method=Mean(2.0), progress=False)
    fitted = small.var["fit_status"] == "fitted"
    assert 50 < fitted.sum() < 60
    np.testing.assert_allclose(small.var["fit_alpha"][fitted], small.layers["Ms"][:, fitted].mean(axis=0), rtol=1e-5)
    assert small.var["fit_alpha"][~fitted].isna().all()
    record = small.uns["recover_dynamics"]
    assert record["method"] == "Mean"
    assert record["settings"] == {"name": "Mean", "strength": 2.0}
    assert (record["status"], record["iterations"], record["extra"]) == ("converged", 3, 7)
    assert record["layers"] == {"unspliced": "Mu", "spliced": "Ms"}


def test_nothing_is_left_of_an_earlier_fit(fitted):
    adata = fitted.copy()
    vt.pp.moments(adata)
    vt.tl.recover_dynamics(adata, method=Mean(), progress=False)
    left = set(adata.var) | set(adata.obs) | set(adata.layers) | set(adata.obsm) | set(adata.varm) | set(adata.uns)
    assert not left & {
        "fit_beta",
        "latent_time",
        "fit_lineage",
        "velocity",
        "lineage_posterior",
        "fit_lineage_t",
        "time_arrow",
    }
    with pytest.raises(vt.InputError, match="made by Mean"):
        vt.tl.rank_genes(adata)


def test_fitted_means_are_not_taken_for_moments(fitted):
    with pytest.raises(vt.InputError, match="the means that a fit wrote"):
        vt.tl.recover_dynamics(fitted.copy(), method=Mean(), progress=False)


def test_a_result_without_a_writer_is_an_error(small):
    with pytest.raises(TypeError, match="no writer for a dict"):
        slots_of({}, small, None)
