"""Reading: every bad input has a clear error, and nothing is changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import velotime as vt
from velotime import InputError
from velotime.data import find_layers, read_labels, read_moments, read_observations
from velotime.inference import Reads
from velotime.pl._canvas.axes import find_gene


def fingerprint(adata):
    return (
        sorted(name for name in adata.layers if name is not None),
        sorted(adata.obs),
        sorted(adata.var),
        sorted(adata.uns),
        {name: (type(layer), layer.sum(dtype=float)) for name, layer in adata.layers.items()},
    )


def with_layer(adata, name, change):
    layer = adata.layers[name].toarray().astype(float)
    change(layer)
    adata.layers[name] = sparse.csr_matrix(layer)
    return adata


def put(value):
    def change(layer):
        layer[3, 4] = value

    return change


def misname(adata):
    adata.layers["other"] = adata.layers.pop("unspliced")


BAD = {
    "misnamed layer": (
        misname,
        r"no unspliced layer.*available: \['spliced', 'true_velocity', 'other'\].*unspliced='...'",
    ),
    "negative": (lambda a: with_layer(a, "spliced", put(-1.0)), "negative values"),
    "nan": (lambda a: with_layer(a, "spliced", put(np.nan)), "NaN or infinite"),
    "infinite": (lambda a: with_layer(a, "unspliced", put(np.inf)), "NaN or infinite"),
    "not whole": (lambda a: with_layer(a, "unspliced", put(0.5)), r"not whole numbers.*Gaussian"),
    "empty cell": (
        lambda a: [with_layer(a, n, lambda x: x.__setitem__(7, 0)) for n in ("unspliced", "spliced")],
        r"1 cells have no counts.*cell_7.*velotime\.pp\.filter_cells\(adata\)",
    ),
    "duplicate cells": (lambda a: setattr(a, "obs_names", ["x"] * a.n_obs), "obs_names are not unique.*make_unique"),
    "duplicate genes": (lambda a: setattr(a, "var_names", ["x"] * a.n_vars), "var_names are not unique.*make_unique"),
    "no gene": (
        lambda a: with_layer(a, "spliced", lambda x: x.fill(0)),
        "no gene can be fitted: 60 genes with no spliced",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_left_alone(small, case):
    spoil, message = BAD[case]
    spoil(small)
    before = fingerprint(small)
    with pytest.raises(InputError, match=f"(?s){message}"):
        vt.tl.recover_dynamics(small, progress=False)
    after = fingerprint(small)
    assert str(before) == str(after)  # as text, since NaN differs from itself


def test_too_few_cells(small):
    with pytest.raises(InputError, match="only 19 cells"):
        read_observations(small[:19].copy())


def test_a_layer_that_was_named_but_is_not_there(small):
    with pytest.raises(InputError, match=r"layer 'counts' not found.*available.*Pass spliced="):
        read_observations(small, spliced="counts")


def test_shapes_must_be_the_same(small):
    from velotime.data.reading import read_layer

    class Misshapen:
        shape = small.shape
        layers = {"spliced": np.zeros((3, 3))}  # noqa: RUF012

    with pytest.raises(InputError, match=r"is \(3, 3\), but adata is \(250, 60\)"):
        read_layer(Misshapen(), "spliced", counts=True)


def test_names_of_the_common_quantifiers_are_found(small):
    assert find_layers(small) == ("unspliced", "spliced")
    small.layers["nascent"], small.layers["mature"] = small.layers.pop("unspliced"), small.layers.pop("spliced")
    small.layers["ambiguous"] = small.layers["mature"].copy()
    assert find_layers(small) == ("nascent", "mature")
    assert find_layers(small, spliced="ambiguous") == ("nascent", "ambiguous")


@pytest.mark.parametrize(
    "convert",
    [
        sparse.csc_matrix,
        sparse.csr_array,
        lambda m: m.toarray(),
        lambda m: m.astype(np.int64),
        lambda m: m.astype(np.float64),
    ],
    ids=["csc", "csr_array", "dense", "int", "float64"],
)
def test_every_container_reads_the_same(small, convert):
    expected = read_observations(small).observations
    for name in ("unspliced", "spliced"):
        small.layers[name] = convert(small.layers[name])
    found = read_observations(small).observations
    assert found.spliced.dtype == np.float32
    assert (found.spliced != expected.spliced).nnz == 0
    assert (found.unspliced != expected.unspliced).nnz == 0
    np.testing.assert_allclose(found.size_spliced, expected.size_spliced)


def test_a_view_reads_like_its_copy(small):
    view = small[10:200, 5:50]
    assert view.is_view
    one, other = read_observations(view).observations, read_observations(view.copy()).observations
    assert (one.spliced != other.spliced).nnz == 0
    assert view.is_view


def test_genes_that_cannot_be_fitted_are_left_out_with_a_reason(small):
    layer = small.layers["spliced"].toarray()
    layer[:, 2] = 0
    layer[:, 3] = 4
    small.layers["spliced"] = sparse.csr_matrix(layer)
    reading = read_observations(small)
    assert reading.fit_status[2] == "no spliced counts"
    assert reading.fit_status[3] == "constant spliced"
    assert 2 not in reading.genes
    assert len(reading.genes) == 58
    assert reading.observations.n_genes == 58


def test_size_factors_come_from_before_filtering_where_they_are_known(small):
    small.obs["initial_size_spliced"] = np.arange(1.0, small.n_obs + 1)
    size = read_observations(small).observations.size_spliced
    assert size.argmax() == small.n_obs - 1
    small.obs["initial_size_spliced"] = -1.0
    with pytest.raises(InputError, match="initial_size_spliced"):
        read_observations(small)


def test_labels_must_exist_and_some_cell_must_have_one(small):
    with pytest.raises(InputError, match=r"column 'stage' not found.*available"):
        read_labels(small, ["stage"])
    small.obs["stage"] = [None] * 250
    with pytest.raises(InputError, match="all its values are missing"):
        read_labels(small, ["stage"])


def test_one_layer_named_twice_is_refused_and_a_copy_is_a_doubt(small):
    with pytest.raises(InputError, match=r"layer 'spliced' is given for both"):
        read_observations(small, unspliced="spliced")
    assert read_observations(small).doubts == ()
    spliced = small.layers["spliced"]
    for copy in (spliced, sparse.csc_matrix(spliced), spliced.toarray(), spliced.astype(np.int64)):
        small.layers["unspliced"] = copy
        assert "hold the same values" in read_observations(small).doubts[0]
    small.layers["unspliced"] = spliced * 2
    assert read_observations(small).doubts == ()


def test_a_copy_of_moments_is_a_doubt_too(small):
    small.layers["Ms"] = small.layers["spliced"].toarray() + 0.5
    small.layers["Mu"] = small.layers["Ms"].copy()
    assert "hold the same values" in read_moments(small).doubts[0]


@pytest.mark.parametrize(("share", "told"), [(0.019, True), (0.021, False)])
def test_an_assay_without_introns_is_told_with_its_share(small, share, told):
    spliced = np.full(small.shape, 1000.0)
    spliced[::2] += 1
    unspliced = np.full(small.shape, 0.0)
    unspliced[::3] = 1
    unspliced *= np.round(share / (1 - share) * spliced.sum() / unspliced.sum())
    small.layers["spliced"], small.layers["unspliced"] = spliced, unspliced
    doubts = read_observations(small).doubts
    assert len(doubts) == told
    if told:
        assert f"{unspliced.sum() / (unspliced.sum() + spliced.sum()):.2%} of the counts are unspliced" in doubts[0]
        with pytest.warns(vt.InputWarning, match="sees hardly any introns"):
            vt.pp.filter_genes(small, min_cells=1)
        with pytest.warns(vt.InputWarning, match="sees hardly any introns"), pytest.raises(RuntimeError, match="begun"):
            vt.tl.recover_dynamics(small, method=Begun(), progress=False)


class Begun:
    """A method that ends where a fit would begin."""

    reads = Reads.COUNTS

    def fit(self, observations, *, rng, watch):
        raise RuntimeError("begun")


def test_genes_x_cells_are_told(small):
    small.obs_names = ["AAACCTGAGAAACCAT"[: 16 - len(str(k))] + "ACGT"[k % 4] + f"-{k}" for k in range(small.n_obs)]
    read_observations(small)
    with pytest.raises(InputError, match=r"genes x cells: its var_names are barcodes.*adata\.T\.copy\(\)"):
        read_observations(small.T.copy())


def test_genes_whose_names_are_in_a_column_are_told_where(small):
    """As R writes them: genes numbered, their names beside."""
    small.var["features"] = [f"Gene{k}" for k in range(small.n_vars)]
    small.var_names = [str(k) for k in range(small.n_vars)]
    for ask in (
        lambda: read_labels(small, (), ["Gene3"]),
        lambda: vt.pp.filter_genes(small, keep=["Gene3"]),
        lambda: find_gene(small, "Gene3"),
    ):
        with pytest.raises(InputError, match=r"adata\.var\['features'\] has such a name.*gene_names='features'"):
            ask()
    with pytest.raises(InputError) as caught:
        find_gene(small, "Gene999")
    assert "has such a name" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["a", None, "b", np.nan], ["a", "", "b", ""]),
        ([3, 1, 2, 10], ["3", "1", "2", "10"]),
        ([3.0, np.nan, 2.5, 10.0], ["3", "", "2.5", "10"]),
        (pd.Categorical([3, 1, None, 3]), ["3", "1", "", "3"]),
        (pd.Categorical(["3", "1", None, "3"]), ["3", "1", "", "3"]),
        (pd.array([3, None, 1, 3], dtype="Int64"), ["3", "", "1", "3"]),
        ([True, False, True, True], ["True", "False", "True", "True"]),
    ],
)
def test_labels_as_text(small, values, texts):
    """However they are stored, and with gaps: a column that gets one missing value turns whole numbers to 3.0."""
    some = small[:4].copy()
    some.obs["leiden"] = values
    labels = read_labels(some, ["leiden"])
    assert labels.texts("leiden").tolist() == texts
    names, code = labels.codes("leiden")
    assert [("" if k < 0 else names[k]) for k in code] == texts
