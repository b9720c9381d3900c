"""Arguments of every public function: those of the wrong kind are refused before any work, in one form of error."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import anndata as ad
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime import simulation as sim
from velotime.report import tables, write_tables

mpl.use("Agg")
CELLS = ad.AnnData(np.ones((3, 2), dtype=np.float32), obs=pd.DataFrame({"day": [0, 1, 2]}, index=list("abc")))
ADATA = ((CELLS,), (None, "cells.h5ad", Path("cells.h5ad"), np.ones((3, 2)), ad.AnnData))
NAME = (("day", np.str_("day")), (None, "", 3, ["day"], True, b"day"))
GENES = ((*NAME[0], ["a", "b"], pd.Index(["a"])), (None, "", 3, True, b"day", [3], [""]))
OPTIONAL_NAME = ((None, "day"), NAME[1][1:])
FLAG = ((True, False, np.True_), (None, 1, 0, "yes", "True"))
OPTIONAL_FLAG = ((None, *FLAG[0]), FLAG[1][1:])
NOT_WHOLE = (2.5, 2.0, "2", True, [2], np.nan)
RNG = ((0, 2**40, np.int64(3), np.random.default_rng(0)), (-1, None, np.random.RandomState(0), np.random, *NOT_WHOLE))
COUNT = ((1, np.int64(1)), (0, None, *NOT_WHOLE))
PAIR = ((2, np.int32(2)), (1, None, *NOT_WHOLE))
OPTIONAL_COUNT = ((None, *COUNT[0]), (0, *NOT_WHOLE))
POSITIVE = ((0.1, 1, np.float32(2)), (0, -1, None, "1", True, np.nan, np.inf))
SHARE = ((0, 0.99), (-0.1, 1, None, "0", np.nan))
AXES = Figure().add_subplot()
PLOT = {
    "adata": ADATA,
    "ax": ((None, AXES), (AXES.figure, 3, "ax", [AXES])),
    "show": OPTIONAL_FLAG,
    "save": ((None, "a.png", Path("a.png")), (True, False, 3, "", [])),
}
ON_CELLS = PLOT | {
    "basis": NAME,
    "color": GENES,
    "cmap": (("viridis", "Greys"), (None, "no such map", 3, mpl.colormaps["viridis"])),
    "legend_loc": ((None, "right margin", "on data"), ("best", 1, True)),
    "layer": OPTIONAL_NAME,
    "gene_symbols": OPTIONAL_NAME,
    "vmin": ((None, 0, -1.5, "p1"), ("1", "p101", "px", True, [1])),
    "vmax": ((None, 3, "p99", "p99.5"), ("99", "q99", True, np.nan)),
    "palette": ((None, ["red", "#112233"], {"a": "red"}), ("red", [], ["no colour"], 3)),
    "size": ((None, 0.5, 3), (0, -1, "3", True)),
    "title": ((None, "a", "", ["a", "b"]), (3, [3])),
    "figsize": ((None, (3, 2.5), [4, 4]), (3, (3,), (1, 2, 3), (0, 1), "ab")),
    "frameon": OPTIONAL_FLAG,
    "ncols": COUNT,
    "ax": ((None, AXES, [AXES, AXES]), (AXES.figure, 3, "ax", [], [None])),
}
ONE_TITLE = ((None, "a", ""), (3, ["a"], ["a", "b"]))
PANEL = PLOT | {"title": ONE_TITLE, "figsize": ON_CELLS["figsize"]}
OF_GENES = {name: row for name, row in ON_CELLS.items() if name != "basis"} | {"gene": GENES, "color": OPTIONAL_NAME}
ONE_COLOR = {name: row for name, row in ON_CELLS.items() if name not in ("basis", "ncols")} | PANEL
EDGES = (
    ([("a", "b")], [], (["a", "b"], (1, 2)), np.array([["a", "b"]])),
    ("ab", ["ab"], [("a",)], [("a", "b", "c")], None, {"a": "b"}, [("a", None)], 3),
)
JOBS = ((None, 1, 8, -1), (0, -2, *NOT_WHOLE))
KEY = {"key_added": OPTIONAL_NAME}
COPY = {"copy": FLAG}
LAYERS = {"unspliced": OPTIONAL_NAME, "spliced": OPTIONAL_NAME}
TRANSITIONS = {"transitions": ((sparse.eye(2, format="csr"), np.eye(2)), (None, "T", 3, [[1]], CELLS))}
PATH = {"path": (("a.h5ad", Path("a.h5ad")), (None, "", 3, True, ["a.h5ad"]))}
GENE_NAMES, MOD = {"gene_names": OPTIONAL_NAME}, {"mod": OPTIONAL_NAME}
BASIS = (("umap", vt.metrics.GeneSpace()), (None, "", 3, vt.metrics.GeneSpace))

#: Of each argument: what is allowed, and what is not.
TABLE = {
    "tl.compare_models": {
        "adata": ADATA,
        "method": ((None, vt.SoftEM()), (vt.TwoStageEM(), vt.MixtureEM(), vt.SoftEM, "soft", 3)),
        "rng": RNG,
        "n_jobs": JOBS,
        **LAYERS,
    },
    "tl.compare_conditions": {
        "adata": ADATA,
        "condition": NAME,
        "reference": OPTIONAL_NAME,
        "batch": OPTIONAL_NAME,
        "n_pieces": ((2, 32), (1, 33, None, *NOT_WHOLE)),
    },
    "tl.differential_kinetics": {"adata": ADATA, "groupby": NAME, "least_cells": COUNT, **KEY},
    "tl.rank_fate_genes": {"adata": ADATA, "lineage": OPTIONAL_NAME, **KEY},
    "tl.rank_genes": {"adata": ADATA, "by": OPTIONAL_NAME, **KEY},
    "tl.rank_genes_in_groups": {"adata": ADATA, "groupby": NAME, **KEY},
    "tl.recover_dynamics": {
        "adata": ADATA,
        "method": (
            (None, vt.SoftEM(), vt.TwoStageEM(), vt.MixtureEM()),
            (vt.SoftEM, vt.TwoStageEM, "soft", "SoftEM", vt.Poisson(), vt.GeneClock(), 3, {}),
        ),
        "layers": ((None, (), ["velocity"], "velocity"), (3, [3], [None], [""])),
        "rng": RNG,
        "progress": FLAG,
        "n_jobs": JOBS,
        "checkpoint": ((None, "a.npz", Path("a.npz")), (3, True, "", ["a.npz"])),
        "resume": FLAG,
        **COPY,
        **LAYERS,
    },
    "tl.resample": {"adata": ADATA, "n_replicates": PAIR, "rng": RNG, "progress": FLAG, "n_jobs": JOBS},
    "tl.to_experimental_time": {"adata": ADATA, "column": NAME, "unit": OPTIONAL_NAME},
    "tl.to_real_time": {
        "adata": ADATA,
        "half_lives": (
            (None, {"a": 2.0}, pd.Series([2.0], ["a"]), pd.DataFrame({"half_life": [2.0]}, ["a"])),
            (
                "table.csv",
                3,
                ["a"],
                {},
                {"a": 0.0},
                {"a": -1.0},
                {"a": "long"},
                pd.DataFrame({"x": ["long"]}, ["a"]),
            ),
        ),
        "labelled": ((None, ("a", "b"), ["a", None]), ("ab", "a", ("a",), (None, None), ("a", 3), 3)),
        "hours": ((None, "hours", *POSITIVE[0]), (0, -1, True, np.nan, "")),
        "samples": OPTIONAL_NAME,
        "doubling_time": ((None, *POSITIVE[0]), (0, -1, "1", True, np.nan, np.inf)),
    },
    "tl.transition_matrix": {"adata": ADATA, "scale": POSITIVE, "self_transitions": FLAG, **KEY},
    "tl.velocity_embedding": {"adata": ADATA, "basis": NAME, "scale": POSITIVE, **COPY},
    "tl.velocity_graph": {
        "adata": ADATA,
        "recursive": OPTIONAL_FLAG,
        "posterior": FLAG,
        "n_draws": COUNT,
        "rng": RNG,
        "genes": NAME,
        "state": OPTIONAL_NAME,
        "square_root": FLAG,
        "spliced": OPTIONAL_NAME,
        "n_jobs": JOBS,
        **COPY,
    },
    "pp.filter_cells": {"adata": ADATA, "min_counts": COUNT, **COPY, **LAYERS},
    "pp.filter_genes": {
        "adata": ADATA,
        "min_cells": OPTIONAL_COUNT,
        "min_shared_counts": ((0, np.int64(3)), (-1, None, *NOT_WHOLE)),
        "n_top_genes": OPTIONAL_COUNT,
        "keep": (((), ["a"], "a", np.array(["a", "b"])), (None, [1], 3, [""], [None])),
        **COPY,
        **LAYERS,
    },
    "pp.moments": {"adata": ADATA, "n_neighbors": PAIR, "rng": RNG, **COPY, **LAYERS},
    "pl.along_time": OF_GENES
    | {
        "ax": ((None, (AXES, AXES), [AXES, AXES]), (AXES, (AXES,), 3, (AXES, None), "ax")),
    },
    "pl.arrow_evidence": PANEL,
    "pl.cycle": PANEL
    | {
        "genes": ((None, ["a"], "a", pd.Index(["a", "b"])), (3, [3], [None], [""])),
        "n_genes": COUNT,
        "color": OPTIONAL_NAME,
        "layer": OPTIONAL_NAME,
        "gene_symbols": OPTIONAL_NAME,
        "cmap": ON_CELLS["cmap"],
        "palette": ON_CELLS["palette"],
    },
    "pl.em_trace": PANEL,
    "pl.time_prior": PANEL,
    "pl.embedding": ON_CELLS,
    "pl.heatmap": PANEL
    | {
        "genes": ((None, ["a"], "a", pd.Index(["a", "b"])), (3, [3], [None], [""])),
        "n_genes": COUNT,
        "color": OPTIONAL_NAME,
        "lineage": OPTIONAL_NAME,
        "layer": OPTIONAL_NAME,
        "gene_symbols": OPTIONAL_NAME,
        "cmap": ON_CELLS["cmap"],
        "palette": ON_CELLS["palette"],
    },
    "pl.heatmap_genes": {
        "adata": ADATA,
        "genes": ((None, ["a"], "a", pd.Index(["a", "b"])), (3, [3], [None], [""])),
        "n_genes": COUNT,
        "n_groups": COUNT,
        "lineage": OPTIONAL_NAME,
        "layer": OPTIONAL_NAME,
        "gene_symbols": OPTIONAL_NAME,
    },
    "pl.phase_portrait": OF_GENES | {"band": FLAG},
    "pl.samples": {
        "adata": ADATA,
        "condition": OPTIONAL_NAME,
        "figsize": ON_CELLS["figsize"],
        "ax": ((None, [AXES, AXES]), (AXES, AXES.figure, 3, [AXES])),
        "show": PLOT["show"],
        "save": PLOT["save"],
    },
    "pl.conditions": PLOT
    | {
        "gene": ((None, *GENES[0]), tuple(bad for bad in GENES[1] if bad is not None)),
        "parameter": (("alpha", "beta", "gamma", "t_on"), ("delta", None, 3)),
        "condition": OPTIONAL_NAME,
        "gene_symbols": OPTIONAL_NAME,
        "figsize": ON_CELLS["figsize"],
        "ax": ((None, AXES, [AXES, AXES]), (AXES.figure, 3, "ax", [], [None])),
    },
    "pl.proportions": PANEL | {"groupby": OPTIONAL_NAME, **LAYERS},
    "pl.time_against": ONE_COLOR | {"column": NAME, "color": OPTIONAL_NAME},
    "pl.velocity_arrows": ON_CELLS | {"max_arrows": COUNT},
    "pl.velocity_grid": ON_CELLS | {"n_grid": PAIR, "smooth": POSITIVE, "min_density": SHARE},
    "pl.velocity_stream": ON_CELLS | {"density": POSITIVE, "smooth": POSITIVE, "min_density": SHARE},
    "metrics.circular_correlation": {"adata": ADATA, "known": NAME, "time": NAME, "period": POSITIVE},
    "metrics.circular_error": {"adata": ADATA, "known": NAME, "time": NAME, "period": POSITIVE},
    "metrics.cross_boundary_correctness": {"adata": ADATA, "edges": EDGES, "column": NAME, "basis": BASIS},
    "metrics.in_cluster_coherence": {"adata": ADATA, "column": NAME, "genes": NAME},
    "metrics.k_hop_correctness": {"adata": ADATA, "edges": EDGES, "column": NAME, "basis": BASIS, "n_hops": COUNT},
    "metrics.row_entropy": TRANSITIONS,
    "metrics.self_transition": TRANSITIONS,
    "metrics.time_correlation": {
        "adata": ADATA,
        "stages": (({"a": 0, "b": 1.5}, {1: 0}), (["a"], None, {"a": "b"}, {"a": np.nan}, "a")),
        "column": NAME,
        "time": NAME,
    },
    "metrics.time_order": {"adata": ADATA, "edges": EDGES, "column": NAME, "time": NAME},
    "metrics.velocity_confidence": {"adata": ADATA, "genes": NAME},
    **{f"read.{name}": PATH for name in ("alevin_fry", "kb", "loom", "parse", "starsolo", "tidesurf")},
    **{f"read.{name}": PATH | GENE_NAMES | MOD for name in ("auto", "h5mu", "zarr")},
    "read.h5ad": PATH | GENE_NAMES,
    "read.lazy": PATH | GENE_NAMES,
    "read.cellranger_pair": dict.fromkeys(("with_introns", "without_introns"), PATH["path"]),
    **{
        f"write.{name}": {
            "adata": ADATA,
            "path": PATH["path"],
            "layers": (((), ["velocity"], "velocity"), (None, 3, [3], [None], [""])),
            "force": FLAG,
        }
        for name in ("h5ad", "zarr")
    },
    "read.samples": {
        "paths": (
            (["a.h5ad"], ("a.h5ad", Path("b.h5ad")), {"x": "a.h5ad"}, "a.csv", Path("a.tsv")),
            ("a.h5ad", Path("a.h5ad"), None, [], {}, 3, [3], {"x": None}),
        ),
        "lazily": FLAG,
        **GENE_NAMES,
    },
    "simulation.half_lives": {
        "adata": ADATA,
        "hours": POSITIVE,
        "n_genes": COUNT,
        "error": ((0, 0.3), (-0.1, None, "0", np.nan)),
        "rng": RNG,
    },
    "simulation.label_new": {
        "adata": ADATA,
        "labelled": ((0, 2.0, "hours"), (-1, True, None, np.nan, "")),
        "hours": POSITIVE,
        "conversion": ((0, 0.5, 1), (-0.1, 1.1, None, "0", np.nan)),
        "rng": RNG,
    },
    "simulation.simulate": {
        "n_cells": COUNT,
        "n_genes": COUNT,
        "rng": RNG,
        "times": ((sim.UniformTimes(), sim.ClumpedTimes()), (None, sim.UniformTimes, "uniform", sim.GeneMix())),
        "genes": ((sim.GeneMix(),), (None, sim.GeneMix, 3)),
        "rates": ((sim.LogNormalRates(),), (None, sim.LogNormalRates, 3)),
        "noise": ((sim.PoissonCounts(),), (None, sim.PoissonCounts, "poisson", vt.Poisson())),
        "depth": ((sim.LogNormalDepth(),), (None, sim.LogNormalDepth, 0.3)),
        "branches": ((None, sim.Branches()), (sim.Branches, 2, (0.4,))),
        "samples": ((None, sim.Samples()), (sim.Samples, 2, (3, 3))),
        "ambient": ((None, sim.Ambient()), (sim.Ambient, 0.1, True)),
        "cycle": ((None, sim.Cycling()), (sim.Cycling, True, 0.2)),
        "mean_unspliced": POSITIVE,
        "mean_spliced": POSITIVE,
    },
    "report": {
        "adata": ADATA,
        "path": PATH["path"],
        "title": OPTIONAL_NAME,
        "basis": OPTIONAL_NAME,
        "force": FLAG,
    },
    "summary": {"adata": ADATA},
    "report.tables": {"adata": ADATA},
    "report.write_tables": {"adata": ADATA, "folder": PATH["path"], "force": FLAG},
}
FUNCTIONS = {
    f"{room.__name__.split('.')[-1]}.{word}": getattr(room, word)
    for room in (vt.tl, vt.pp, vt.pl, vt.metrics, vt.read, vt.write, vt.simulation)
    for word in room.__all__
    if inspect.isfunction(getattr(room, word))
} | {"report": vt.report, "summary": vt.summary, "report.tables": tables, "report.write_tables": write_tables}


def cases(side):
    return [
        pytest.param(function, argument, value, id=f"{function}-{argument}-{k}")
        for function, rows in TABLE.items()
        for argument, row in rows.items()
        for k, value in enumerate(row[side])
    ]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_argument_has_a_rule_and_a_row(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    assert set(TABLE[name]) == set(parameters)
    assert set(FUNCTIONS[name].rules) == set(parameters)


@pytest.mark.parametrize(("function", "argument", "value"), cases(0))
def test_allowed(function, argument, value):
    kept = FUNCTIONS[function].rules[argument].accept(value)
    if isinstance(value, int | float) and not isinstance(kept, bool):
        assert kept == value


@pytest.mark.parametrize(("function", "argument", "value"), cases(1))
def test_refused_before_any_work(function, argument, value):
    called = FUNCTIONS[function]
    required = {
        name: TABLE[function][name][0][0]
        for name, parameter in inspect.signature(called).parameters.items()
        if parameter.default is parameter.empty
    }
    with pytest.raises(InputError) as caught:
        called(**(required | {argument: value}))
    text = str(caught.value)
    owner = function if function.startswith(("read", "write")) else function.split(".")[-1]
    assert text.startswith(f"{owner}({argument}=")
    assert ": must be " in text


def test_defaults_are_allowed():
    for name, function in FUNCTIONS.items():
        for argument, parameter in inspect.signature(function).parameters.items():
            if parameter.default is not parameter.empty:
                assert function.rules[argument].accept(parameter.default) == parameter.default, name


def test_a_function_that_draws_nothing_names_no_rng():
    with pytest.raises(TypeError) as caught:
        vt.tl.rank_genes(CELLS, random_state=0)
    assert "rng" not in str(caught.value)


def test_seed_is_taken_for_rng_with_a_warning():
    adata = vt.simulation.simulate(200, 8, rng=np.random.default_rng(0))
    with (
        pytest.warns(FutureWarning, match=r"compare_models\(seed=\.\.\.\) is rng= now"),
        pytest.raises(InputError, match="compare_models\\(rng=-1\\)"),
    ):
        vt.tl.compare_models(adata, seed=-1)
    with pytest.warns(FutureWarning), pytest.raises(TypeError, match="unexpected keyword argument 'seed'"):
        vt.tl.compare_models(adata, seed=1, rng=1)


def test_an_argument_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(
        TypeError, match=r"velocity_graph: .* argument 'vkey'; for scVelo's vkey=: a fit has one velocity; its"
    ):
        vt.tl.velocity_graph(CELLS, vkey="velocity")
    with pytest.raises(
        TypeError, match=r"recover_dynamics: .*'random_state'; random_state= is rng= here; its arguments"
    ):
        vt.tl.recover_dynamics(CELLS, random_state=0)
    with pytest.raises(TypeError, match=r"'var_names'; for scVelo's var_names=: all genes .* are fitted"):
        vt.tl.recover_dynamics(CELLS, var_names="all")
    with pytest.raises(TypeError, match=r"'root'; root= is a setting: method=velotime\.SoftEM\(root=\.\.\.\); its"):
        vt.tl.recover_dynamics(CELLS, root="early")
    both = r"max_iterations= is a setting: .*MixtureEM\(max_iterations=\.\.\.\) or method=velotime\.SoftEM\("
    with pytest.raises(TypeError, match=both):
        vt.tl.recover_dynamics(CELLS, max_iterations=3)
    with pytest.raises(TypeError, match=r"'var_names'; var_names= is genes= here; its arguments are adata, genes"):
        vt.pl.heatmap(CELLS, var_names=["a"])


@pytest.mark.parametrize(
    ("room", "name", "instead"),
    [
        ("tl", "velocity", "recover_dynamics"),
        ("tl", "latent_time", "latent_time"),
        ("pp", "filter_and_normalize", "filter_genes"),
        ("pl", "velocity_embedding_stream", "velocity_stream"),
    ],
)
def test_names_of_scvelo_say_what_takes_their_place(room, name, instead):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'. Instead of scVelo's {name}: .*{instead}"):
        getattr(getattr(vt, room), name)
    assert not hasattr(getattr(vt, room), "no_such_name")


def test_names_of_scvelo_on_the_face_of_the_package():
    with pytest.raises(AttributeError, match=r"module 'velotime' has no attribute 'settings'. .*: scanpy.settings"):
        vt.settings  # noqa: B018
    with pytest.raises(AttributeError, match=r"module 'velotime' has no attribute 'no_such_name'$"):
        vt.no_such_name  # noqa: B018


def test_what_takes_their_place_is_there_and_the_names_are_not():
    from velotime._scvelo_names import INSTEAD

    for room, names in INSTEAD.items():
        assert not set(names) & set((getattr(vt, room) if room else vt).__all__)
        for text in names.values():
            for path in re.findall(r"velotime\.((?:\w+\.)+\w+)\(", text):
                where, word = path.split(".")
                assert word in getattr(vt, where).__all__
