"""A call that fails leaves the object as it was, for every public function; a second fit nothing of the first."""

from __future__ import annotations

import inspect
import warnings
from importlib import import_module

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import sparse

import velotime as vt
from velotime import InputError, UnclearWarning

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # of two iterations on 120 cells
ROOMS = ("pp", "tl", "pl", "metrics", "get", "report")
PUBLIC = {
    f"{room}.{word}": getattr(import_module(f"velotime.{room}"), word)
    for room in ROOMS
    for word in import_module(f"velotime.{room}").__all__
    if inspect.isfunction(getattr(import_module(f"velotime.{room}"), word))
}
TAKE_CELLS = {name for name, function in PUBLIC.items() if "adata" in inspect.signature(function).parameters}
BOXES = ("layers", "obsm", "varm", "obsp", "varp", "uns")
NO = "nothing"  # the name of a column, layer, basis, gene or cell that is not there
EDGES = [("early", "late")]
SMALL = {
    "n_lineages": 1,
    "n_times": 16,
    "annealing": 2,
    "max_iterations": 2,
    "start_cells": 60,
    "start_genes": 20,
    "start_times": 8,
    "root": vt.Root("stage", "early"),
}


def call(name, *args, **options):
    return lambda adata: PUBLIC[name](adata, *args, **options)


def plot(word, *args, **options):
    return call(f"pl.{word}", *args, **options, show=False)


