"""Every public function after every method: it works, or says in one sentence which method or call it needs."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import velotime as vt
from velotime import InputError

mpl.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")  # of three iterations on 160 cells
ROOMS = ("pp", "tl", "pl", "metrics", "get", "report")
PUBLIC = {
    f"{room}.{word}": getattr(import_module(f"velotime.{room}"), word)
    for room in ROOMS
    for word in import_module(f"velotime.{room}").__all__
    if inspect.isfunction(getattr(import_module(f"velotime.{room}"), word))
}

ROOT = vt.Root("stage", "early")
SMALL = {
    "n_times": 16,
    "annealing": 2,
    "max_iterations": 3,
    "start_cells": 60,
    "start_genes": 20,
    "start_times": 8,
    "root": ROOT,
}
ROUND_IT = {name: value for name, value in SMALL.items() if name != "root"}
METHODS = {
    "one lineage": vt.SoftEM(**SMALL),
    "two lineages": vt.SoftEM(n_lineages=2, **SMALL),
    "Gaussian": vt.SoftEM(noise=vt.Gaussian(), **SMALL),
    "cycle": vt.SoftEM(clock=vt.Cycle(), **ROUND_IT),
    "cycle, some rest": vt.SoftEM(clock=vt.Cycle(not_cycling=True), **ROUND_IT),
    "gene clock": vt.TwoStageEM(clock=vt.GeneClock(max_iterations=2)),
    "shared clock": vt.TwoStageEM(clock=vt.SharedClock(max_iterations=2)),
    "mixture": vt.MixtureEM(n_components=3),
    "nothing": None,
}
LINES = ("one lineage", "two lineages", "Gaussian")
CYCLES = ("cycle", "cycle, some rest")
SOFT = (*LINES, *CYCLES)
TIMED = (*SOFT, "gene clock", "shared clock")
ORDERED = (*LINES, "gene clock", "shared clock")
SHARED = (*SOFT, "shared clock")
FITTED = (*TIMED, "mixture")
ALL = tuple(METHODS)

FIT = r"call velotime\.tl\.recover_dynamics\(adata"
SAMPLES = r"(samples are the replicates|nothing is fitted yet): call velotime\.tl\.recover_dynamics\(adata"
OF_SAMPLES = r"(the fit is of one sample|nothing is fitted yet): call velotime\.tl\.recover_dynamics\(adata"
MOMENTS = r"Call velotime\.pp\.moments\(adata\)"
GRAPH = r"no velocity graph of the fit that is here: call velotime\.tl\.velocity_graph\(adata\) first"
ARROWS = r"no velocity on basis 'umap': call velotime\.tl\.velocity_embedding\(adata, basis='umap'\)"
ENDS = rf"needs a clock that begins and ends, but this one goes round|{FIT}"
ROUND = r"needs a clock that goes round, and that of this fit does not|nothing is fitted yet: call"
HOURS = r"(no hours are known: call|nothing is fitted yet: call) velotime\.tl\.(to_real_time|recover_dynamics)\(adata"
EDGES = [("early", "one"), ("early", "other")]


def plot(word, *args):
    return lambda adata, _: PUBLIC[f"pl.{word}"](adata, *args, show=False)


def get(word):
    return lambda adata, _: PUBLIC[f"get.{word}"](adata)


#: Of each function: a call, the methods after which it works, and what it asks for after the others.
ROWS = {
    "pp.filter_cells": (lambda adata, _: vt.pp.filter_cells(adata), ALL, None),
    "pp.filter_genes": (lambda adata, _: vt.pp.filter_genes(adata, n_top_genes=20), ALL, None),
    "pp.moments": (lambda adata, _: vt.pp.moments(adata, n_neighbors=10), ALL, None),
    "tl.compare_models": (
        lambda adata, _: vt.tl.compare_models(
            adata[:60].copy(), method=vt.SoftEM(n_lineages=1, **SMALL | {"max_iterations": 1})
        ),
        ALL,
        None,
    ),
    "tl.compare_conditions": (lambda adata, _: vt.tl.compare_conditions(adata, "stage"), (), SAMPLES),
    "tl.differential_kinetics": (lambda adata, _: vt.tl.differential_kinetics(adata, "stage"), SOFT, FIT),
    "tl.rank_fate_genes": (lambda adata, _: vt.tl.rank_fate_genes(adata), SOFT, FIT),
    "tl.rank_genes": (lambda adata, _: vt.tl.rank_genes(adata), TIMED, FIT),
    "tl.rank_genes_in_groups": (lambda adata, _: vt.tl.rank_genes_in_groups(adata, "stage"), SOFT, FIT),
    "tl.recover_dynamics": (
        lambda adata, _: vt.tl.recover_dynamics(
            adata, method=METHODS["mixture"], unspliced="unspliced", spliced="spliced", progress=False
        ),
        ALL,
        None,
    ),
    "tl.resample": (lambda adata, _: vt.tl.resample(adata, n_replicates=2, progress=False), SOFT, FIT),
    "tl.to_experimental_time": (lambda adata, _: vt.tl.to_experimental_time(adata, "day"), ORDERED, ENDS),
    "tl.to_real_time": (
        lambda adata, _: vt.tl.to_real_time(adata, half_lives={f"gene_{k}": 2.0 + k % 5 for k in range(24)}),
        SHARED,
        FIT,
    ),
    "tl.transition_matrix": (lambda adata, _: vt.tl.transition_matrix(adata), TIMED, GRAPH),
    "tl.velocity_embedding": (lambda adata, _: vt.tl.velocity_embedding(adata), TIMED, GRAPH),
    "tl.velocity_graph": (lambda adata, _: vt.tl.velocity_graph(adata), TIMED, FIT),
    "pl.along_time": (plot("along_time", "gene_0"), TIMED, FIT),
    "pl.arrow_evidence": (plot("arrow_evidence"), SHARED, FIT),
    "pl.cycle": (plot("cycle"), CYCLES, ROUND),
    "pl.em_trace": (plot("em_trace"), FITTED, FIT),
    "pl.embedding": (plot("embedding"), TIMED, FIT),
    "pl.heatmap": (plot("heatmap"), TIMED, FIT),
    "pl.heatmap_genes": (lambda adata, _: vt.pl.heatmap_genes(adata), TIMED, FIT),
    "pl.phase_portrait": (plot("phase_portrait", "gene_0"), FITTED, FIT),
    "pl.proportions": (plot("proportions"), ALL, None),
    "pl.samples": (plot("samples"), (), OF_SAMPLES),
    "pl.conditions": (plot("conditions"), (), OF_SAMPLES),
    "pl.time_against": (plot("time_against", "day"), TIMED, FIT),
    "pl.time_prior": (plot("time_prior"), SOFT, FIT),
    "pl.velocity_arrows": (plot("velocity_arrows"), TIMED, FIT),
    "pl.velocity_grid": (plot("velocity_grid"), TIMED, FIT),
    "pl.velocity_stream": (plot("velocity_stream"), TIMED, FIT),
    "metrics.circular_correlation": (
        lambda adata, _: vt.metrics.circular_correlation(adata, "true_time"),
        CYCLES,
        ROUND,
    ),
    "metrics.circular_error": (lambda adata, _: vt.metrics.circular_error(adata, "true_time"), CYCLES, ROUND),
    "metrics.cross_boundary_correctness": (
        lambda adata, _: vt.metrics.cross_boundary_correctness(adata, EDGES, column="stage"),
        TIMED,
        ARROWS,
    ),
    "metrics.in_cluster_coherence": (
        lambda adata, _: vt.metrics.in_cluster_coherence(adata, column="stage"),
        TIMED,
        FIT,
    ),
    "metrics.k_hop_correctness": (
        lambda adata, _: vt.metrics.k_hop_correctness(adata, EDGES, column="stage", n_hops=2),
        TIMED,
        ARROWS,
    ),
    "metrics.row_entropy": (lambda adata, _: vt.metrics.row_entropy(vt.tl.transition_matrix(adata)), TIMED, GRAPH),
    "metrics.self_transition": (
        lambda adata, _: vt.metrics.self_transition(vt.tl.transition_matrix(adata)),
        TIMED,
        GRAPH,
    ),
    "metrics.time_correlation": (
        lambda adata, _: vt.metrics.time_correlation(adata, {"early": 0, "one": 1, "other": 1}, column="stage"),
        ORDERED,
        ENDS,
    ),
    "metrics.time_order": (lambda adata, _: vt.metrics.time_order(adata, EDGES, column="stage"), ORDERED, ENDS),
    "metrics.velocity_confidence": (lambda adata, _: vt.metrics.velocity_confidence(adata), TIMED, FIT),
    "get.fitted_means": (get("fitted_means"), (*SHARED, "mixture"), FIT),
    "get.latent_time": (get("latent_time"), TIMED, FIT),
    "get.half_lives": (get("half_lives"), (), HOURS),
    "get.lineage_posterior": (get("lineage_posterior"), SHARED, FIT),
    "get.posterior": (get("posterior"), SOFT, FIT),
    "get.rates": (get("rates"), TIMED, FIT),
    "get.size_factors": (get("size_factors"), FITTED, FIT),
    "get.velocity": (get("velocity"), TIMED, FIT),
    "get.velocity_sd": (get("velocity_sd"), SOFT, FIT),
    "get.velocity_u": (get("velocity_u"), TIMED, FIT),
    "report.best_genes": (lambda adata, _: PUBLIC["report.best_genes"](adata, 3), FITTED, FIT),
    "report.report": (lambda adata, folder: vt.report(adata, folder / "fit.html"), FITTED, FIT),
    "report.tables": (lambda adata, _: PUBLIC["report.tables"](adata), FITTED, FIT),
    "report.write_tables": (lambda adata, folder: PUBLIC["report.write_tables"](adata, folder / "a"), FITTED, FIT),
    "report.run_in_text": (lambda adata, _: PUBLIC["report.run_in_text"](adata, seconds=1.0), FITTED, FIT),
    "report.summary": (lambda adata, _: str(vt.summary(adata)), FITTED, FIT),
}
IN_MEMORY = ("tl.differential_kinetics", "tl.rank_fate_genes", "tl.rank_genes_in_groups")  # refuse other counts
SLOW = ("tl.compare_models", "tl.resample")
#: Calls that need more than the function does with its defaults.
OPTIONS = {
    "moments where a fit wrote means": (
        lambda adata, _: vt.tl.recover_dynamics(adata, method=METHODS["mixture"], progress=False),
        ("gene clock", "shared clock", "mixture", "nothing"),
        MOMENTS,
    ),
    "velocity_graph(posterior=True)": (
        lambda adata, _: vt.tl.velocity_graph(adata, posterior=True, n_draws=2),
        SOFT,
        FIT,
    ),
    "correctness among genes": (
        lambda adata, _: vt.metrics.cross_boundary_correctness(
            adata, EDGES, column="stage", basis=vt.metrics.GeneSpace()
        ),
        TIMED,
        FIT,
    ),
    "cells by uncertainty": (
        lambda adata, _: vt.pl.embedding(adata, color="latent_time_sd", show=False),
        SOFT,
        FIT,
    ),
    "portrait by stage": (
        lambda adata, _: vt.pl.phase_portrait(adata, ["gene_0", "gene_1"], color="stage", show=False),
        FITTED,
        FIT,
    ),
}


@pytest.fixture(scope="module")
def cells():
    """160 cells that end in two ways, 24 genes, with moments, labels, days and places on a plane."""
    rng = np.random.default_rng(0)
    forked = vt.simulation.Branches(times=(0.4,))
    adata = vt.simulation.simulate(160, 24, rng=rng, branches=forked, mean_unspliced=1.0, mean_spliced=3.0)
    time, end = adata.obs["true_time"].to_numpy(), adata.obs["true_lineage"].astype(int).to_numpy()
    adata.obsm["X_umap"] = np.c_[time, end * time] + rng.normal(0, 0.03, (160, 2))
    adata.obs["stage"] = pd.Categorical(np.where(time < 0.4, "early", np.where(end == 0, "one", "other")))
    vt.pp.moments(adata, n_neighbors=10)
    return adata


@pytest.fixture(scope="module")
def objects(cells):
    """``objects(method)``: the cells fitted by it, with graph and arrows where there are velocities; made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = _some_resting(cells) if name == "cycle, some rest" else cells.copy()
            _fit(made[name], METHODS[name], velocities=name in TIMED)
        return made[name].copy()

    return make


