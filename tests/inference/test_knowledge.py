"""What the user knows of the cells: it decides the direction, excludes no state, and is weighed against the counts."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import velotime as vt
from velotime import InputError, UnclearWarning
from velotime import simulation as sim
from velotime.data import read_labels, restore_soft_fit
from velotime.inference import CellLabels
from velotime.inference.evidence.agreement import knowledge_nats
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.labels import Groups
from velotime.inference.states import States

# The cells below have hardly an unspliced count on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:.* of the counts are unspliced:velotime.InputWarning")
STATES = States.grid(32)
QUICK = {"start_genes": 20, "start_times": 24, "annealing": 6, "max_iterations": 8, "n_times": 32, "n_lineages": 1}
METHODS = {
    "root": {"root": vt.Root("stage", "start")},
    "ends": {"knowledge": vt.Ends("stage", "end")},
    "markers": {"knowledge": vt.Markers(early=("fall_0", "fall_1"), late=("rise_0", "rise_1"))},
    "labels": {"knowledge": vt.TimeLabels("day")},
}


@pytest.fixture(scope="module")
def timeless():
    """20 genes with hardly an unspliced count: axis and order are plain, the direction is not."""
    mix = sim.GeneMix(induction=0.5, repression=0.5, pulse=0, dip=0, flat=0)
    rng = np.random.default_rng(1)
    adata = sim.simulate(200, 20, rng=rng, genes=mix, mean_unspliced=0.05, mean_spliced=3.0)
    time = adata.obs["true_time"].to_numpy()
    adata.obs["stage"] = np.where(time < 0.25, "start", np.where(time > 0.75, "end", "middle"))
    adata.obs["day"] = 2.0 * np.digitize(time + rng.normal(0, 0.12, 200), [0.33, 0.67])
    adata.obs["reversed"] = 4.0 - adata.obs["day"]
    names, n = np.array(adata.var_names), {"induction": 0, "repression": 0}
    for g, kind in enumerate(adata.var["true_class"]):
        if n[kind] < 2:
            names[g] = {"induction": "rise", "repression": "fall"}[kind] + f"_{n[kind]}"
            n[kind] += 1
    adata.var_names = names
    return adata


def fit(adata, **settings):
    adata = adata.copy()
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(noise=vt.Poisson(), **QUICK, **settings), progress=False)
    return adata


def rho(adata):
    return spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic


def test_without_knowledge_the_direction_is_not_clear(timeless):
    with pytest.warns(UnclearWarning, match=r"root cells .*vt.Ends.*vt.Markers.*vt.TimeLabels"):
        adata = fit(timeless)
    arrow = adata.uns["time_arrow"]
    assert arrow["verdict"] == "unclear"
    assert arrow["knowledge_margin"] == 0
    assert arrow["least_margin"] == 10.0
    assert len(adata.uns["knowledge"]["table"]) == 0


@pytest.mark.parametrize("name", METHODS)
def test_each_piece_settles_the_direction(timeless, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnclearWarning)
        adata = fit(timeless, **METHODS[name])
    arrow = adata.uns["time_arrow"]
    assert rho(adata) > 0.85
    backwards = arrow["rivals"][arrow["rivals"]["correlation"] < 0]
    assert backwards["loses"].all()
    assert (backwards["known"] > 2 * arrow["least_margin"] / adata.n_obs).all()
    assert (backwards["margin"].abs() < backwards["known"]).all()
    # ends alone are no evidence against a root in the middle, which ten genes in each half cannot rule out
    assert arrow["verdict"] == ("unclear" if name == "ends" else "clear")
    assert ("in one half" in arrow["reason"]) == (name == "ends")
    piece = adata.uns["knowledge"]["table"].iloc[0]
    assert piece["nats"] > 20
    assert piece["correlation"] > 0.5
    assert not piece["in_conflict"]


def test_pieces_that_contradict_each_other_are_reported_with_numbers(timeless):
    pieces = (vt.TimeLabels("reversed"), *(METHODS[name]["knowledge"] for name in ("ends", "markers")))
    with pytest.warns(UnclearWarning, match=r"TimeLabels\(reversed\) in conflict: .* nats on 200 cells.*-0"):
        adata = fit(timeless, root=METHODS["root"]["root"], knowledge=pieces)
    assert rho(adata) > 0.85
    table = adata.uns["knowledge"]["table"].set_index("piece")
    assert table["in_conflict"].to_dict() == {
        "Root(stage: start)": False,
        "TimeLabels(reversed)": True,
        "Ends(stage: end)": False,
        "Markers(early: fall_0, fall_1; late: rise_0, rise_1)": False,
    }
    assert table.loc["TimeLabels(reversed)", "correlation"] < -0.5
    assert table.loc["TimeLabels(reversed)", "nats"] < 1


def test_counts_overrule_a_wrong_root_and_say_so(small):
    """Clear counts: the wrong end as root costs nats, but is no hard cut."""
    small.obs["stage"] = np.where(small.obs["true_time"] > 0.9, "end", "other")
    method = vt.SoftEM(root=vt.Root("stage", "end", strength=0.5), noise=vt.Poisson(), **QUICK)
    with pytest.warns(UnclearWarning, match=r"(contested|Root\(stage: end\))"):
        vt.tl.recover_dynamics(small, method=method, progress=False)
    assert rho(small) > 0.9
    assert small.uns["time_arrow"]["knowledge_margin"] < 0
    piece = small.uns["knowledge"]["table"].iloc[0]
    assert piece["in_conflict"]
    assert piece["nats"] < -10


def weights(piece, labels):
    rows = PriorRows.of(Groups.of(labels, None), (piece,), labels)
    return np.exp(rows.initial(STATES)[0][rows.rows_of(piece)])


def labels_of(**columns):
    n = len(next(iter(columns.values())))
    return CellLabels(np.arange(n).astype(str), {name: np.asarray(values) for name, values in columns.items()})


@pytest.mark.parametrize(("piece", "first"), [(vt.Root("c", "a"), 0), (vt.Ends("c", "a"), -1)])
def test_roots_and_ends_say_what_their_strength_means(piece, first):
    weight = weights(piece, labels_of(c=["a"] * 10 + ["b"] * 10))
    np.testing.assert_allclose(weight[10:], 1)
    np.testing.assert_allclose(weight[0].mean(), 1)
    nats = np.log(weight[0])
    assert nats[first] - nats[-1 - first] == pytest.approx(4.7, abs=0.15)
    assert np.isfinite(nats).all()


def test_labels_have_the_shares_of_bayes():
    """Weights are P(label | time) / P(label): weighted by the shares they average to 1 at every time."""
    piece = vt.TimeLabels("day", strength=0.8)
    bumps = [np.exp(-((STATES.time - centre) ** 2) * 8) * 40 for centre in (0.1, 0.5, 0.9)]
    n = np.random.default_rng(0).uniform(0, 5, (3, 32)) + np.stack(bumps)
    table = np.exp(piece.update(n, STATES))
    share = n.sum(axis=1) / n.sum()
    np.testing.assert_allclose(share @ table, 1, atol=1e-2)
    falling = np.cumsum(share[:, None] * (table - 0.2) / 0.8, axis=0)
    assert np.all(np.diff(falling, axis=1) < 1e-3)
    assert table.argmax(axis=1).tolist() == sorted(table.argmax(axis=1).tolist())
    against = np.exp(piece.update(n[::-1], STATES))
    np.testing.assert_allclose(against, 1, atol=0.15)
    assert table.min() >= 0.2 - 1e-9


def test_nats_are_those_of_leaving_a_piece_out(timeless):
    """By the posterior without the piece, computed again."""
    adata = fit(timeless, **METHODS["root"])
    _, restored = restore_soft_fit(adata)
    problem, parameters = restored.problem, restored.parameters
    rows = problem.cells.prior_rows
    silent = problem.silent
    q, _ = silent.posterior(silent.sweep_model(replace(parameters, known=()))[0], slice(0, 200))
    weight = np.exp(parameters.known[0][rows.rows_of(rows.knowledge[0])])
    direct = np.log((q * weight).sum(axis=1)).sum()
    np.testing.assert_allclose(knowledge_nats(problem, parameters), [direct, direct], rtol=1e-3)


def test_markers_go_by_ranks_of_normalised_counts(small):
    labels = read_labels(small, (), ["gene_3", "gene_5"])
    size = np.asarray(small.layers["spliced"].sum(axis=1)).ravel()
    counts = small.layers["spliced"].toarray()[:, 3]
    np.testing.assert_allclose(labels.genes["gene_3"], counts / (size / size.mean()), rtol=1e-5)
    late = vt.Markers(late="gene_3").rows(labels)
    early = vt.Markers(early="gene_3").rows(labels)
    assert spearmanr(late, labels.genes["gene_3"]).statistic > 0.95
    assert spearmanr(late, early).statistic < -0.95
    assert len(set(late[counts == 0].tolist())) == 1


def test_time_labels_know_orders(small):
    small.obs["stage"] = pd.Categorical(["a", "c"] * 125, categories=["c", "b", "a"], ordered=True)
    small.obs["hours"] = np.float32(0.1) * (np.arange(250) % 40)
    small.obs["text"] = ["late", "early"] * 125
    labels = read_labels(small, ["stage", "hours", "text"])
    assert vt.TimeLabels("stage").rows(labels)[:2].tolist() == [2, 1]
    assert np.bincount(vt.TimeLabels("hours").rows(labels)).shape == (13,)  # row 0 is for cells without a label
    assert np.all(np.diff(vt.TimeLabels("hours").rows(labels)[:40]) >= 0)
    assert vt.TimeLabels("text", order=("early", "late")).rows(labels)[:2].tolist() == [2, 1]
    with pytest.raises(InputError, match=r"\['early', 'late'\] have no place.*order="):
        vt.TimeLabels("text").rows(labels)
    with pytest.raises(InputError, match=r"\['late'\] have no place in \['early', 'x'\]"):
        vt.TimeLabels("text", order=("early", "x")).rows(labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": vt.Root("stages", "start")}, r"column 'stages' not found.*'stage'"),
        ({"knowledge": vt.Ends("stage", "fin")}, r"label 'fin' not found.*\['end', 'middle', 'start'\]"),
        ({"knowledge": vt.Markers(early=["Fall_1", "zzz"])}, r"'Fall_1' \(similar: fall_1.*'zzz' \(nothing similar"),
        ({"knowledge": vt.TimeLabels("hour")}, r"column 'hour' not found"),
        ({"knowledge": vt.TimeLabels("stage")}, r"TimeLabels\(stage\): labels .* have no place"),
    ],
)
def test_unknown_columns_labels_and_genes(timeless, settings, message):
    with pytest.raises(InputError, match=message):
        fit(timeless, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vt.Ends("c", ()), "one or more labels"),
        (lambda: vt.Ends("c", "a", strength=1.0), "above 0 and below 1"),
        (lambda: vt.Root("c", "a", strength=0), "above 0 and below 1"),
        (lambda: vt.Markers(), "one or more genes"),
        (lambda: vt.Markers(early=["a"], late=["a"]), "each once"),
        (lambda: vt.TimeLabels("c", order=("a",)), "two or more labels"),
        (lambda: vt.SoftEM(knowledge=vt.Root("c", "a")), "a Root goes to root="),
    ],
)
def test_knowledge_says_what_it_needs(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # 20 cells hardly determine it
def test_a_root_cell_is_found_whatever_cells_are_drawn(small):
    method = vt.SoftEM(
        root=vt.Root(cell="cell_7"),
        n_lineages=1,
        start_cells=20,
        start_genes=20,
        start_times=12,
        annealing=2,
        max_iterations=1,
        n_times=16,
    )
    labels = read_labels(small, method.columns)
    assert method.landmarks(labels).tolist() == [7]
    vt.tl.recover_dynamics(small, method=method, progress=False)
    assert small.uns["recover_dynamics"]["starts"]["root_cell"].iloc[0] == "cell_7"