ON_CELLS = [{"basis": NO}, {"color": NO}, {"save": "nowhere/a.png"}]
#: Of each function that takes an object: calls that are refused.
REFUSED = {
    "pp.filter_cells": [call("pp.filter_cells", unspliced=NO), call("pp.filter_cells", min_counts=10**6)],
    "pp.filter_genes": [
        call("pp.filter_genes", spliced=NO),
        call("pp.filter_genes", keep=[NO]),
        call("pp.filter_genes", min_cells=10**6),
    ],
    "pp.moments": [call("pp.moments", unspliced=NO)],
    "tl.compare_models": [
        call("tl.compare_models", spliced=NO),
        call("tl.compare_models", method=vt.SoftEM(root=vt.Root(NO, "early"))),
        call("tl.compare_models", method=vt.SoftEM(noise=vt.Gaussian())),
    ],
    "tl.compare_conditions": [call("tl.compare_conditions", "stage")],
    "tl.differential_kinetics": [
        call("tl.differential_kinetics", NO),
        call("tl.differential_kinetics", "stage", least_cells=10**6),
    ],
    "tl.rank_fate_genes": [call("tl.rank_fate_genes", lineage=NO)],
    "tl.rank_genes": [call("tl.rank_genes", by=NO)],
    "tl.rank_genes_in_groups": [call("tl.rank_genes_in_groups", NO)],
    "tl.recover_dynamics": [
        call("tl.recover_dynamics", unspliced=NO, progress=False),
        call("tl.recover_dynamics", layers=(NO,), progress=False),
        call("tl.recover_dynamics", method=vt.SoftEM(root=vt.Root("stage", NO)), progress=False),
        call("tl.recover_dynamics", method=vt.TwoStageEM(), progress=False),  # Mu and Ms are means of the fit
        call("tl.recover_dynamics", method=vt.MixtureEM(n_components=999), spliced="spliced", unspliced="unspliced"),
    ],
    "tl.resample": [call("tl.resample", n_replicates=1)],
    "tl.to_experimental_time": [
        call("tl.to_experimental_time", NO),
        call("tl.to_experimental_time", "stage"),
        call("tl.to_experimental_time", "back"),
    ],
    "tl.to_real_time": [
        call("tl.to_real_time", half_lives={NO: 2.0}),
        call("tl.to_real_time", half_lives={"gene_0": 2.0, "gene_1": 3.0}),
        call("tl.to_real_time", labelled=(NO, NO), hours=2.0),
    ],
    "tl.transition_matrix": [call("tl.transition_matrix", scale=-1)],
    "tl.velocity_embedding": [call("tl.velocity_embedding", basis=NO)],
    "tl.velocity_graph": [
        call("tl.velocity_graph", genes=NO),
        call("tl.velocity_graph", state=NO),
        call("tl.velocity_graph", spliced=NO),
        call("tl.velocity_graph", genes="none"),
    ],
    "pl.along_time": [plot("along_time", NO), plot("along_time", "gene_0", color=NO)],
    "pl.arrow_evidence": [plot("arrow_evidence", save="nowhere/a.png")],
    "pl.cycle": [plot("cycle")],
    "pl.em_trace": [plot("em_trace", save="nowhere/a.png")],
    "pl.embedding": [plot("embedding", **options) for options in ON_CELLS],
    "pl.heatmap": [plot("heatmap", genes=[NO]), plot("heatmap", color=NO), plot("heatmap", layer=NO)],
    "pl.heatmap_genes": [call("pl.heatmap_genes", genes=[NO]), call("pl.heatmap_genes", lineage=NO)],
    "pl.phase_portrait": [plot("phase_portrait", NO), plot("phase_portrait", "gene_0", color=NO)],
    "pl.proportions": [plot("proportions", NO), plot("proportions", spliced=NO)],
    "pl.samples": [plot("samples")],
    "pl.conditions": [plot("conditions")],
    "pl.time_against": [plot("time_against", NO)],
    "pl.time_prior": [plot("time_prior", save="nowhere/a.png")],
    "pl.velocity_arrows": [plot("velocity_arrows", **options) for options in ON_CELLS],
    "pl.velocity_grid": [plot("velocity_grid", **options) for options in ON_CELLS],
    "pl.velocity_stream": [plot("velocity_stream", **options) for options in ON_CELLS],
    "metrics.circular_correlation": [call("metrics.circular_correlation", NO)],
    "metrics.circular_error": [call("metrics.circular_error", NO)],
    "metrics.cross_boundary_correctness": [
        call("metrics.cross_boundary_correctness", EDGES, column=NO),
        call("metrics.cross_boundary_correctness", [("early", NO)], column="stage"),
        call("metrics.cross_boundary_correctness", EDGES, column="stage", basis=NO),
        call("metrics.cross_boundary_correctness", EDGES, column="stage", basis=vt.metrics.GeneSpace(genes=NO)),
    ],
    "metrics.in_cluster_coherence": [
        call("metrics.in_cluster_coherence", column=NO),
        call("metrics.in_cluster_coherence", column="stage", genes=NO),
    ],
    "metrics.k_hop_correctness": [
        call("metrics.k_hop_correctness", EDGES, column=NO),
        call("metrics.k_hop_correctness", EDGES, column="stage", basis=NO),
    ],
    "metrics.time_correlation": [
        call("metrics.time_correlation", {"early": 0, "late": 1}, column=NO),
        call("metrics.time_correlation", {"early": 0, "late": 1}, column="stage", time=NO),
    ],
    "metrics.time_order": [
        call("metrics.time_order", EDGES, column=NO),
        call("metrics.time_order", EDGES, column="stage", time="stage"),
    ],
    "metrics.velocity_confidence": [call("metrics.velocity_confidence", genes=NO)],
    **{
        f"get.{word}": [call(f"get.{word}", cells=[NO])]
        for word in ("latent_time", "lineage_posterior", "posterior", "size_factors")
    },
    **{
        f"get.{word}": [call(f"get.{word}", cells=[NO]), call(f"get.{word}", genes=[NO])]
        for word in ("fitted_means", "velocity", "velocity_sd", "velocity_u")
    },
    "get.half_lives": [call("get.half_lives", genes=[NO])],
    "get.rates": [call("get.rates", genes=[NO])],
    "report.best_genes": [lambda adata: without_fit(PUBLIC["report.best_genes"], adata, 3)],
    "report.report": [
        call("report.report", "nowhere/a.html"),
        call("report.report", "a.txt"),
        call("report.report", "a.html", basis=NO),
    ],
    "report.tables": [lambda adata: without_fit(PUBLIC["report.tables"], adata)],
    "report.write_tables": [lambda adata: without_fit(PUBLIC["report.write_tables"], adata, "a")],
    "report.run_in_text": [lambda adata: without_fit(PUBLIC["report.run_in_text"], adata, seconds=1.0)],
    "report.summary": [lambda adata: without_fit(PUBLIC["report.summary"], adata)],
}
#: What breaks deep inside of what writes, and the call that meets it: the last step before the result is written, or
#: a step after parts of it were.
BROKEN = {
    "pp.filter_cells": ("anndata.AnnData", "_inplace_subset_obs", call("pp.filter_cells", min_counts=120)),
    "pp.filter_genes": ("anndata.AnnData", "_inplace_subset_var", call("pp.filter_genes", n_top_genes=5)),
    "pp.moments": ("velotime.pp._moments", "_scale", call("pp.moments")),
    "tl.compare_models": ("velotime.inference.SoftEM", "compare", call("tl.compare_models")),
    "tl.recover_dynamics": (
        "velotime.data.slots",
        "fit_id",
        call("tl.recover_dynamics", method=vt.SoftEM(**SMALL), rng=1, progress=False),
    ),
    "tl.resample": ("velotime.tl._resample", "pooled_interval", call("tl.resample", n_replicates=2, progress=False)),
    "tl.to_experimental_time": (
        "velotime.tl._experimental_time",
        "_standard_error",
        call("tl.to_experimental_time", "day"),
    ),
    "tl.to_real_time": (
        "velotime.tl._hours.real_time",
        "hours_from_half_lives",
        call("tl.to_real_time", half_lives={f"gene_{k}": 2.0 + k for k in range(60)}),
    ),
    "tl.velocity_embedding": ("velotime.tl._transitions", "arrows_made_of", call("tl.velocity_embedding")),
    "tl.velocity_graph": ("velotime.tl._velocity_graph", "_keep", call("tl.velocity_graph")),
    "pl.velocity_arrows": ("velotime.pl._velocity", "finish_panels", plot("velocity_arrows")),
    "pl.velocity_grid": ("velotime.pl._velocity", "finish_panels", plot("velocity_grid")),
    "pl.velocity_stream": ("velotime.pl._velocity", "finish_panels", plot("velocity_stream")),
    "report.report": ("velotime.report._page", "render", call("report.report", "a.html")),
}


