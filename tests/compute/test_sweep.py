"""The sweep against a slow, simple reference, for every noise model, sparse and dense."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from naive import NaiveBackend, row
from scipy import sparse
from scipy.special import gammaln

from velotime.compute import NUMBA, Layer, ScoreTables, SweepModel, layers, pad_states
from velotime.compute.layers import BLOCK
from velotime.compute.numba.sweep import NARROW
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import Gaussian, NegativeBinomial, Poisson

WITHOUT_JIT = os.environ.get("NUMBA_DISABLE_JIT") == "1"
N_CELLS, N_GENES, N_STATES = (90, 7, 16) if WITHOUT_JIT else (1300, 23, 32)


def negative_binomial(x, mean, scatter):
    r = 1 / scatter
    return gammaln(x + r) - gammaln(r) - gammaln(x + 1) + x * np.log(mean / (mean + r)) + r * np.log(r / (mean + r))


def poisson(x, mean, scatter):
    return x * np.log(mean) - mean - gammaln(x + 1)


def gaussian(x, mean, scatter):
    return -0.5 * (x - mean) ** 2 / scatter - 0.5 * np.log(2 * np.pi * scatter)


class Case:
    """Random cells and a random model."""

    def __init__(self, noise, dense: bool, n_groups: int = 2):
        rng = np.random.default_rng(3)
        self.noise = noise
        self.values, self.data, self.means, self.scatter = [], [], [], []
        for mean in (0.4, 1.5):
            if noise.counts:
                values = rng.poisson(mean, (N_CELLS, N_GENES)).astype(np.float32)
                size = rng.lognormal(0, 0.5, N_CELLS)
                data = LayerData.of(values if dense else sparse.csr_array(values), size, 12)
            else:
                values = rng.normal(mean, 1, (N_CELLS, N_GENES)).astype(np.float32)
                data = LayerData.of(values if dense else sparse.csr_array(values), np.ones(N_CELLS), 1)
            self.values.append(values)
            self.data.append(data)
            self.means.append(rng.gamma(2, mean / 2, (N_GENES, N_STATES)))
            self.scatter.append(rng.uniform(0.1, 1.0, N_GENES))
        self.prior = rng.dirichlet(np.ones(N_STATES), n_groups)
        self.group = rng.integers(0, n_groups, N_CELLS).astype(np.int32)

    def layers(self):
        return tuple(Layer.of(d.values, d.level, d.size) for d in self.data)

    def model(self, temperature):
        tables = [
            self.noise.tables(m, s, d.levels) for m, s, d in zip(self.means, self.scatter, self.data, strict=True)
        ]
        tables = [type(t)(t.slope, t.offset.astype(np.float32)) for t in tables]
        return SweepModel(*tables, np.log(self.prior).astype(np.float32), temperature)


REFERENCES = {NegativeBinomial: negative_binomial, Poisson: poisson, Gaussian: gaussian}


def reference(case: Case, temperature: float) -> dict[str, np.ndarray]:
    """Everything the sweep does, one cell and one state at a time."""
    density = REFERENCES[type(case.noise)]
    q = np.empty((N_CELLS, N_STATES))
    for i in range(N_CELLS):
        for j in range(N_STATES):
            total = 0.0
            for values, data, means, scatter in zip(case.values, case.data, case.means, case.scatter, strict=True):
                size = data.size[i] if case.noise.counts else 1.0
                total += density(values[i].astype(float), size * means[:, j], scatter).sum()
            q[i, j] = total / temperature + np.log(case.prior[case.group[i], j])
    q = np.exp(q - q.max(axis=1, keepdims=True))
    q /= q.sum(axis=1, keepdims=True)
    out = {
        "posterior": q,
        "weight": np.stack([q[case.group == g].sum(axis=0) for g in range(len(case.prior))]),
    }
    for name, values, data in zip(("unspliced", "spliced"), case.values, case.data, strict=True):
        size = data.size
        out[name] = {
            "size_powers": np.stack([size**power @ q for power in (1, 2, 3, 4)]),
            "value": values.T.astype(float) @ q,
        }
    return out


@pytest.fixture(scope="module", params=[NegativeBinomial(), Poisson(), Gaussian()], ids=lambda n: type(n).__name__)
def noise(request):
    return request.param


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
@pytest.mark.parametrize("temperature", [1.0, 30.0])
def test_sweep_agrees_with_the_reference(noise, dense, temperature):
    case = Case(noise, dense)
    result, _ = NUMBA.accumulate(*case.layers(), case.model(temperature), case.group, case.group)
    truth = reference(case, temperature)
    np.testing.assert_allclose(result.weight, truth["weight"], rtol=1e-5, atol=1e-5)
    for name in ("unspliced", "spliced"):
        for field, expected in truth[name].items():
            scale = np.abs(expected).max()
            np.testing.assert_allclose(
                getattr(getattr(result, name), field),
                expected,
                rtol=1e-5,
                atol=1e-5 * scale,
                err_msg=f"{name} {field}",
            )


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
def test_posterior_of_a_block_agrees_with_the_reference(noise, dense):
    case = Case(noise, dense)
    q, evidence = NUMBA.posterior(*case.layers(), case.model(1.0), case.group, cells=slice(5, 60))
    np.testing.assert_allclose(q, reference(case, 1.0)["posterior"][5:60], atol=1e-5)
    _, whole = NUMBA.accumulate(*case.layers(), case.model(1.0), case.group, case.group)
    np.testing.assert_array_equal(evidence, whole[5:60])


def test_log_evidence_is_the_log_sum(noise):
    """Up to the terms without a state, which differ between cells but not between two models' difference."""
    case = Case(noise, dense=False)
    cold = case.model(1.0)
    halved = SweepModel(cold.unspliced, cold.spliced, cold.log_prior - np.float32(np.log(2.0)), 1.0)
    one = NUMBA.accumulate(*case.layers(), cold, case.group, case.group)[1]
    other = NUMBA.accumulate(*case.layers(), halved, case.group, case.group)[1]
    np.testing.assert_allclose(one - other, np.log(2.0), atol=1e-4)


