"""Hours from labelled counts, with curves and cells that are known."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime.inference import LabelledCounts, States, hours_from_labels
from velotime.inference.results.hours.labels import _Profile
from velotime.inference.results.hours.windows import NODES, Windows
from velotime.kinetics import SwitchParameter as P
from velotime.kinetics import labelled_shares
from velotime.simulation._hours import _theta

HOURS, TIMES, GROUPS = 40.0, 61, 8


@pytest.fixture(scope="module")
def cells():
    return vt.simulation.simulate(800, 60, rng=3, mean_unspliced=1.0, mean_spliced=3.0)


def read(adata, hours, sample=0):
    """Labelled counts of groups of cells whose times are known to the step of the grid."""
    time = adata.obs["true_time"].to_numpy()
    order = np.array_split(np.argsort(time), GROUPS)
    q = np.eye(TIMES)[np.round(time * (TIMES - 1)).astype(int)]
    for layer, name in enumerate(("unspliced", "spliced")):
        new, every = (adata.layers[key].toarray() for key in (f"new_{name}", name))
        labelled = np.stack([new[one].sum(axis=0) for one in order], axis=1)
        yield LabelledCounts(layer, hours, sample, labelled, np.stack([every[one].T @ q[one] for one in order], axis=1))


def known(adata, hours, conversion, rng=0):
    """States, true parameters, hardly any error of the rates, and the counts."""
    vt.simulation.label_new(adata, hours, hours=HOURS, conversion=conversion, rng=rng)
    return States.grid(TIMES), _theta(adata)[0], np.full((2, adata.n_vars), 1e-4), tuple(read(adata, hours))


@pytest.mark.parametrize(("hours", "conversion"), [(1.5, 0.6), (6.0, 0.1)])
def test_true_curves_give_true_hours_and_the_conversion(cells, hours, conversion):
    found = hours_from_labels(*known(cells, hours, conversion))
    assert np.exp(found.scale.log_hours) == pytest.approx(HOURS, rel=0.06)
    assert found.scale.low < np.log(HOURS) < found.scale.high
    assert found.conversion == pytest.approx([conversion], rel=0.2)  # short windows tell e times beta
    assert found.splicing == pytest.approx(1.0, rel=0.25)
    assert found.agreement.agrees
    assert np.corrcoef(found.seen, found.expected)[0, 1] > 0.8


def test_splicing_rates_that_are_wrong_together_are_told(cells):
    states, theta, variance, counts = known(cells, 3.0, 0.5)
    wrong = theta.copy()
    wrong[:, P.LOG_BETA] += 0.5
    wrong[:, P.LOG_SCALING] += 0.5  # the unspliced counts are what they were
    found = hours_from_labels(states, wrong, variance + 0.1, counts)
    assert np.exp(found.scale.log_hours) == pytest.approx(HOURS, rel=0.1)
    assert found.splicing == pytest.approx(np.exp(-0.5), rel=0.25)


def test_labels_of_other_genes_do_not_agree(cells):
    states, theta, variance, counts = known(cells, 3.0, 0.5)
    other = np.random.default_rng(0).permutation(len(theta))
    assert not hours_from_labels(states, theta[other], variance, counts).agreement.agrees


def test_shares_at_the_middle_node_are_those_of_the_curves(cells):
    states, theta, _, counts = known(cells, 3.0, 0.5)
    length = 0.1
    theta_ = theta.copy()
    theta_[:, P.LOG_SCALING] = 0.0  # the flux is in molecules
    before, now = (states.at(states.times - back).means(theta_) for back in (length, 0.0))
    rates = np.exp(theta[:, [P.LOG_BETA]]), np.exp(theta[:, [P.LOG_GAMMA]])
    expected = labelled_shares(before, now, length, rates)
    for one in counts:
        share = Windows(states, theta).shares(one, length)
        middle = share[:, len(NODES) // 2, share.shape[2] // 2]
        weighed = np.einsum("gkj,gj->gk", one.counts, expected[one.layer]) / np.maximum(one.total, 1e-12)
        np.testing.assert_allclose(middle[one.total > 0], weighed[one.total > 0], atol=1e-6)
        assert (np.diff(share, axis=1) > -1e-9).all()  # the faster a gene, the more is new
        assert ((share > 0) & (share < 1)).all()


def test_slopes_of_the_likelihood(cells):
    states, theta, variance, counts = known(cells, 3.0, 0.5)
    place = _Profile(Windows(states, theta), variance + 0.05, counts).place(np.log(35.0))
    x = np.array([-0.8, np.log(0.25), 0.3])
    _, slope = place.minus(x)
    for k in range(len(x)):
        step = 1e-5 * np.eye(len(x))[k]
        assert (place.minus(x + step)[0] - place.minus(x - step)[0]) / 2e-5 == pytest.approx(slope[k], rel=1e-4)