def without_fit(function, adata, *args, **options):
    """Call it where nothing is fitted; the record is put back."""
    record = adata.uns.pop("recover_dynamics")
    try:
        return function(adata, *args, **options)
    finally:
        adata.uns["recover_dynamics"] = record


@pytest.fixture(scope="module")
def bare():
    """120 cells, 24 genes, fitted, with no graph, no arrows and no neighbours."""
    rng = np.random.default_rng(0)
    adata = vt.simulation.simulate(120, 24, rng=rng, mean_unspliced=1.0, mean_spliced=3.0)
    time = adata.obs["true_time"].to_numpy()
    adata.obsm["X_umap"] = np.c_[time, time**2] + rng.normal(0, 0.02, (120, 2))
    adata.obs["stage"] = pd.Categorical(np.where(time < 0.4, "early", "late"))
    adata.var["none"] = False
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(**SMALL), progress=False)
    adata.obs["day"] = pd.cut(adata.obs["latent_time"], 3, labels=False).astype(float)
    adata.obs["back"] = -adata.obs["day"]
    return adata


@pytest.fixture(scope="module")
def made(bare):
    """The same with a graph, arrows and experimental time."""
    adata = bare.copy()
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata)
    vt.tl.to_experimental_time(adata, "day")
    return adata


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())  # nor is half a file left
    plt.close("all")


def snapshot(adata):
    """Everything in the object, deeply, by place."""
    out = {"obs": adata.obs.copy(), "var": adata.var.copy(), "X": _copy(adata.X)}
    return out | {f"{box}/{key}": _copy(value) for box in BOXES for key, value in getattr(adata, box).items()}


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(one) for key, one in value.items()}
    return value.copy() if hasattr(value, "copy") else value


def assert_same(now, before):
    """Compare two snapshots, or parts of them."""
    assert type(now) is type(before)
    if isinstance(before, dict):
        assert list(now) == list(before)
        for key, value in before.items():
            assert_same(now[key], value)
    elif isinstance(before, pd.DataFrame):
        pd.testing.assert_frame_equal(now, before)
    elif sparse.issparse(before):
        assert_same((now.shape, now.data, now.indices, now.indptr), (before.shape, *_parts(before)))
    elif isinstance(before, tuple):
        for one, other in zip(now, before, strict=True):
            np.testing.assert_array_equal(one, other)
    else:
        np.testing.assert_array_equal(now, before)


def _parts(matrix):
    return matrix.data, matrix.indices, matrix.indptr


def test_every_function_that_takes_cells_has_a_row():
    assert set(REFUSED) == TAKE_CELLS


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, calls in REFUSED.items() for k in range(len(calls))])
@pytest.mark.parametrize("state", ["bare", "made"])
def test_refused(name, k, state, request):
    adata = request.getfixturevalue(state).copy()
    before = snapshot(adata)
    with pytest.raises(InputError):
        REFUSED[name][k](adata)
    assert_same(dict(sorted(snapshot(adata).items())), dict(sorted(before.items())))