def test_states_without_prior_get_nothing():
    case = Case(NegativeBinomial(), dense=False)
    model = case.model(1.0)
    log_prior = model.log_prior.copy()
    log_prior[:, 5:] = -np.inf
    result, _ = NUMBA.accumulate(
        *case.layers(), SweepModel(model.unspliced, model.spliced, log_prior, 1.0), case.group, case.group
    )
    assert np.all(result.weight[:, 5:] == 0)
    assert np.all(result.spliced.value[:, 5:] == 0)
    np.testing.assert_allclose(result.weight.sum(), N_CELLS, rtol=1e-6)


def test_same_bits_whatever_the_number_of_threads(monkeypatch):
    case = Case(NegativeBinomial(), dense=False)
    layers, model = case.layers(), case.model(1.0)
    monkeypatch.setattr("velotime.compute.threads.n_threads", lambda: 3)
    many, many_evidence = NUMBA.accumulate(*layers, model, case.group, case.group)
    monkeypatch.setattr("velotime.compute.threads.n_threads", lambda: 1)
    one, one_evidence = NUMBA.accumulate(*layers, model, case.group, case.group)
    np.testing.assert_array_equal(many.spliced.value, one.spliced.value)
    np.testing.assert_array_equal(many.unspliced.size_powers, one.unspliced.size_powers)
    np.testing.assert_array_equal(many_evidence, one_evidence)


def test_order_of_cells_does_not_matter():
    """Chunks hold other cells, so sums differ by rounding only."""
    case = Case(NegativeBinomial(), dense=False)
    model = case.model(1.0)
    shuffle = np.random.default_rng(0).permutation(N_CELLS)
    moved = [Layer.of(d.values[shuffle], d.level[shuffle], d.size[shuffle]) for d in case.data]
    one, _ = NUMBA.accumulate(*case.layers(), model, case.group, case.group)
    other, _ = NUMBA.accumulate(*moved, model, case.group[shuffle], case.group[shuffle])
    np.testing.assert_allclose(one.spliced.value, other.spliced.value, rtol=1e-6, atol=1e-6)