def _some_resting(cells):
    """The same labels and places, with counts of cells that cycle but for a quarter, which have no phase then."""
    cycle = vt.simulation.Cycling(not_cycling=0.25)
    counts = vt.simulation.simulate(160, 24, rng=1, cycle=cycle, mean_unspliced=1.0, mean_spliced=3.0)
    adata = cells.copy()
    for layer in ("unspliced", "spliced"):
        adata.layers[layer] = counts.layers[layer]
    vt.pp.moments(adata, n_neighbors=10)
    return adata


def _fit(adata, method, *, velocities):
    adata.obs["day"] = np.digitize(adata.obs["true_time"], [0.33, 0.66]).astype(float)
    if method is not None:
        vt.tl.recover_dynamics(adata, method=method, progress=False)
    if velocities:
        vt.tl.velocity_graph(adata)
        vt.tl.velocity_embedding(adata)
        time = vt.get.latent_time(adata)["mean"]
        adata.obs["day"] = pd.cut(time, 3, labels=False).astype(float)  # forwards after any fit


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def test_every_public_function_has_a_row():
    assert set(ROWS) == set(PUBLIC)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*ROWS, *OPTIONS])
def test_works_or_says_what_it_needs(name, method, objects, tmp_path):
    call, methods, needs = (ROWS | OPTIONS)[name]
    adata = objects(method)
    if method in methods:
        result = call(adata, tmp_path)
        if name in ROWS:
            assert (result is None) == (inspect.signature(PUBLIC[name]).return_annotation in ("None", "AnnData | None"))
        return
    with pytest.raises(InputError) as caught:
        call(adata, tmp_path)
    text = str(caught.value)
    assert re.search(needs, text)
    assert "\n" not in text
    if method == "nothing" and needs in (FIT, ENDS):
        assert text.startswith("nothing is fitted yet")
    elif needs == FIT or (needs == ENDS and method not in CYCLES):
        assert re.search(rf"the fit was made by {type(METHODS[method]).__name__}", text)
        assert text.endswith("method=vt.SoftEM()).")


