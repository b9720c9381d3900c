"""The verdict on fit: its words, and whether unspliced counts follow spliced ones among similar cells."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy import sparse

import velotime as vt
from velotime.data import Fitted
from velotime.inference import FitVerdict
from velotime.inference.evidence.coherence import Coherence
from velotime.inference.evidence.steps import Steps, best_stretches
from velotime.tl._fit_warnings import doubts_of


def verdict(**changed):
    good = {
        "agreement": 0.95,
        "lineage_agreement": 1.0,
        "coherence": Coherence(0.9, 1.0),
        "gain": 30.0,
        "poor_genes": 0.0,
    }
    return FitVerdict(**(good | changed))


def steps(found, expected=0.4, error=0.05):
    return Steps(np.array([3, 4]), np.array(found), np.full(2, expected), np.full(2, error))


@pytest.mark.parametrize(
    ("changed", "word", "reason", "doubted"),
    [
        ({}, "fits", "", False),
        ({"agreement": 0.6}, "fits in part", "agree little (Spearman 0.60)", True),
        ({"agreement": 0.4}, "does not fit", "agree little (Spearman 0.40)", True),
        ({"agreement": float("nan")}, "does not fit", "agree little", True),
        ({"coherence": Coherence(0.5, 1.0)}, "fits in part", "by 50% of what the model expects", True),
        ({"coherence": Coherence(0.1, 1.0)}, "does not fit", "by 10% of what", True),
        ({"coherence": Coherence(-0.1, 1.0)}, "does not fit", "by 0% of what", True),
        ({"coherence": Coherence(0.0, 0.01)}, "fits in part", "too few to say anything", True),
        ({"coherence": None}, "fits", "", False),
        ({"left_out": 1}, "fits in part", "1 more branches than the fit has lineages", True),
        ({"ring": 0.31}, "does not fit", "a cycle is to be tried", True),
        ({"ring": 0.29}, "fits", "", False),
        ({"steps": steps([-0.1, -0.2])}, "fits in part", "within some 4 stretches of the clock", True),
        ({"steps": steps([0.4, 0.3])}, "fits", "", False),
        ({"steps": steps([-0.1, -0.2], error=0.2)}, "fits", "", False),
        ({"steps": steps([-0.1, -0.2], expected=0.01)}, "fits", "", False),
        ({"gain": 0.1}, "fits in part", "gain only 0.10 nats per cell", True),
        ({"poor_genes": 0.3}, "fits in part", "30% of the genes", False),
        ({"poor_genes": float("nan")}, "fits", "", False),
        ({"off_cycle": 0.12}, "fits in part", "some 12% of the cells fit no state of the cycle", False),
        ({"off_cycle": 0.12}, "fits in part", "vt.Cycle(not_cycling=True)", False),
    ],
)
def test_words(changed, word, reason, doubted):
    found = verdict(**changed)
    assert found.word == word
    assert reason in found.reason
    assert bool(found.reason) == bool(reason)
    assert bool(found.doubts) == doubted


def shuffled(adata, n_groups=2):
    """Unspliced counts shuffled gene by gene among cells of similar time."""
    rng = np.random.default_rng(0)
    unspliced = adata.layers["unspliced"].toarray()
    group = np.minimum((adata.obs["true_time"].to_numpy() * n_groups).astype(int), n_groups - 1)
    for k in range(n_groups):
        cells = np.flatnonzero(group == k)
        for gene in range(adata.n_vars):
            unspliced[cells, gene] = unspliced[rng.permutation(cells), gene]
    out = adata.copy()
    out.layers["unspliced"] = sparse.csr_matrix(unspliced)
    return out


def test_unspliced_counts_shuffled_among_like_cells_are_noticed(fitted):
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 1, "n_lineages": 1}
    adata = shuffled(fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(**quick), progress=False)
    found, true = adata.uns["fit_verdict"], fitted.uns["fit_verdict"]
    assert true["verdict"] == "fits"
    assert true["coherence_found"] / true["coherence_expected"] > 0.75
    assert found["coherence_found"] / found["coherence_expected"] < 0.6
    assert found["verdict"] != "fits"
    assert adata.uns["time_arrow"]["verdict"] == "unclear"


def test_unspliced_counts_shuffled_finely_are_noticed(fitted):
    """In four stretches of the clock: their order is right, and like cells are told apart across borders."""
    quick = {"n_times": 16, "annealing": 2, "max_iterations": 1, "n_lineages": 1}
    adata = shuffled(fitted, n_groups=4)
    with pytest.warns(vt.UnclearWarning, match="unspliced counts stand still within some 4 stretches"):
        vt.tl.recover_dynamics(adata, method=vt.SoftEM(**quick), progress=False)
    found, true = adata.uns["fit_verdict"], fitted.uns["fit_verdict"]
    assert true["steps"] == 0
    assert true["steps_found"] > 0.5 * true["steps_expected"]  # as docs/studies/branches.md says of all sets
    assert found["steps"] == 4
    assert found["steps_found"] < 0
    assert found["verdict"] == "fits in part"
    assert adata.uns["time_arrow"]["verdict"] == "unclear"
    adata.uns["time_arrow"]["verdict"] = "clear"  # as where a root is given, which says nothing of single cells
    told = [str(doubt) for doubt in doubts_of(Fitted.of(adata).records)]
    assert "not what single cells do: unspliced counts stand still" in told[0]


def test_stretches_are_the_best_of_all():
    rng = np.random.default_rng(0)
    value, size = rng.gamma(1.0, 1.0, (3, 9)), rng.uniform(0.5, 2.0, 9)

    def worth(starts):
        parts = np.split(np.arange(9), starts[1:])
        return sum((value[:, part].sum(axis=1) ** 2).sum() / size[part].sum() for part in parts)

    best = max(((0, *cuts) for cuts in itertools.combinations(range(1, 9), 3)), key=worth)
    assert best_stretches(value, size, 4).tolist() == list(best)
    assert best_stretches(value, size, 1).tolist() == [0]


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_static_clusters_are_never_clear():
    """Three kinds of cells at rest."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=400)
    means = rng.gamma(1.0, 2.0, (3, 60))
    adata = vt.simulation.simulate(400, 60, rng=rng)
    adata.layers["spliced"] = sparse.csr_matrix(rng.poisson(means[kind]).astype(np.float32))
    adata.layers["unspliced"] = sparse.csr_matrix(rng.poisson(0.4 * means[kind]).astype(np.float32))
    method = vt.SoftEM(n_times=16, annealing=2, max_iterations=1)
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    assert adata.uns["time_arrow"]["verdict"] == "unclear"
    assert adata.uns["fit_verdict"]["verdict"] != "fits"