def test_states_are_padded_to_whole_blocks():
    assert [pad_states(n) for n in (1, 16, 17, 64)] == [16, 16, 32, 64]


def sharp_case(n_cells):
    """Cells on 128 states, each with some hundred counts that determine its state."""
    rng = np.random.default_rng(7)
    n_genes, n_states = 20, 128
    time = np.linspace(0, 1, n_states)
    peak = np.linspace(0, 1, n_genes)[:, None]
    noise, layers, tables, place = Poisson(), [], [], rng.uniform(0, 1, n_cells)
    for height in (30.0, 60.0):
        means = 0.1 + height * np.exp(-0.5 * ((time - peak) / 0.1) ** 2)
        at = np.array([np.interp(place, time, mean) for mean in means]).T
        data = LayerData.of(sparse.csr_array(rng.poisson(at).astype(np.float32)), rng.lognormal(0, 0.1, n_cells), 3)
        table = noise.tables(means, np.zeros(n_genes), data.levels)
        layers.append(Layer.of(data.values, data.level, data.size))
        slope = table.slope - table.slope.mean(axis=2, keepdims=True)  # as SoftProblem does, for the digits
        offset = table.offset - table.offset.mean(axis=1, keepdims=True)
        tables.append(ScoreTables(slope, offset.astype(np.float32)))
    log_prior = np.log(rng.dirichlet(np.ones(n_states), 2)).astype(np.float32)
    return (*layers, SweepModel(*tables, log_prior), rng.integers(0, 2, n_cells).astype(np.int32))


def assert_same_sums(found, expected, tolerance=1e-5):
    np.testing.assert_allclose(found.weight, expected.weight, rtol=tolerance, atol=tolerance)
    for one, other in zip(found.layers, expected.layers, strict=True):
        for name in ("value", "size_powers"):
            a, b = getattr(one, name), getattr(other, name)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(), err_msg=name)


def test_sharp_posteriors_on_many_states():
    """Where few blocks of states are not zero only those are summed: another path than that of wide posteriors."""
    u, s, model, row = sharp_case(60 if WITHOUT_JIT else 700)
    q, _ = NUMBA.posterior(u, s, model, row, cells=slice(0, u.n_cells))
    in_use = (q.reshape(len(q), -1, BLOCK) > 0).any(axis=2)
    assert in_use.mean() < 0.8 * NARROW
    assert in_use.sum(axis=1).max() > 1  # and some cells lie in two blocks
    assert all(in_use[:, block].any() for block in range(in_use.shape[1]))
    found, evidence = NUMBA.accumulate(u, s, model, row, row)
    expected, log_evidence = NaiveBackend().accumulate(u, s, model, row, row)
    assert_same_sums(found, expected, 1e-4)
    np.testing.assert_allclose(evidence, log_evidence, rtol=1e-5)


def test_a_heated_posterior_takes_the_wide_path_to_the_same_sums():
    u, s, model, row = sharp_case(60 if WITHOUT_JIT else 700)
    model = SweepModel(model.unspliced, model.spliced, model.log_prior, 50.0)
    q, _ = NUMBA.posterior(u, s, model, row, cells=slice(0, u.n_cells))
    assert (q.reshape(len(q), -1, BLOCK) > 0).any(axis=2).mean() > NARROW
    assert_same_sums(
        NUMBA.accumulate(u, s, model, row, row)[0], NaiveBackend().accumulate(u, s, model, row, row)[0], 1e-5
    )


