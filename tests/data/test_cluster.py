"""Blocks that workers of a Dask cluster compute: the same bits as here, also where one of them is killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

import velotime as vt
from velotime.compute import NUMBA, LayerSums, Sums
from velotime.data import open_blocks
from velotime.inference import BlockedObservations, SoftEM
from velotime.inference.labels import CellLabels
from velotime.inference.model.blocks.cells import BlockedCells
from velotime.inference.model.samples.cells import cells_of as sampled_cells_of
from velotime.inference.model.samples.genes import SampledSums

distributed = pytest.importorskip("distributed")
NAMES = ("unspliced", "spliced")


@pytest.fixture(scope="module")
def cells():
    array = pytest.importorskip("dask.array")
    adata = vt.simulation.simulate(1200, 30, rng=np.random.default_rng(4), mean_unspliced=1.0, mean_spliced=3.0)
    for name in NAMES:
        adata.layers[name] = array.from_array(adata.layers[name], chunks=(300, -1))
    return adata


@pytest.fixture
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def cells_of(adata, method):
    blocks = open_blocks(adata, NAMES).kept()
    size = np.ones(adata.n_obs)
    return BlockedCells.blocked(
        BlockedObservations.of(blocks, size, size), method.prior_rows(CellLabels.plain(adata.n_obs))
    )


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_add_up_to_the_same_bits_also_where_one_is_killed(cells, client, monkeypatch):
    monkeypatch.setattr("velotime.data.blocks.dask.LEAST_CELLS", 300)
    method = SoftEM()
    theirs = cells_of(cells, method)
    assert len(theirs.blocks.delayed) == 4
    with monkeypatch.context() as alone:
        alone.setattr("velotime.data.blocks.dask._client", lambda: None)
        ours = cells_of(cells, method)
    problem = method._problem(ours, 1)
    u, s = (layer.value_per_level.sum(axis=0) / 1200 for layer in (ours.unspliced, ours.spliced))
    parameters = parameters_of(problem, u, s)
    model = problem.sweep_model(parameters)[0]
    expected, evidence = ours.sweep(NUMBA, model)
    for killed in (False, True):
        if killed:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        sums, log_evidence = theirs.sweep(NUMBA, model)
        assert log_evidence == evidence
        np.testing.assert_array_equal(sums.spliced.value, expected.spliced.value)
        np.testing.assert_array_equal(sums.weight, expected.weight)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_add_up_samples_to_the_same_bits(cells, client, monkeypatch):
    """Three samples, whose cells lie among each other in every chunk."""
    monkeypatch.setattr("velotime.data.blocks.dask.LEAST_CELLS", 300)
    sample = np.random.default_rng(0).integers(3, size=1200)
    labels = CellLabels(cells.obs_names, {"sample": np.array(list("abc"))[sample]})
    method = SoftEM(samples="sample")

    def expected():
        blocks, size = open_blocks(cells, NAMES).kept(), np.ones(1200)
        several = replace(BlockedObservations.of(blocks, size, size), sample=sample, sample_names=tuple("abc"))
        problem = method._problem(sampled_cells_of(several, method.prior_rows(labels), method.noise), 1)
        plain = Sums.zero(30, 3, 64)
        wave = 1 + 0.5 * np.sin(np.linspace(0, 6, 64))
        size = np.full(64, 400 / 64)
        layer = LayerSums.of_one_size(np.ones((30, 1)) * wave * size, size, np.ones(64))
        parameters = problem.first(SampledSums.of([Sums(layer, layer, plain.weight + size)] * 3))
        return problem.expect(parameters, 1.0), list(problem.all_posteriors(parameters))

    (theirs, bound), posteriors = expected()
    monkeypatch.setattr("velotime.data.blocks.dask._client", lambda: None)
    (ours, own_bound), own_posteriors = expected()
    assert bound == own_bound
    for one, other in zip(ours.by_sample, theirs.by_sample, strict=True):
        np.testing.assert_array_equal(one.unspliced.value, other.unspliced.value)
        np.testing.assert_array_equal(one.weight, other.weight)
    for (at, one), (there, other) in zip(own_posteriors, posteriors, strict=True):
        assert at == there
        np.testing.assert_array_equal(one, other)


def parameters_of(problem, u, s):
    """Where an M-step begins from a posterior that depends on nothing but the clock."""
    wave = 1 + 0.5 * np.sin(np.linspace(0, 6, problem.states.n_states))
    size = np.full(problem.states.n_states, 1200 / problem.states.n_states)
    layers = (LayerSums.of_one_size(mean[:, None] * wave * size, size, np.ones_like(size)) for mean in (u, s))
    return problem.first(Sums(*layers, size[None]))
