"""Groups with rates of their own, from counts to table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import false_discovery_control

import velotime as vt
from velotime import InputError
from velotime.kinetics import switch_means

FOLD = 3.0
CHANGED = 10


@pytest.fixture(scope="module")
def batches():
    """Two batches of 300 cells; in the second the first 10 of 100 genes are degraded three times as fast."""
    rng = np.random.default_rng(4)
    adata = vt.simulation.simulate(600, 100, rng=rng, mean_unspliced=1.0, mean_spliced=3.0)
    adata.obs["batch"] = np.repeat(["first", "second"], 300)
    var = adata.var.iloc[:CHANGED]
    levels = [np.log(var[f"true_level_{k}"] / FOLD) for k in range(3)]
    duration = np.log(var["true_t_off"] - var["true_t_on"])
    theta = np.stack(
        [
            np.log(var["true_beta"]),
            np.log(var["true_gamma"] * FOLD),
            var["true_t_on"],
            *levels[:2],
            np.log(var["true_scaling"]),
            duration,
            levels[2],
        ],
        axis=1,
    )
    second = adata.obs["batch"] == "second"
    time, size = adata.obs.loc[second, "true_time"].to_numpy(), adata.obs.loc[second, "true_depth"].to_numpy()
    noise = vt.simulation.NegativeBinomialCounts()
    for name, curve in zip(("unspliced", "spliced"), switch_means(theta, time), strict=True):
        layer = adata.layers[name].toarray()
        layer[300:, :CHANGED] = noise.draw(curve.T * size[:, None], rng)
        adata.layers[name] = sparse.csr_matrix(layer)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1), progress=False)
    return adata


def test_changed_genes_are_found_and_others_rarely(batches):
    table = vt.tl.differential_kinetics(batches, "batch")
    assert len(table) == 2 * batches.n_vars
    assert table["p_value"].is_monotonic_increasing
    np.testing.assert_allclose(table["q_value"], false_discovery_control(table["p_value"]))
    changed = table["gene"].isin(batches.var_names[:CHANGED])
    assert np.mean(table.loc[changed, "q_value"] < 0.05) >= 0.8
    assert np.mean(table.loc[~changed, "q_value"] < 0.05) < 0.05
    assert np.mean(table.loc[~changed, "p_value"] < 0.05) < 0.15
    fold = table.loc[changed & (table["group"] == "second"), "log2_fold_gamma"]
    assert np.median(fold) == pytest.approx(np.log2(FOLD), abs=0.5)


def test_random_groups_need_no_rates_of_their_own(batches):
    adata = batches.copy()
    adata.obs["lot"] = np.random.default_rng(5).choice(["x", "y", "z"], adata.n_obs)
    table = vt.tl.differential_kinetics(adata, "lot")
    assert np.mean(table["p_value"] < 0.05) < 0.09
    assert 0.4 < np.median(table["p_value"]) < 0.6
    assert not (table["q_value"] < 0.01).any()


def test_small_groups_are_left_out_and_named(batches):
    adata = batches.copy()
    adata.obs["lot"] = np.where(np.arange(adata.n_obs) < 7, "rare", adata.obs["batch"])
    table = vt.tl.differential_kinetics(adata, "lot")
    assert table.attrs["groups_left_out"] == {"rare": 7}
    assert set(table["group"]) == {"first", "second"}


def test_bad_arguments(batches, small):
    with pytest.raises(InputError, match="recover_dynamics"):
        vt.tl.differential_kinetics(small, "batch")
    with pytest.raises(InputError, match="column 'lot' not found"):
        vt.tl.differential_kinetics(batches, "lot")
    adata = batches.copy()
    adata.obs["one"] = "all"
    with pytest.raises(InputError, match=r"no group of obs\['one'\].*\{'all': 600\}"):
        vt.tl.differential_kinetics(adata, "one")


def test_cells_without_a_label_are_in_no_group(batches):
    adata = batches.copy()
    adata.obs["gap"] = adata.obs["batch"].where(np.arange(600) > 2)
    table = vt.tl.differential_kinetics(adata, "gap")
    sizes = adata.obs["gap"].value_counts()
    assert table.groupby("group")["n_cells"].first().to_dict() == sizes.to_dict()