def test_sums_over_many_chunks_keep_their_digits():
    """The same value of many cells with the same posterior: a running sum in float32 would be off by 1e-4."""
    n, value = (2000, 0.1) if WITHOUT_JIT else (400_000, 0.1)
    values = np.full((n, 2), value, dtype=np.float32)
    layer = Layer.of(values, np.zeros(n, dtype=np.int64), np.full(n, 1.1))
    flat = ScoreTables(np.zeros((1, 2, BLOCK), dtype=np.float32), np.zeros((1, BLOCK), dtype=np.float32))
    share = np.arange(1.0, BLOCK + 1) / np.arange(1.0, BLOCK + 1).sum()
    zero = np.zeros(n, dtype=np.int32)
    sums, evidence = NUMBA.accumulate(
        layer, layer, SweepModel(flat, flat, np.log(share)[None].astype(np.float32)), zero, zero
    )
    np.testing.assert_allclose(sums.weight[0], n * share, rtol=1e-6)
    expected = n * float(np.float32(value)) * np.tile(share, (2, 1))
    np.testing.assert_allclose(sums.spliced.value, expected, rtol=2e-6)
    powers = n * float(np.float32(1.1)) ** np.arange(1, 5)[:, None] * share
    np.testing.assert_allclose(sums.spliced.size_powers, powers, rtol=1e-6)
    assert abs(evidence).max() < 1e-6


def test_sums_add_up():
    """Of two halves of the cells, whatever lies in which."""
    case = Case(NegativeBinomial(), dense=False)
    model, half = case.model(1.0), np.arange(N_CELLS) % 3 == 0
    whole, _ = NUMBA.accumulate(*case.layers(), model, case.group, case.group)
    parts = []
    for cells in (half, ~half):
        layers = [Layer.of(d.values[cells], d.level[cells], d.size[cells]) for d in case.data]
        parts.append(NUMBA.accumulate(*layers, model, case.group[cells], case.group[cells])[0])
    one, other = parts
    before = one.spliced.value.copy()
    total = one + other
    assert_same_sums(total, whole, 1e-6)
    np.testing.assert_array_equal(one.spliced.value, before)
    one += other
    assert_same_sums(one, total, 0.0)


@pytest.mark.skipif(WITHOUT_JIT, reason="this is the run without the JIT")
def test_all_of_this_without_the_jit():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout


@pytest.mark.parametrize("container", [sparse.csr_array, np.asarray])
def test_rows_of_a_matrix_are_read_without_a_copy_in_their_order(container):
    rng = np.random.default_rng(7)
    values = rng.poisson(0.5, (1200, 9)).astype(np.float32)
    rows = rng.permutation(1200)[:1100]
    level, size = np.zeros(1100, dtype=np.int64), np.ones(1100)
    matrix = container(values)
    given, copied = Layer.of(matrix, level, size, rows), Layer.of(container(values[rows]), level, size)
    for entries, wanted in ((given.by_cell, copied.by_cell), (given.by_gene, copied.by_gene)):
        np.testing.assert_array_equal(entries.length, wanted.length)
        for r in range(0, len(entries.length), 7):
            for name, begin in (("indices", "index_start"), ("values", "value_start")):
                found, expected = (getattr(e, name)[getattr(e, begin)[r] :][: e.length[r]] for e in (entries, wanted))
                np.testing.assert_array_equal(found, expected)
    if sparse.issparse(matrix):
        assert np.shares_memory(given.by_cell.values, matrix.data)


@pytest.mark.parametrize(
    ("largest", "kind"),
    [
        (255, np.uint8),
        (256, np.uint16),
        (65535, np.uint16),
        (65536, np.float32),
        (2.5, np.float32),
        (-1, np.float32),
    ],
)
def test_counts_by_gene_take_one_or_two_bytes_where_these_hold_them(largest, kind, monkeypatch):
    monkeypatch.setattr(layers, "VALUES_AT_ONCE", 7)  # the odd value is not in the first piece
    values = np.random.default_rng(8).poisson(2.0, (600, 5)).astype(np.float32)
    values[-1, -1] = largest
    level, size = np.zeros(600, dtype=np.int64), np.ones(600)
    found = layers.Layer.of(sparse.csr_array(values), level, size).by_gene
    assert found.values.dtype == kind
    for g in range(5):
        np.testing.assert_array_equal(row(found, 5 + g, layers.CHUNK)[: 600 - layers.CHUNK], values[layers.CHUNK :, g])
