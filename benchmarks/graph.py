"""The velocity graph: scaling, neighbours of many cells, and speed and agreement compared with scVelo.

    python benchmarks/graph.py [CELLS ...] [--genes 2000] [--recall 100000] [--scvelo] [--page]

Part one (default: 30,000, 100,000, 300,000 and 1,000,000 cells): ``vt.tl.velocity_graph``, ``velocity_embedding``,
``vt.pl.velocity_stream`` and ``vt.report`` of cells in a zarr store, opened by ``vt.read.lazy``, each size in a process
of its own after a small one, so that all is imported and compiled: CPU seconds, and the most memory that the process
takes while each runs. 3,000 simulated cells are fitted; their counts are thinned to as many cells as asked for,
which have the posterior of the cell that they are made of, and are put in random order. The 30 neighbours of each are
given: the nearest by true time and two random coordinates. The last row says as which power of the number of cells each
grows from the last size but one to the last.

Part two (``--recall``): neighbours found on 30 principal components by nearest neighbour descent, as velotime does
beyond 50,000 cells: CPU seconds, and which share of the 30 nearest of 2,000 random cells is among them, by all pairs.

Part three (``--scvelo``, needs `make peers`): 3,000 simulated cells, velocities by scVelo in two modes. Its graph and
ours of the same ``Ms``, velocities, neighbours and transforms: seconds (median of three, one job or thread each), and
the largest difference.

``--page`` writes the tables of parts one and two into the guide on a million cells.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

N_GENES = 1000
PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
REPEATS = 3
FITTED = 3000  # cells that are simulated and fitted; more are made of these
N_NEIGHBORS = 30
STEPS = ("graph", "arrows", "picture", "report")
ASKED = 2000  # cells whose neighbours are compared with the exact ones


def make(path: Path, n_cells: int, n_genes: int) -> None:
    """A store of so many fitted cells with neighbours and places on a plane."""
    import anndata as ad
    import pandas as pd
    import scale
    import zarr
    from anndata.io import write_elem
    from scipy import sparse

    import velotime as vt

    rng = np.random.default_rng(0)
    few = vt.simulation.simulate(FITTED, n_genes, rng=rng, mean_unspliced=0.06, mean_spliced=0.12)
    vt.tl.recover_dynamics(few, method=vt.SoftEM(n_lineages=1), layers=(), progress=False)
    of = rng.permutation(np.resize(np.arange(FITTED), n_cells))
    obs = few.obs.iloc[of].set_index(pd.Index([f"cell {k}" for k in range(n_cells)]))
    obs["stage"] = pd.cut(obs["true_time"], [-1, 0.3, 0.7, 2], labels=["early", "middle", "late"])
    adata = ad.AnnData(obs=obs, var=few.var, varm=dict(few.varm), uns=dict(few.uns))
    adata.uns["recover_dynamics"]["n_cells"] = n_cells
    time, side = obs["true_time"].to_numpy(), rng.normal(size=(n_cells, 2))
    adata.obsm["time_posterior"] = sparse.csr_matrix(few.obsm["time_posterior"])[of]
    adata.obsm["lineage_posterior"] = np.asarray(few.obsm["lineage_posterior"])[of]
    adata.obsm["X_umap"] = np.c_[10 * time, np.sin(5 * time) + 0.2 * side[:, 0]].astype(np.float32)
    adata.obsp["distances"] = distances = nearest(np.c_[10 * time, side])
    near = distances.copy()
    near.data[:] = 1.0
    adata.obsp["connectivities"] = near.maximum(near.T)
    store = zarr.open_group(str(path), mode="w")
    write_elem(store, "/", adata)
    for first in range(0, n_cells, 50_000):
        for name in scale.NAMES:
            scale.put_below(store, name, scale.thinned(few.layers[name][of[first : first + 50_000]], rng))


def nearest(points: np.ndarray):
    """Distances to the nearest others, nearest first, CSR."""
    from scipy import sparse
    from scipy.spatial import cKDTree

    distance, index = cKDTree(points).query(points, N_NEIGHBORS)
    n = len(points)
    indptr = np.arange(0, n * (N_NEIGHBORS - 1) + 1, N_NEIGHBORS - 1)
    return sparse.csr_matrix((distance[:, 1:].astype("f4").ravel(), index[:, 1:].astype("i4").ravel(), indptr), (n, n))


class Meter:
    """CPU seconds and the most memory of a step."""

    def __enter__(self) -> Meter:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from now on
        self.began = time.process_time()
        return self

    def __exit__(self, *_) -> None:
        self.seconds = time.process_time() - self.began
        self.peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) / 1e6


def measure(path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import velotime as vt
    from velotime.data import gene_space

    def draw(adata):
        vt.pl.velocity_stream(adata, save=path.with_name("stream.png"), show=False)

    def write(adata):
        vt.report(adata, path.with_name("page.html"), force=True)

    steps = (vt.tl.velocity_graph, vt.tl.velocity_embedding, draw, write)
    small, most = vt.read.lazy(path)[:2000].to_memory(), gene_space.MOST_DENSE
    gene_space.MOST_DENSE = 2**17  # in blocks
    for step in steps:
        step(small)  # compiles
    gene_space.MOST_DENSE = most
    adata = vt.read.lazy(path)
    numbers = [adata.n_obs]
    for step in steps:
        with Meter() as meter:
            step(adata)
        numbers += [meter.seconds, meter.peak]
    print(*numbers, path.with_name("page.html").stat().st_size / 1e6)


def scale_table(sizes: list[int], n_genes: int) -> str:
    columns = ["cells", *(f"{step}: s | GB" for step in STEPS), "page MB"]
    lines = [f"| {' | '.join(columns)} |", "|---" * (2 * len(STEPS) + 2) + "|"]
    print("\n".join(lines), flush=True)
    rows: list[np.ndarray] = []
    for n_cells in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.zarr"
            call = [sys.executable, "-W", "ignore", __file__, "--path", str(path), "--genes", str(n_genes)]
            subprocess.run([*call, "--make", str(n_cells)], check=True)
            out = subprocess.run([*call, "--measure"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        rows.append(np.array(out, dtype=float))
        texts = [f"{value:.1f}" if k % 2 == 0 else f"{value:.2f}" for k, value in enumerate(rows[-1][1:-1])]
        lines.append(f"| {n_cells:,} | {' | '.join(texts)} | {rows[-1][-1]:.1f} |")
        print(lines[-1], flush=True)
    if len(rows) > 1:
        before, last = rows[-2:]
        power = np.log(last[1:] / before[1:]) / np.log(last[0] / before[0])
        lines.append(f"| growth | {' | '.join(f'{value:.2f}' for value in power)} |")
        print(lines[-1])
    return "\n".join(lines)


def recall_table(sizes: list[int]) -> str:
    from sklearn.neighbors import NearestNeighbors

    import velotime as vt
    from velotime.data.neighbors.components import log_components
    from velotime.data.neighbors.search import nearly_nearest_cells

    lines = ["| cells | s | recall | of the worst tenth of the cells |", "|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    rng = np.random.default_rng(0)
    nearly_nearest_cells(rng.normal(size=(5000, 30)).astype(np.float32), 29, 0)  # compiles
    for n_cells in sizes:
        adata = vt.simulation.simulate(n_cells, 300, rng=rng, mean_unspliced=0.3, mean_spliced=0.8)
        points = log_components(adata, "spliced", 30, 0)
        began = time.process_time()
        found = nearly_nearest_cells(points, N_NEIGHBORS - 1, 0)
        seconds = time.process_time() - began
        asked = rng.choice(n_cells, ASKED, replace=False)
        exact = NearestNeighbors(n_neighbors=N_NEIGHBORS, algorithm="brute").fit(points)
        wanted = exact.kneighbors(points[asked], return_distance=False)
        wanted = [row[row != cell][: N_NEIGHBORS - 1] for cell, row in zip(asked, wanted, strict=True)]
        share = np.array([np.isin(row, found[cell].indices).mean() for cell, row in zip(asked, wanted, strict=True)])
        lines.append(f"| {n_cells:,} | {seconds:.0f} | {share.mean():.3f} | {np.quantile(share, 0.1):.3f} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def scvelo_side(path: str) -> None:
    """In scVelo's environment: fit, then time its graph; both are left in the file."""
    import anndata as ad
    import scvelo as scv
    from peer_scvelo import prepare

    scv.settings.verbosity = 0
    adata = ad.read_h5ad(path)
    prepare(adata)
    seconds = []
    for mode in ("deterministic", "stochastic"):
        scv.tl.velocity(adata, mode=mode, vkey=mode)
        for _ in range(REPEATS):
            began = time.perf_counter()
            scv.tl.velocity_graph(adata, vkey=mode, n_jobs=1, show_progress_bar=False)
            seconds.append(time.perf_counter() - began)
    adata.uns["seconds"] = np.array(seconds).reshape(2, REPEATS)
    adata.write_h5ad(path)


