"""The sweep against a slow, obvious twin, for every noise model, sparse and dense."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from scipy.special import gammaln

from velotime.compute import Layer, SweepModel, accumulate, pad_states, posterior
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


TWINS = {NegativeBinomial: negative_binomial, Poisson: poisson, Gaussian: gaussian}


def twin(case: Case, temperature: float) -> dict[str, np.ndarray]:
    """Everything the sweep does, a cell and a state at a time."""
    density = TWINS[type(case.noise)]
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
def test_sweep_agrees_with_its_twin(noise, dense, temperature):
    case = Case(noise, dense)
    result = accumulate(*case.layers(), case.model(temperature), case.group, case.group)
    truth = twin(case, temperature)
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
def test_posterior_of_a_block_agrees_with_the_twin(noise, dense):
    case = Case(noise, dense)
    q, evidence = posterior(*case.layers(), case.model(1.0), case.group, cells=slice(5, 60))
    np.testing.assert_allclose(q, twin(case, 1.0)["posterior"][5:60], atol=1e-5)
    whole = accumulate(*case.layers(), case.model(1.0), case.group, case.group)
    np.testing.assert_array_equal(evidence, whole.log_evidence[5:60])


def test_log_evidence_is_the_log_sum(noise):
    """Up to the terms without a state, which differ between cells but not between two models' difference."""
    case = Case(noise, dense=False)
    cold = case.model(1.0)
    halved = SweepModel(cold.unspliced, cold.spliced, cold.log_prior - np.float32(np.log(2.0)), 1.0)
    one = accumulate(*case.layers(), cold, case.group, case.group).log_evidence
    other = accumulate(*case.layers(), halved, case.group, case.group).log_evidence
    np.testing.assert_allclose(one - other, np.log(2.0), atol=1e-4)


def test_states_without_prior_get_nothing():
    case = Case(NegativeBinomial(), dense=False)
    model = case.model(1.0)
    log_prior = model.log_prior.copy()
    log_prior[:, 5:] = -np.inf
    result = accumulate(
        *case.layers(), SweepModel(model.unspliced, model.spliced, log_prior, 1.0), case.group, case.group
    )
    assert np.all(result.weight[:, 5:] == 0)
    assert np.all(result.spliced.value[:, 5:] == 0)
    np.testing.assert_allclose(result.weight.sum(), N_CELLS, rtol=1e-6)


def test_same_bits_whatever_the_number_of_threads(monkeypatch):
    case = Case(NegativeBinomial(), dense=False)
    layers, model = case.layers(), case.model(1.0)
    many = accumulate(*layers, model, case.group, case.group)
    monkeypatch.setattr("velotime.compute.threads.n_threads", lambda: 1)
    one = accumulate(*layers, model, case.group, case.group)
    np.testing.assert_array_equal(many.spliced.value, one.spliced.value)
    np.testing.assert_array_equal(many.unspliced.size_powers, one.unspliced.size_powers)
    np.testing.assert_array_equal(many.log_evidence, one.log_evidence)


def test_order_of_cells_does_not_matter():
    """Chunks hold other cells, so sums differ by rounding only."""
    case = Case(NegativeBinomial(), dense=False)
    model = case.model(1.0)
    shuffle = np.random.default_rng(0).permutation(N_CELLS)
    moved = [Layer.of(d.values[shuffle], d.level[shuffle], d.size[shuffle]) for d in case.data]
    one = accumulate(*case.layers(), model, case.group, case.group)
    other = accumulate(*moved, model, case.group[shuffle], case.group[shuffle])
    np.testing.assert_allclose(one.spliced.value, other.spliced.value, rtol=1e-6, atol=1e-6)


def test_states_are_padded_to_whole_blocks():
    assert [pad_states(n) for n in (1, 16, 17, 64)] == [16, 16, 32, 64]


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
