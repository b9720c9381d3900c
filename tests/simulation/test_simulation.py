"""Simulated cells agree with their stored truth."""

from __future__ import annotations

import numpy as np
import pytest

from velotime import InputError
from velotime import simulation as sim
from velotime.kinetics import switch_means


def theta_of(adata):
    v = adata.var
    return np.column_stack(
        [
            np.log(v["true_beta"]),
            np.log(v["true_gamma"]),
            v["true_t_on"],
            np.log(v["true_level_0"]),
            np.log(v["true_level_1"]),
            np.log(v["true_scaling"]),
            np.log(v["true_t_off"] - v["true_t_on"]),
            np.log(v["true_level_2"]),
        ]
    )


@pytest.mark.parametrize("noise", [sim.PoissonCounts(), sim.NegativeBinomialCounts(0.4)])
def test_counts_scatter_around_the_curve_as_stated(noise):
    adata = sim.simulate(1500, 40, rng=np.random.default_rng(0), noise=noise, mean_unspliced=2.0, mean_spliced=5.0)
    curves = switch_means(theta_of(adata), adata.obs["true_time"].to_numpy())
    phi = getattr(noise, "dispersion", 0.0)
    for layer, curve in zip(("unspliced", "spliced"), curves, strict=True):
        mean = curve.T * adata.obs["true_depth"].to_numpy()[:, None]
        x = adata.layers[layer].toarray()
        z = (x - mean) / np.sqrt(mean * (1 + phi * mean))
        assert abs(z.mean()) < 5 / np.sqrt(z.size) * 2
        assert abs((z**2).mean() - 1) < 0.08
        assert np.array_equal(x, np.floor(x))


def test_mean_counts_are_as_asked():
    adata = sim.simulate(2000, 200, rng=np.random.default_rng(1), mean_unspliced=0.3, mean_spliced=1.0)
    assert adata.layers["unspliced"].mean() == pytest.approx(0.3, rel=0.05)
    assert adata.layers["spliced"].mean() == pytest.approx(1.0, rel=0.05)


def test_time_distributions_have_their_shapes():
    rng = np.random.default_rng(2)
    for times in (sim.UniformTimes(), sim.ClumpedTimes(), sim.GappedTimes(), sim.ExponentialTimes()):
        t = times.draw(20000, rng)
        assert t.min() >= 0
        assert t.max() <= 1
    gap = sim.GappedTimes(0.4, 0.6).draw(5000, rng)
    assert not np.any((gap > 0.4) & (gap < 0.6))
    near = np.abs(sim.ClumpedTimes().draw(20000, rng)[:, None] - np.array([0.15, 0.5, 0.85])).min(axis=1) < 0.1
    assert near.mean() > 0.8
    fast = sim.ExponentialTimes(3.0).draw(20000, rng)
    assert fast.mean() == pytest.approx(1 / 3 - np.exp(-3) / (1 - np.exp(-3)), abs=0.01)


def test_classes_have_their_shapes():
    adata = sim.simulate(60, 400, rng=np.random.default_rng(3))
    t = np.linspace(0, 1, 201)
    _, spliced = switch_means(theta_of(adata), t)
    for kind, rows in adata.var.groupby("true_class", observed=True).indices.items():
        curve = spliced[rows]
        first, last, high, low = curve[:, 0], curve[:, -1], curve.max(axis=1), curve.min(axis=1)
        if kind == "induction":
            assert np.all(np.diff(curve, axis=1) >= -1e-9)
            assert np.all(last > first)
        elif kind == "repression":
            assert np.all(np.diff(curve, axis=1) <= 1e-9)
            assert np.all(last < first)
        elif kind == "pulse":
            assert np.all(high > 1.2 * first)
        elif kind == "dip":
            assert np.all(low < first / 1.2)
        else:
            assert np.allclose(high, low)


def test_lineages_agree_before_they_part_and_differ_after():
    branches = sim.Branches((0.3, 0.6))
    adata = sim.simulate(900, 100, rng=np.random.default_rng(4), branches=branches)
    t_off, level = adata.varm["true_t_off"], adata.varm["true_level_2"]
    assert t_off.shape == (100, 3)
    differs = np.ptp(level, axis=1) > 1e-9
    assert 0.3 < differs.mean() < 0.7
    assert t_off[differs].min() >= 0.3
    late = adata[adata.obs["true_time"] > 0.8]
    assert set(late.obs["true_lineage"]) == {"0", "1", "2"}
    early = adata.obs["true_time"] < 0.3
    assert set(adata.obs["true_lineage"][early]) == {"0"}
    assert set(adata.obs["true_branch"][early]) == {"trunk"}


def test_the_same_seed_gives_the_same_data():
    one, other = (sim.simulate(100, 20, rng=np.random.default_rng(5)) for _ in range(2))
    assert (one.layers["spliced"] != other.layers["spliced"]).nnz == 0
    assert one.obs.equals(other.obs)
    third = sim.simulate(100, 20, rng=np.random.default_rng(6))
    assert (one.layers["spliced"] != third.layers["spliced"]).nnz > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rng: sim.simulate(0, 5, rng=rng), r"simulate\(n_cells=0\): must be a whole number, 1 or more"),
        (
            lambda rng: sim.simulate(5, 5, rng=rng, mean_spliced=0),
            r"simulate\(mean_spliced=0\): must be a number, above 0",
        ),
        (lambda rng: sim.GeneMix(flat=0.5), "sum to 1"),
        (lambda rng: sim.GappedTimes(0.7, 0.5), "start must be below stop"),
        (lambda rng: sim.Branches(()), "a list of 1 to 4 values"),
    ],
)
def test_bad_arguments_say_what_is_allowed(make, message):
    with pytest.raises(InputError, match=message):
        make(np.random.default_rng(0))


def test_samples_differ_as_stated():
    """Each sample scatters around the common curve times its capture, at its own rates, times and dispersion."""
    samples = sim.Samples(
        (1, 1), dispersion=1.0, condition_composition=3.0, changed=0.5, speed=1.5, sizes=(1, 2), capture_spliced=0.4
    )
    adata = sim.simulate(1500, 40, rng=np.random.default_rng(5), samples=samples, mean_unspliced=2.0, mean_spliced=5.0)
    assert adata.obs["sample"].value_counts().to_dict() == {"A1": 500, "B1": 1000}
    assert adata.obs.groupby("sample", observed=True)["true_time"].mean().diff().iloc[1] > 0.2
    assert int(adata.var["true_changed"].sum()) == 20
    late, common = adata[adata.obs["sample"] == "B1"], theta_of(adata)
    change = adata.varm["true_log_gamma_change"][:, 1]
    assert set(np.round(change, 6)) == {0.0, np.round(np.log(2), 6), -np.round(np.log(2), 6)}
    common[:, 0] -= np.log(1.5)
    common[:, 1] += change - np.log(1.5)
    common[:, [3, 4, 7]] -= change[:, None]
    curves = switch_means(common, late.obs["true_time"].to_numpy())
    truth = adata.uns["true_samples"]
    for layer, curve, short in zip(("unspliced", "spliced"), curves, "us", strict=True):
        mean = (curve * adata.varm[f"true_capture_{short}"][:, [1]]).T * late.obs["true_depth"].to_numpy()[:, None]
        z = (late.layers[layer].toarray() - mean) / np.sqrt(mean * (1 + 0.3 * truth[f"dispersion_{short}"][1] * mean))
        assert abs(z.mean()) < 0.02
        assert abs((z**2).mean() - 1) < 0.08
