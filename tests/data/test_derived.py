"""What is derived from a fit: which fit it belongs to, and when it is removed."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from quick_fit import QUICK

import velotime as vt
from velotime import InputError
from velotime.data import leaves_as_it_was, of_these_cells, read_derived, write_derived

pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
OTHER = vt.MixtureEM(n_components=3)  # at once
COUNTS = {"unspliced": "unspliced", "spliced": "spliced"}


@pytest.fixture(scope="module")
def made():
    """A quick fit with a graph, arrows, and all else that is made of it."""
    adata = vt.simulation.simulate(200, 30, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    time = adata.obs["true_time"].to_numpy()
    adata.obsm["X_line"] = np.c_[time, np.sin(7 * time)]
    adata.obs["day"] = np.digitize(time, [0.3, 0.6]).astype(float)
    method = vt.SoftEM(**QUICK, knowledge=vt.TimeLabels("day"))
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata, basis="line")
    vt.tl.to_experimental_time(adata, "day")
    vt.tl.compare_models(adata, method=vt.SoftEM(**QUICK))
    vt.tl.resample(adata, n_replicates=2, progress=False)
    return adata


MADE = {
    "obsp": {"velocity_graph", "velocity_graph_neg"},
    "obsm": {"velocity_line"},
    "obs": {"velocity_self_transition", "latent_time_experimental", "latent_time_resampled_sd"},
    "var": {"fit_gamma_experimental", "fit_gamma_resampled_se"},
    "uns": {"velocity_graph", "experimental_time", "model_comparison", "resample"},
}


def there(adata):
    return {box: names & set(getattr(adata, box)) for box, names in MADE.items()}


def test_another_fit_removes_what_was_made_of_the_one_before(made):
    assert there(made) == MADE
    again = made.copy()
    vt.tl.recover_dynamics(again, method=OTHER, **COUNTS, progress=False)
    assert not any(there(again).values())
    assert not again.uns["velotime_derived"]
    same = made.copy()
    method = vt.SoftEM(**QUICK, knowledge=vt.TimeLabels("day"))
    vt.tl.recover_dynamics(same, method=method, progress=False)
    assert there(same) == MADE  # the same fit: the same results


def test_it_is_known_after_a_file(made, tmp_path):
    made.write_h5ad(tmp_path / "made.h5ad")
    again = ad.read_h5ad(tmp_path / "made.h5ad")
    for name in ("velocity_graph", "velocity_line", "experimental_time", "model_comparison", "resample"):
        assert read_derived(again, name) == read_derived(made, name)
        assert of_these_cells(again, name)


def test_the_graph_goes_with_its_cells(made):
    order = np.random.default_rng(1).permutation(made.n_obs)
    whole = vt.tl.transition_matrix(made).toarray()
    moved = made[order].copy()
    np.testing.assert_allclose(vt.tl.transition_matrix(moved).toarray(), whole[order][:, order], atol=1e-12)
    part = made[order[:90]].copy()
    transitions = vt.tl.transition_matrix(part)
    assert transitions.shape == (90, 90)
    np.testing.assert_allclose(np.asarray(transitions.sum(axis=1)).ravel(), 1)


def test_a_verdict_is_of_the_cells_that_were_asked(made):
    assert of_these_cells(made, "model_comparison")
    assert of_these_cells(made[::-1].copy(), "model_comparison")
    part = made[:150].copy()
    assert not of_these_cells(part, "model_comparison")
    from velotime.report._facts import collect

    asked, not_asked = (
        next(finding.answer for finding in collect(adata).findings if finding.topic == "Trajectory")
        for adata in (made, part)
    )
    assert not_asked == "Not asked" != asked


def test_a_verdict_without_a_fit_stays_with_its_cells(made):
    adata = made.copy()
    del adata.uns["recover_dynamics"], adata.uns["velotime_derived"], adata.uns["model_comparison"]
    vt.tl.compare_models(adata, method=vt.SoftEM(**QUICK))
    part = adata[:150].copy()
    for one, stays in ((adata, True), (part, False)):
        vt.tl.recover_dynamics(one, method=OTHER, **COUNTS, layers=(), progress=False)
        assert ("model_comparison" in one.uns) == stays


def test_arrows_of_anything_else_are_drawn_again(made):
    arrows = made.obsm["velocity_line"]
    turned = made.copy()
    turned.obsm["X_line"] = turned.obsm["X_line"] * [-1, 1]
    with pytest.raises(InputError, match=r"not that of the fit, the graph and the coordinates.*velocity_embedding"):
        vt.metrics.cross_boundary_correctness(turned, [("0", "1")], column="day", basis="line")
    vt.pl.velocity_arrows(turned, basis="line")
    np.testing.assert_allclose(turned.obsm["velocity_line"], arrows * [-1, 1], atol=1e-12)
    drawn = made.copy()
    vt.tl.velocity_graph(drawn, posterior=True, n_draws=5)
    vt.pl.velocity_arrows(drawn, basis="line")
    assert not np.array_equal(drawn.obsm["velocity_line"], arrows)
    other = made.copy()
    other.obsm["X_other"], other.obsm["velocity_other"] = other.obsm["X_line"].copy(), np.ones((200, 2))
    vt.pl.velocity_arrows(other, basis="other")
    np.testing.assert_allclose(other.obsm["velocity_other"], arrows)
    plt.close("all")


def test_a_result_replaces_the_one_before(small):
    write_derived(small, "thing", {"obs": {"a": np.zeros(small.n_obs)}, "uns": {"b": 1}})
    write_derived(small, "thing", {"uns": {"b": 2}})
    assert "a" not in small.obs
    assert small.uns["b"] == 2


def snapshot(adata):
    boxes = ("layers", "obsm", "varm", "obsp", "uns")
    return {box: list(getattr(adata, box)) for box in boxes} | {"obs": list(adata.obs), "var": list(adata.var)}


def test_a_call_that_fails_leaves_all_as_it_was(made):
    plain = made.copy()
    for name in ("velocity_graph", "velocity_line"):
        from velotime.data import remove_derived

        remove_derived(plain, name)
    for name in [name for name in plain.obsp if name.startswith("velotime")]:
        del plain.obsp[name]
    plain.obs["back"] = -plain.obs["day"]
    before = snapshot(plain)
    for call in (
        lambda: vt.tl.velocity_graph(plain, genes="nothing"),
        lambda: vt.tl.velocity_graph(plain, state="nothing"),
        lambda: vt.tl.velocity_graph(plain, spliced="nothing"),
        lambda: vt.tl.velocity_embedding(plain, basis="line"),
        lambda: vt.pl.velocity_stream(plain, basis="line", color="nothing"),
        lambda: vt.tl.to_experimental_time(plain, "back"),
        lambda: vt.pp.moments(plain, unspliced="nothing"),
        lambda: vt.tl.recover_dynamics(plain, layers=("nothing",)),
        lambda: vt.tl.recover_dynamics(plain, unspliced="nothing"),
        lambda: vt.metrics.velocity_confidence(plain, genes="nothing"),
    ):
        with pytest.raises(InputError):
            call()
        assert snapshot(plain) == before
    plt.close("all")


def test_what_a_part_wrote_goes_with_the_whole(small):
    @leaves_as_it_was
    def fail(adata):
        adata.obs["new"] = 1
        adata.obsm["new"] = np.zeros((adata.n_obs, 1))
        adata.uns["old"] = 2
        raise InputError("no")

    small.uns["old"] = 1
    before = snapshot(small)
    with pytest.raises(InputError, match="no"):
        fail(small)
    assert snapshot(small) == before
    assert small.uns["old"] == 1


def test_layers_are_those_that_are_asked_for():
    adata = vt.simulation.simulate(150, 30, rng=np.random.default_rng(2), mean_unspliced=1.0, mean_spliced=3.0)
    counts = set(adata.layers)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**QUICK), progress=False)
    assert set(adata.layers) - counts == {"Ms", "Mu", "velocity", "velocity_u", "velocity_sd", "fit_t"}
    velocity = adata.layers["velocity"]
    for layers in ((), ("velocity", "Mu")):
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(**QUICK), layers=layers, progress=False)
        assert set(adata.layers) - counts == set(layers)
        assert ("moments" in adata.uns) == ("Mu" in layers)
        fitted = velocity[:, adata.var["fit_status"] == "fitted"]
        np.testing.assert_allclose(vt.get.velocity(adata), fitted, rtol=1e-6, atol=1e-12)  # zero to rounding
        vt.tl.velocity_graph(adata)  # needs no layer
    with pytest.raises(InputError, match=r"layers=\('fit_tau',\).*SoftEM can write"):
        vt.tl.recover_dynamics(adata, layers=("fit_tau",))


def test_large_objects_get_no_dense_layers(monkeypatch):
    from velotime.data.writers import layers

    adata = vt.simulation.simulate(60, 30, rng=np.random.default_rng(2), mean_unspliced=1.0, mean_spliced=3.0)
    assert layers.choose_layers(adata, vt.SoftEM(), None) == layers.SOFT
    monkeypatch.setattr(layers, "MOST_ENTRIES", 60 * 30 - 1)
    assert layers.choose_layers(adata, vt.SoftEM(), None) == ()
    assert layers.choose_layers(adata, vt.SoftEM(), ("velocity",)) == ("velocity",)
