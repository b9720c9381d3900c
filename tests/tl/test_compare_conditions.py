"""Conditions with samples as the replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats
from scipy.special import polygamma

import velotime as vt
from velotime.inference.evidence.moderated import _inverse_trigamma, moderate, moderated_effects
from velotime.tl._conditions.design import design_of

TWO = np.stack([np.ones(6), [0, 0, 0, 1, 1, 1]], axis=1)


def test_no_difference_is_found_as_often_as_it_should_be():
    """Samples that differ by more than their errors, by other amounts in each gene; and the same with a difference."""
    rng = np.random.default_rng(0)
    error = rng.uniform(0.02, 0.3, (4000, 6))
    own = 0.2 / np.sqrt(stats.chi2(8).rvs(4000, random_state=1) / 8)
    values = rng.normal(0, np.sqrt(error**2 + own[:, None] ** 2))
    values[rng.uniform(size=values.shape) < 0.05] = np.nan
    found = moderated_effects(values, error**2, TWO)
    assert np.mean(found.p_value[:, 1] < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(found.p_value[:, 1] < 0.005) < 0.01
    assert set(np.unique(found.n_samples)) <= {3.0, 4.0, 5.0, 6.0}
    more = moderated_effects(values + TWO[:, 1], error**2, TWO)
    assert np.nanmedian(more.estimate[:, 1]) == pytest.approx(1.0, abs=0.02)
    assert np.nanmean(more.p_value[:, 1] < 0.05) > 0.9


@pytest.mark.parametrize("spread", [15, 1000])
def test_shares_of_cells_differ_as_often_as_they_should(spread):
    """Samples of 80 and of 1,000 cells whose composition differs from sample to sample, and not between conditions."""
    found = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        base = spread * rng.dirichlet(np.full(8, 5.0))
        n_cells = 80 if seed % 2 else 1000
        cells = np.stack([rng.multinomial(n_cells, rng.dirichlet(base)) for _ in range(6)], axis=1) + 0.5
        found.append(moderated_effects(np.log(cells / cells.sum(axis=0)), 1 / cells, TWO).p_value[:, 1])
    assert 0.03 < np.mean(np.array(found) < 0.05) < 0.07


def test_equal_errors_are_least_squares_with_a_moderated_variance():
    values = np.random.default_rng(1).normal(0, 0.5, (50, 6))
    found = moderated_effects(values, np.zeros((50, 6)), TWO)
    difference = values[:, 3:].mean(axis=1) - values[:, :3].mean(axis=1)
    assert np.allclose(found.estimate[:, 1], difference)
    t, p = difference / found.error[:, 1], found.p_value[:, 1]
    assert np.allclose(p, 2 * stats.t.sf(np.abs(t), found.degrees))
    assert np.all(np.abs(found.shrunken[:, 1]) <= np.abs(difference))


def test_samples_that_agree_by_chance_do_not_make_one_number_surer_than_its_own_errors():
    """Four samples, one number of each: by their scatter alone two of a hundred intervals would be a tenth as wide."""
    rng = np.random.default_rng(3)
    design, error = np.stack([np.ones(4), [0, 0, 1, 1]], axis=1), np.full((1, 4), 0.1)
    found = [moderated_effects(rng.normal(0, 0.1, (1, 4)), error**2, design) for _ in range(400)]
    assert min(one.error[0, 1] for one in found) >= 0.1 * (1 - 1e-9)
    assert np.mean([one.p_value[0, 1] < 0.05 for one in found]) < 0.05
    spread = np.array([[0.0, 0.8, 1.0, 0.1]])
    wide = np.sqrt(np.var([0.0, 0.8], ddof=1) / 2 + np.var([1.0, 0.1], ddof=1) / 2)
    assert moderated_effects(spread, error**2, design).error[0, 1] == pytest.approx(wide, rel=0.02)


def test_the_spread_of_variances_is_found():
    rng = np.random.default_rng(2)
    square = 0.3 * stats.f(4, 10).rvs(20000, random_state=rng)
    moderated, more = moderate(square, np.full(20000, 4.0))
    assert more == pytest.approx(10, rel=0.15)
    assert np.allclose(moderated, (4 * square + more * 0.3) / (4 + more), rtol=0.05)
    for value in (1e-3, 0.5, 20.0):
        assert polygamma(1, _inverse_trigamma(value)) == pytest.approx(value, rel=1e-6)


def table(**columns):
    n = len(next(iter(columns.values())))
    return AnnData(np.ones((n, 1)), obs=pd.DataFrame(columns, index=[str(k) for k in range(n)]))


@pytest.mark.parametrize("dtype", ["category", "object"])
def test_samples_without_a_condition_are_named(dtype):
    """And do not pass for samples of the reference."""
    adata = table(sample=["a", "a", "b", "c"], day=["one", "one", "two", None], lot=["x", None, "x", "y"])
    adata.obs["day"] = adata.obs["day"].astype(dtype)
    names = ("a", "b", "c")
    with pytest.raises(vt.InputError, match=r"obs\['day'\] has no value in cells of these samples: \['c'\]"):
        design_of(adata, "sample", names, "day", None, None)
    with pytest.raises(vt.InputError, match=r"obs\['lot'\] has no value in cells of these samples: \['a'\]"):
        design_of(adata[:3], "sample", names[:2], "day", None, "lot")


def test_designs_are_recognised():
    adata = table(
        sample=["a", "b", "c", "d"], day=[1, 1, 2, 2], lot=["x", "y", "x", "y"], kit=["p", "p", "q", "q"], one=["s"] * 4
    )
    names = ("a", "b", "c", "d")
    design = design_of(adata, "sample", names, "day", "2", "lot")
    assert (design.conditions, design.n_samples, design.note) == (("2", "1"), (2, 2), "")
    assert design.matrix.tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 0, 1]]
    with pytest.raises(vt.InputError, match="every batch holds one condition"):
        design_of(adata, "sample", names, "day", None, "kit")
    with pytest.raises(vt.InputError, match="has one condition, 's'"):
        design_of(adata, "sample", names, "one", None, None)
    with pytest.raises(vt.InputError, match=r"must be one of the conditions, \['1', '2'\]"):
        design_of(adata, "sample", names, "day", "3", None)
    numbered = table(sample=["a", "b", "c", "d"], dose=[10, 10, 2, 2])
    assert design_of(numbered, "sample", names, "dose", None, None).conditions == ("2", "10")  # not as text
    assert "without a second sample" in design_of(adata[[0, 2]], "sample", ("a", "c"), "day", None, None).note
    assert "one sample only: 2" in design_of(adata[:3], "sample", ("a", "b", "c"), "day", None, None).note
    adata.obs["sample"] = ["a", "a", "a", "d"]
    with pytest.raises(vt.InputError, match="differs within sample 'a'"):
        design_of(adata, "sample", ("a", "d"), "day", None, None)


@pytest.fixture(scope="module")
def fitted():
    samples = vt.simulation.Samples((2, 2), changed=0.25, fold=4.0, condition_composition=2.5)
    adata = vt.simulation.simulate(
        480, 48, rng=np.random.default_rng(6), samples=samples, mean_unspliced=2.0, mean_spliced=6.0
    )
    small = {"n_times": 24, "annealing": 8, "start_cells": 200, "start_genes": 40, "start_times": 12, "n_lineages": 1}
    root = vt.Root(cell=adata.obs["true_time"].idxmin())
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(samples="sample", root=root, **small), progress=False, layers=())
    return adata


def test_genes_that_change_and_where_cells_are(fitted):
    found = vt.tl.compare_conditions(fitted, "condition")
    gamma = found.genes[found.genes["parameter"] == "gamma"].set_index("gene")
    true = pd.Series(fitted.varm["true_log_gamma_change"][:, 2] / np.log(2), fitted.var_names).reindex(gamma.index)
    assert np.corrcoef(gamma["log2_fold"], true)[0, 1] > 0.7
    assert gamma["p_value"][true != 0].median() < 0.5 * gamma["p_value"][true == 0].median()
    assert set(gamma["n_samples"]) <= {2.0, 3.0, 4.0}
    assert found.note == ""
    composition = found.composition
    assert composition["log2_fold"].iloc[0] < 0 < composition["log2_fold"].iloc[-1]
    speed = found.speed.iloc[0]  # genes change, a quarter of them, some up and some down: hardly all at once
    assert speed["p_value"] > 0.01
    assert 0.85 < speed["times_slower"] < 1.18


def test_a_condition_that_runs_slower_is_found():
    """All rates are lower by a factor of 1.5, at the same switches; the single genes show little of it."""
    samples = vt.simulation.Samples((2, 2), speed=1.5, condition_composition=1.0)
    adata = vt.simulation.simulate(
        320, 40, rng=np.random.default_rng(3), samples=samples, mean_unspliced=2.0, mean_spliced=6.0
    )
    small = {"n_times": 24, "annealing": 8, "start_cells": 200, "start_genes": 40, "start_times": 12, "n_lineages": 1}
    root = vt.Root(cell=adata.obs["true_time"].idxmin())
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(samples="sample", root=root, **small), progress=False, layers=())
    found = vt.tl.compare_conditions(adata, "condition")
    speed = found.speed.iloc[0]
    assert 1.3 < speed["times_slower"] < 1.7
    assert speed["low"] < 1.5 < speed["high"]
    assert speed["p_value"] < 0.05
    assert (found.samples["times_slower"] > 1).tolist() == [False, False, True, True]
    log = np.log(found.samples["times_slower"])
    assert np.average(log, weights=found.samples["n_cells"]) == pytest.approx(0, abs=1e-9)


def test_one_sample_a_condition_has_no_p_values(fitted):
    alone = fitted.copy()
    alone.obs["each"] = alone.obs["sample"].astype(str)
    with pytest.warns(vt.UnclearWarning, match="without a second sample"):
        found = vt.tl.compare_conditions(alone, "each")
    assert found.genes["p_value"].isna().all()
    assert np.isfinite(found.speed["times_slower"]).all()
    assert found.speed[["low", "high", "p_value"]].isna().all(axis=None)
    assert "alpha" not in set(found.genes["parameter"])


def test_a_fit_of_one_sample_is_refused(fitted):
    one = fitted.copy()
    one.uns = {k: v for k, v in one.uns.items() if k != "samples"}
    with pytest.raises(vt.InputError, match="the fit is of one sample, and samples are the replicates"):
        vt.tl.compare_conditions(one, "condition")