def beside_scvelo() -> None:
    import numba

    import velotime as vt

    numba.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        adata = vt.simulation.simulate(3000, N_GENES, rng=np.random.default_rng(0))
        del adata.layers["true_velocity"]
        adata.write_h5ad(path)
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [PEERS, "-W", "ignore", __file__, "--scvelo", str(path)], check=True, env=os.environ | one, text=True
        )
        theirs = vt.read.h5ad(path)
    print(f"\n{'mode':>13} {'genes':>6} {'edges':>9} {'scVelo s':>9} {'ours s':>7} {'ratio':>6} {'difference':>11}")
    for mode, seconds in zip(("deterministic", "stochastic"), theirs.uns["seconds"], strict=True):
        adata = theirs.copy()
        adata.layers["velocity"] = adata.layers[mode]
        adata.var["velocity_genes"] = adata.var[f"{mode}_genes"]
        settings = {"state": "Ms", "square_root": mode == "stochastic"}
        vt.tl.velocity_graph(adata, **settings)  # compiles
        ours = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            vt.tl.velocity_graph(adata, **settings)
            ours.append(time.perf_counter() - began)
        away = max(
            abs(adata.uns[f"velocity_{name}"] - theirs.uns[f"{mode}_{name}"]).max() for name in ("graph", "graph_neg")
        )
        edges = adata.uns["velocity_graph"].nnz + adata.uns["velocity_graph_neg"].nnz
        print(
            f"{mode:>13} {int(adata.var['velocity_genes'].sum()):>6} {edges:>9} {np.median(seconds):>9.2f} "
            f"{np.median(ours):>7.2f} {np.median(seconds) / np.median(ours):>6.1f} {away:>11.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", type=int, nargs="*", default=[30_000, 100_000, 300_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--recall", type=int, nargs="*", help="compare neighbours with the exact ones")
    parser.add_argument("--scvelo", nargs="?", const="", help="compare with scVelo")
    parser.add_argument("--page", action="store_true", help="write the tables into the guide")
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.make:
        make(given.path, given.make, given.genes)
    elif given.measure:
        measure(given.path)
    elif given.scvelo:
        scvelo_side(given.scvelo)
    elif given.scvelo is not None:
        beside_scvelo()
    else:
        name, table = (
            ("graph", scale_table(given.cells, given.genes))
            if given.recall is None
            else ("recall", recall_table(given.recall or [40_000, 100_000, 300_000]))
        )
        if given.page:
            import scale

            scale.into_guide(name, table)


if __name__ == "__main__":
    main()