@pytest.mark.parametrize(
    ("state", "name"),
    [("made", name) for name in BROKEN] + [("bare", name) for name in BROKEN if name != "tl.velocity_embedding"],
)
def test_broken_deep_inside(name, state, request, monkeypatch):
    owner, attribute, broken = BROKEN[name]
    adata = request.getfixturevalue(state).copy()
    before = snapshot(adata)
    monkeypatch.setattr(_find(owner), attribute, _fail)
    with pytest.raises(ZeroDivisionError):
        broken(adata)
    assert_same(dict(sorted(snapshot(adata).items())), dict(sorted(before.items())))


def _find(owner):
    if owner.startswith("velotime") and owner.split(".")[-1].islower():
        return import_module(owner)
    module, name = owner.rsplit(".", 1)
    return getattr(import_module(module), name)


def _fail(*args, **options):
    raise ZeroDivisionError


SECOND = {
    "SoftEM": vt.SoftEM(noise=vt.Poisson(), **SMALL),
    "gene clock": vt.TwoStageEM(clock=vt.GeneClock(max_iterations=1)),
    "shared clock": vt.TwoStageEM(clock=vt.SharedClock(max_iterations=1)),
    "mixture": vt.MixtureEM(n_components=3),
}


@pytest.mark.parametrize("method", SECOND)
def test_a_second_fit_leaves_what_it_would_leave_alone(method, made):
    """After a fit by another method the object is that of this fit alone, but for what no fit wrote."""
    alone = made.copy()
    for box in BOXES:
        for key in [key for key in getattr(alone, box) if key not in (None, "unspliced", "spliced", "X_umap")]:
            del getattr(alone, box)[key]
    alone.obs = alone.obs[["stage", "day", "back"]].copy()
    alone.var = alone.var[["none"]].copy()
    twice = made.copy()
    for adata in (alone, twice):
        if method != "SoftEM":
            vt.pp.moments(adata)
        vt.tl.recover_dynamics(adata, method=SECOND[method], progress=False)
    assert twice.uns["recover_dynamics"]["id"] == alone.uns["recover_dynamics"]["id"]
    assert not twice.uns["velotime_derived"]
    simulated = {key for key in (*twice.obs, *twice.var, *twice.layers, *twice.uns) if str(key).startswith("true_")}
    given = simulated | {"simulation", "velotime_derived", "velotime_neighbors"}
    given |= {"velotime_distances", "velotime_connectivities"}  # neighbours that the graph needed: of the cells
    for box in ("obs", "var", *BOXES):
        assert set(getattr(twice, box)) - given == set(getattr(alone, box)) - given
    assert_same(np.asarray(twice.obs.get("latent_time")), np.asarray(alone.obs.get("latent_time")))


def test_a_warning_made_an_error_leaves_the_object(bare):
    adata = bare.copy()
    adata.layers["unspliced"] = adata.layers["spliced"].copy()
    before = snapshot(adata)
    with pytest.raises(vt.InputWarning, match="the same values"):
        vt.pp.filter_genes(adata, n_top_genes=5)
    assert_same(snapshot(adata), before)


def test_a_doubt_about_a_fit_made_an_error_leaves_the_object(bare):
    adata = bare.copy()
    before = snapshot(adata)
    method = vt.SoftEM(**SMALL | {"noise": vt.Gaussian()})  # of whole numbers
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnclearWarning)
        with pytest.raises(UnclearWarning):
            vt.tl.recover_dynamics(adata, method=method, progress=False)
    assert_same(snapshot(adata), before)


def test_layers_given_the_wrong_way_round_are_fitted_and_fitted_again(bare):
    """That fit is drawn, with its own layers; the next one, the right way round, leaves no arrow of it."""
    adata = bare.copy()
    method = vt.SoftEM(**SMALL)
    exchanged = {"unspliced": "spliced", "spliced": "unspliced"}
    vt.tl.recover_dynamics(adata, method=method, progress=False, **exchanged)
    vt.pl.velocity_arrows(adata, show=False)
    first = adata.obsm["velocity_umap"]
    vt.tl.recover_dynamics(adata, method=method, progress=False)
    assert "velocity_umap" not in adata.obsm
    vt.pl.velocity_arrows(adata, show=False)
    alone = bare.copy()
    vt.pl.velocity_arrows(alone, show=False)
    assert not np.allclose(adata.obsm["velocity_umap"], first)
    np.testing.assert_allclose(adata.obsm["velocity_umap"], alone.obsm["velocity_umap"])