@pytest.mark.parametrize("name", [name for name in [*ROWS, *OPTIONS] if name not in SLOW])
def test_works_on_counts_in_dask_arrays(name, objects, tmp_path):
    array = pytest.importorskip("dask.array")
    call, methods, _ = (ROWS | OPTIONS)[name]
    method = next((one for one in ("one lineage", "cycle", "nothing") if one in methods), None)
    if method is None:
        pytest.skip("it needs several samples, or what is known in hours")
    adata = objects(method)
    for layer in list(adata.layers):
        if layer in ("unspliced", "spliced"):
            adata.layers[layer] = array.from_array(adata.layers[layer], chunks=(60, -1))
        elif method != "nothing":
            del adata.layers[layer]  # a fit of many cells writes none
    if name in IN_MEMORY:
        with pytest.raises(InputError, match=r"to_memory\(\)"):
            call(adata, tmp_path)
        return
    call(adata, tmp_path)


@pytest.mark.parametrize("name", ["tl.transition_matrix", "tl.velocity_embedding"])
def test_without_a_graph_it_is_asked_for(name, objects):
    adata = objects("one lineage")
    del adata.obsp["velocity_graph"]
    with pytest.raises(InputError, match=GRAPH):
        ROWS[name][0](adata, None)


@pytest.mark.parametrize(
    ("column", "call"), [("latent_time_experimental", "to_experimental_time"), ("latent_time_resampled_sd", "resample")]
)
def test_a_column_that_another_call_makes_is_asked_for_by_it(column, call, objects):
    with pytest.raises(InputError, match=rf"call velotime\.tl\.{call}\("):
        vt.pl.embedding(objects("one lineage"), color=column, show=False)
