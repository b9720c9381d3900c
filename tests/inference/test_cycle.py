"""A clock that goes round: phases and direction of simulated cells, and what is stored of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import circmean

import velotime as vt
from velotime import InputError
from velotime import kinetics as kin
from velotime import simulation as sim
from velotime.data import Fitted
from velotime.data.stored.soft_fit import restore_soft_fit
from velotime.inference.curves.circle import PERIODIC
from velotime.inference.labels import CellLabels
from velotime.inference.methods import origins
from velotime.inference.states import States

CIRCLE = PERIODIC.clock
SMALL = {"n_times": 32, "start_times": 16, "annealing": 8, "max_iterations": 10, "start_genes": 40}
pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # of few cells


@pytest.fixture(scope="module")
def cycling():
    """200 growing cells, fitted with the density of growing cells."""
    rng = np.random.default_rng(0)
    adata = sim.simulate(
        200, 40, rng=rng, cycle=sim.Cycling(), times=sim.GrowingTimes(), mean_unspliced=1.0, mean_spliced=3.0
    )
    method = vt.SoftEM(clock=vt.Cycle(), prior=vt.GrowingPrior(), **SMALL)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    return adata


def test_phases_run_as_they_should_and_begin_at_the_division(cycling):
    off = CIRCLE.away(cycling.obs["cycle_phase"].to_numpy(), cycling.obs["true_phase"].to_numpy())
    turned = circmean(off, 0.5, -0.5)
    assert abs(turned) < 0.12
    assert np.median(np.abs(CIRCLE.away(off, turned))) < 0.03
    record = cycling.uns["cycle"]
    assert record["origin"] == "growth"
    assert record["origin_q05"] < turned < record["origin_q95"]
    assert 0.005 < record["origin_sd"] < 0.15
    assert cycling.uns["time_arrow"]["verdict"] == "clear"
    assert (cycling.uns["time_arrow"]["rivals"]["correlation"] < -0.5).all()


def test_a_line_through_cycling_cells_is_never_clear():
    """Whatever its margin: the cells lie on a ring."""
    adata = sim.simulate(300, 60, rng=np.random.default_rng(5), cycle=sim.Cycling())
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_times=24, start_genes=40, start_times=12), progress=False)
    assert adata.uns["fit_verdict"]["verdict"] == "does not fit"
    assert "a cycle is to be tried" in adata.uns["fit_verdict"]["reason"]
    assert adata.uns["time_arrow"]["verdict"] == "unclear"


def test_intervals_run_round_the_circle(cycling):
    obs = cycling.obs
    off = CIRCLE.away(obs["cycle_phase"].to_numpy(), obs["true_phase"].to_numpy())
    true = obs["true_phase"] + circmean(off, 0.5, -0.5)
    width = (obs["cycle_phase_q95"] - obs["cycle_phase_q05"]) % 1
    inside = (true - obs["cycle_phase_q05"]) % 1 <= width
    assert 0.82 < inside.mean() < 0.97
    assert (obs["cycle_phase_q95"] < obs["cycle_phase_q05"]).any()  # some pass 0
    assert (((obs["cycle_phase"] - obs["cycle_phase_q05"]) % 1) <= width + 1e-9).all()


def test_velocities_and_rates(cycling):
    pulses = (cycling.var["true_class"] == "pulse").to_numpy() & (cycling.var["fit_gain"] > 100).to_numpy()
    pairs = zip(cycling.layers["velocity"].T[pulses], cycling.layers["true_velocity"].T[pulses], strict=True)
    assert np.median([np.corrcoef(found, true)[0, 1] for found, true in pairs]) > 0.85
    np.testing.assert_allclose(cycling.var["fit_gamma"] - cycling.var["fit_gamma_undiluted"], np.log(2))
    np.testing.assert_array_equal(cycling.var["fit_alpha_0"], cycling.var["fit_alpha_2"])


@pytest.fixture(scope="module")
def two_shapes():
    """300 cells with many counts, half of whose genes are smooth, some of each left out of the clock."""
    rng = np.random.default_rng(4)
    cycle = sim.Cycling(flat=0.0, smooth=0.5)
    adata = sim.simulate(300, 80, rng=rng, cycle=cycle, mean_unspliced=2.0, mean_spliced=8.0)
    of = adata.var["true_class"]
    without = tuple(adata.var_names[(of.groupby(of, observed=True).cumcount() < 3).to_numpy()])
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle(), without=without, **SMALL), progress=False)
    return adata


def test_genes_have_the_shape_that_their_counts_call_for(two_shapes):
    var = two_shapes.var
    expected = var["true_class"].astype(str).replace("pulse", "switch")
    right = var["fit_shape"].astype(str) == expected
    assert set(expected) == {"switch", "smooth"}
    share = right.groupby(expected).mean()
    assert share["smooth"] > 0.85
    assert share["switch"] > 0.7  # short of many counts a switch is told from a sine in many genes, not in all
    left_out = var["fit_status"] == "left out of the clock"
    assert set(expected[left_out]) == {"switch", "smooth"}
    assert right[left_out].sum() >= 4


def test_smooth_genes_are_read_as_they_were_fitted(two_shapes):
    var, smooth = two_shapes.var, (two_shapes.var["fit_shape"] == "smooth").to_numpy()
    assert (var["fit_alpha"] > var["fit_alpha_0"])[smooth].all()
    np.testing.assert_allclose((var["fit_t_"] - var["fit_t_on"])[smooth], 0.5)
    np.testing.assert_allclose(var["fit_t_se"][smooth], var["fit_t_on_se"][smooth])
    fitted = Fitted.of(two_shapes)
    every = fitted.with_curves
    means = fitted.states.means(fitted.theta(every))[1]
    at = np.argmax(fitted.posterior[:20].toarray(), axis=1)
    for g in np.flatnonzero(smooth):
        wave = kin.periodic_velocity(fitted.theta(every)[[g]], fitted.states.times)[1][0]
        turns = np.abs(np.fft.rfft(wave))
        assert turns[1] > 0.999 * turns.sum()  # one harmonic
    spliced = fitted.means(slice(0, 20), every)[1]
    assert np.corrcoef(spliced.ravel(), means[:, at].T.ravel())[0, 1] > 0.98
    _, fit = restore_soft_fit(two_shapes)  # compares phases with those stored
    assert kin.is_smooth(fit.parameters.theta).sum() == smooth[fitted.genes].sum()
    table = vt.get.rates(two_shapes)
    assert list(table["shape"]) == list(var["fit_shape"].iloc[every])


def test_it_is_taken_up_again_and_refuses_what_needs_a_line(cycling):
    assert "latent_time" not in cycling.obs
    _, fit = restore_soft_fit(cycling)
    np.testing.assert_allclose(CIRCLE.away(fit.latent_time, cycling.obs["cycle_phase"].to_numpy()), 0, atol=1e-3)
    assert list(vt.get.latent_time(cycling)) == ["mean", "sd", "clock_sd", "q05", "q95", "entropy"]
    cycling.obs["day"] = 1.0
    with pytest.raises(InputError, match="goes round"):
        vt.tl.to_experimental_time(cycling, "day")


@pytest.mark.parametrize(
    "given", [{"root": vt.Root(cell="a")}, {"knowledge": vt.Markers("a")}, {"n_lineages": 2}, {"lineages": None}]
)
def test_a_circle_has_no_ends(given):
    if given == {"lineages": None}:
        with pytest.raises(InputError, match="GrowingPrior"):
            vt.SoftEM(prior=vt.GrowingPrior())
        return
    with pytest.raises(InputError, match="no root"):
        vt.SoftEM(clock=vt.Cycle(), **given)


def test_the_division_is_where_the_density_jumps():
    states = States.grid(24, 1, PERIODIC)
    weight = np.roll(np.exp2(-states.times), 7)[None] * 50
    prior = vt.GrowingPrior().update(weight, states)
    assert prior[0].argmax() == 7
    assert prior.sum() == pytest.approx(1.0)
    assert prior.max() / prior.min() == pytest.approx(2 ** (23 / 24))


@pytest.mark.parametrize(("growth", "found"), [(1.0, "total counts"), (0.0, "free")])
def test_the_division_is_where_total_counts_drop(growth, found):
    """Within its interval in about nine of ten; where nothing drops, or totals only come and go, it stays free."""
    rng, times, off, held = np.random.default_rng(8), np.arange(64) / 64, [], 0
    for _ in range(20):
        phase = rng.uniform(size=500)
        size = growth * np.log(2) * ((phase - 0.3) % 1) + rng.normal(0, 0.3, 500)
        seen = (phase + rng.normal(0, 0.04, 500)) % 1  # cells are not sure of their phases
        q = np.exp(-0.5 * (CIRCLE.away(times, seen[:, None]) / 0.04) ** 2)
        origin = origins.drop_of(size, q / q.sum(axis=1, keepdims=True), times)
        assert origin.by == found
        off.append(CIRCLE.away(np.array(0.3), np.array(origin.phase)))
        held += origin.low <= off[-1] <= origin.high
    if growth:
        assert held >= 17
        assert np.std(off) < origin.sd
    wave = 0.4 * np.cos(2 * np.pi * phase) + rng.normal(0, 0.3, 500)
    assert origins.drop_of(wave, q, times).by == "free"


def test_markers_tell_how_far_they_agree():
    rng = np.random.default_rng(3)
    phase = np.arange(400) / 400
    held = []
    for _ in range(40):
        peaks = {f"early{k}": 0.65 + rng.normal(0, 0.04) for k in range(4)}  # they rise at 0.4
        peaks |= {f"late{k}": 0.15 + rng.normal(0, 0.04) for k in range(4)}  # they fall there
        values = {name: np.exp(np.cos(2 * np.pi * (phase - at))) for name, at in peaks.items()}
        markers = vt.Markers(early=list(values)[:4], late=list(values)[4:])
        labels = CellLabels(np.arange(400).astype(str), genes=values)
        origin = origins.by_markers(markers, phase, labels)
        held.append(origin.low <= CIRCLE.away(np.array(0.4), np.array(origin.phase)) <= origin.high)
        assert 0.005 < origin.sd < 0.03
    assert 0.8 < np.mean(held) <= 1.0
    alone = origins.by_markers(vt.Markers(early=["early0"]), phase, labels)
    assert np.isnan(alone.sd)
    assert alone.phase == pytest.approx(peaks["early0"] - 0.25, abs=0.01)


def test_circular_pieces_of_the_clock():
    rng = np.random.default_rng(0)
    time, q = np.arange(12) / 12, rng.dirichlet(np.ones(12), 5)
    expected = [circmean(rng.choice(time, 200_000, p=row), 1.0) for row in q]
    np.testing.assert_allclose(CIRCLE.away(CIRCLE.mean(q, time), np.array(expected)), 0, atol=0.01)
    a, b = rng.uniform(size=(2, 9))
    pairs = [(i, j) for i in range(9) for j in range(i)]
    sines = np.array([[np.sin(2 * np.pi * (x[i] - x[j])) for i, j in pairs] for x in (a, b)])
    rho = (sines[0] * sines[1]).sum() / np.sqrt((sines[0] ** 2).sum() * (sines[1] ** 2).sum())
    assert CIRCLE.correlation(a, b) == pytest.approx(np.sign(rho) * np.sqrt(abs(rho)))
    assert CIRCLE.correlation(a, (a + 0.3) % 1) == pytest.approx(1)
    assert CIRCLE.correlation(a, -a) == pytest.approx(-1)
    np.testing.assert_allclose(CIRCLE.carry(np.arange(4.0), CIRCLE.grid(4), CIRCLE.grid(8))[-1], 1.5)
    np.testing.assert_allclose(CIRCLE.lengths(time, np.full(12, 2.0)), 2 * CIRCLE.away(time, time[:, None]), atol=1e-12)
    steep = CIRCLE.slope(np.sin(2 * np.pi * CIRCLE.grid(200)), CIRCLE.grid(200))
    np.testing.assert_allclose(steep, 2 * np.pi * np.cos(2 * np.pi * CIRCLE.grid(200)), atol=0.01)


def test_genes_left_out_of_the_clock_do_not_move_it():
    """As without them in the object, size factors apart; in it they stay, with curves at the times of the others."""
    adata = sim.simulate(150, 30, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    out = ("gene_3", "gene_7")
    for layer in ("unspliced", "spliced"):
        adata.obs[f"initial_size_{layer}"] = np.asarray(adata.layers[layer].sum(axis=1)).ravel()
    rest = adata[:, ~adata.var_names.isin(out)].copy()
    quick = SMALL | {"max_iterations": 3, "annealing": 3, "n_lineages": 1}
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(without=out, **quick), progress=False)
    vt.tl.recover_dynamics(rest, method=vt.SoftEM(**quick), progress=False)
    np.testing.assert_allclose(adata.obs["latent_time"], rest.obs["latent_time"], atol=1e-6)
    assert (adata.var.loc[list(out), "fit_status"] == "left out of the clock").all()
    assert not adata.var.loc[list(out), "velocity_genes"].any()
    np.testing.assert_allclose(adata.var.loc[rest.var_names, "fit_gamma"], rest.var["fit_gamma"])
    assert adata.uns["recover_dynamics"]["n_genes"] == rest.uns["recover_dynamics"]["n_genes"]
    restore_soft_fit(adata)  # reads the same genes again
    with pytest.raises(InputError, match=r"without: genes \['MCM5'\] not found"):
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(without="MCM5"), progress=False)
    with pytest.raises(InputError, match="none of 30 genes is left"):
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(without=adata.var_names), progress=False)


def test_genes_left_out_have_curves_and_shares_of_variation_that_are_true():
    """Half of the genes give the clock; of the others some follow it, and some vary for another reason or by chance."""
    rng = np.random.default_rng(4)
    adata = sim.simulate(400, 60, rng=rng, mean_unspliced=1.0, mean_spliced=3.0)
    out = list(adata.var_names[30:])
    astray, flat = out[:8], out[8:12]
    for layer in ("unspliced", "spliced"):
        counts = adata.layers[layer].toarray()
        adata.obs[f"initial_size_{layer}"] = adata.obs["true_depth"]
        counts[:, 30:38] = counts[rng.permutation(400), 30:38]  # their own order of the cells
        counts[:, 38:42] = rng.poisson(2.0 * adata.obs["true_depth"].to_numpy()[:, None], (400, 4))
        adata.layers[layer] = sparse.csr_matrix(counts)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1, without=out), progress=False)
    var, share = adata.var, adata.var["fit_variation_explained"]
    follow = [gene for gene in out[12:] if var.loc[gene, "true_class"] != "flat"]
    assert share[astray].max() < 0.15
    assert (share[flat].isna() | (share[flat] < 0.15)).all()
    assert share[follow].median() == pytest.approx(share[adata.var_names[:30]].median(), abs=0.15)
    error = np.log(var.loc[follow, "fit_gamma"] / var.loc[follow, "true_gamma"])
    told = var.loc[follow, "fit_gain"] > 100
    assert abs(error[told].median()) < 0.25
    inside = (np.abs(error) < 1.645 * var.loc[follow, "fit_gamma_se"])[told]
    assert inside.mean() > 0.7
    velocity = vt.get.velocity(adata, genes=follow).to_numpy()
    true = adata[:, follow].layers["true_velocity"]
    agree = [np.corrcoef(one, other)[0, 1] for one, other in zip(velocity.T, true.T, strict=True)]
    assert np.median(np.array(agree)[told]) > 0.8
    assert vt.get.rates(adata).shape[0] == 60
    assert "left out" in str(vt.summary(adata))
    restore_soft_fit(adata)
