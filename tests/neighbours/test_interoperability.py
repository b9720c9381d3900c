"""docs/interoperability.md, piece by piece, where CellRank and scVelo are installed (`make neighbours`)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scanpy as sc

import velotime as vt

cr = pytest.importorskip("cellrank", reason="needs CellRank: make neighbours")
scv = pytest.importorskip("scvelo", reason="needs scVelo: make neighbours")
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.long]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interoperability.md"
PIECES = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE.read_text(), re.S | re.M))
FATES = {"Alpha", "Beta"}
ENDOCRINE = [*FATES, "Delta", "Epsilon"]


@pytest.fixture(scope="module")
def fitted_pancreas(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pancreas")
    shutil.copy(shared_data / "pancreas.h5ad", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run("The fit")["adata"]


@pytest.fixture
def adata(fitted_pancreas):
    return fitted_pancreas.copy()


def run(piece, **given):
    """Run one piece of the page as a reader would; what it defined."""
    names = {"cr": cr, "sc": sc, "scv": scv, "vt": vt, "OURS": "velotime_connectivities", **given}
    assert PIECES[piece].count("\n") <= (7 if piece == "The fit" else 5)
    mpl.use("Agg")
    exec(PIECES[piece], names)
    return names


def test_every_piece_is_run():
    assert set(PIECES) == {
        "The fit",
        "CellRank: VelocityKernel",
        "CellRank: PrecomputedKernel",
        "CellRank: PseudotimeKernel",
        "scVelo: stream",
        "scVelo: scatter",
        "scanpy: PAGA",
        "The other way round: scVelo's velocities, velotime's graph",
    }


@pytest.mark.parametrize("kernel", ["VelocityKernel", "PrecomputedKernel", "PseudotimeKernel"])
def test_cellrank_reaches_the_endocrine_states(adata, kernel):
    estimator = run(f"CellRank: {kernel}", adata=adata)["estimator"]
    assert {str(name).partition("_")[0] for name in estimator.terminal_states.cat.categories} == FATES
    labels = adata.obs["clusters"]
    share = (labels == "Ductal").to_numpy() / (labels == "Ductal").sum()
    for _ in range(300):
        share = estimator.kernel.transition_matrix.T @ share
    assert share[labels.isin(ENDOCRINE)].sum() > 0.9


def test_scvelo_draws_the_stream(adata):
    plt.close("all")
    run("scVelo: stream", adata=adata)
    axes = plt.gcf().axes[0]
    assert len(axes.collections) > 1  # cells and streamlines
    assert axes.patches  # arrow heads


def test_scvelo_draws_a_phase_portrait(adata):
    plt.close("all")
    gene = run("scVelo: scatter", adata=adata)["gene"]
    dots = [np.asarray(dots.get_offsets()) for dots in plt.gcf().axes[0].collections]
    drawn = next(points for points in dots if len(points) == adata.n_obs)
    wanted = np.c_[adata[:, gene].layers["Ms"], adata[:, gene].layers["Mu"]]
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(wanted, axis=0), rtol=1e-5)


def test_paga_reads_the_graph(adata):
    run("scanpy: PAGA", adata=adata)
    at = list(adata.obs["clusters"].cat.categories).index
    confidence = adata.uns["paga"]["transitions_confidence"].toarray()  # to row, from column
    for source, target in (
        ("Ductal", "Ngn3 low EP"),
        ("Ngn3 low EP", "Ngn3 high EP"),
        ("Ngn3 high EP", "Pre-endocrine"),
        ("Pre-endocrine", "Alpha"),
        ("Pre-endocrine", "Beta"),
    ):
        assert confidence[at(target), at(source)] > 0 == confidence[at(source), at(target)], (source, target)


def test_scvelo_velocities_give_its_graph(adata):
    for name in ("velocity_graph", "velocity_graph_neg"):
        adata.uns.pop(name)
    scv.tl.velocity_graph(adata, n_jobs=1, show_progress_bar=False)
    theirs = adata.uns["velocity_graph"].copy()
    run("The other way round: scVelo's velocities, velotime's graph", adata=adata)
    ours = adata.uns["velocity_graph"]
    difference = abs(ours - theirs).tocoo()
    assert np.quantile(difference.data, 0.999) < 1e-5
    for i, j in zip(difference.row[difference.data > 1e-5], difference.col[difference.data > 1e-5], strict=True):
        velocity = adata.layers["velocity"][i].astype(float)
        step = adata.layers["Ms"][j].astype(float) - adata.layers["Ms"][i]
        used = np.isfinite(velocity) & adata.var["velocity_genes"].to_numpy(dtype=bool)
        exact = np.corrcoef(velocity[used], step[used])[0, 1]
        assert ours[i, j] == pytest.approx(max(exact, 0.0), abs=1e-5)  # the error is scVelo's


@pytest.mark.parametrize("part", ["pp", "tl", "pl"])
def test_every_call_of_scvelo_is_in_the_table(part):
    text = (PAGE.parent / "guides" / "from-scvelo.md").read_text()
    section = re.search(rf"^### `scv.{part}`\n(.*?)^###", text, re.S | re.M)[1]
    listed = {word for row in re.findall(r"^\| (`.*?) \|", section, re.M) for word in re.findall(r"`(\w+)`", row)}
    assert listed == set(getattr(scv, part).__all__)
