"""Fits of cells that lie in a zarr store: CPU seconds of each phase, peak memory, bytes read, and how they grow.

    python benchmarks/scale.py [CELLS ...] [--genes 2000] [--max-cells 50000] [--page]

Default: 10,000, 100,000 and 1,000,000 cells. Cells of a simulation are thinned binomially to as many as asked for and
appended to the store block by block, so that making them takes no memory either. Each size is opened by
``vt.read.lazy``, fitted and written by ``vt.write.zarr`` in a process of its own, after one of 2,000 cells, so that all
is imported and compiled. "Passes" are those over all cells after EM on ``max_cells`` of them; "read" is what the
process asked the system for, from the disk or its cache. The last row says as which power of the number of cells each
grows from the last size but one to the last. ``--page`` writes the table into the guide on a million cells.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import zarr
from anndata.io import sparse_dataset, write_elem
from scipy import sparse
from scipy.stats import spearmanr

import velotime as vt
from velotime.inference import Stage
from velotime.tl import _recover_dynamics

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "guides" / "a-million-cells.md"
STAGES = {"starts": "search", "fit": "EM", "all cells": "passes", "intervals and checks": "results"}
PHASES = ("reading", "search", "EM", "passes", "results", "writing")
COLUMNS = ("cells", *PHASES, "all", "peak GB", "read GB", "written GB", "Spearman")
SIMULATED = 10_000  # cells; more are made of these
SHARE = 0.8  # of the counts that a made cell keeps
NAMES = ("unspliced", "spliced")


def make(path: Path, n_cells: int, n_genes: int) -> None:
    rng = np.random.default_rng(0)
    few = min(SIMULATED, n_cells)
    source = vt.simulation.simulate(few, n_genes, rng=rng, mean_unspliced=0.06, mean_spliced=0.12)
    times = np.tile(source.obs["true_time"].to_numpy(), -(-n_cells // few))[:n_cells]
    names = pd.Index([f"cell {i}" for i in range(n_cells)])
    store = zarr.open_group(str(path), mode="w")
    write_elem(store, "/", ad.AnnData(obs=pd.DataFrame({"true_time": times}, index=names), var=source.var[[]]))
    for first in range(0, n_cells, few):
        for name in NAMES:
            put_below(store, name, thinned(source.layers[name], rng)[: n_cells - first])


def put_below(store: zarr.Group, name: str, block: sparse.csr_matrix) -> None:
    """More cells of a layer, which begins with the first."""
    if f"layers/{name}" in store:
        sparse_dataset(store[f"layers/{name}"]).append(block)
    else:
        write_elem(store, f"layers/{name}", block)


def thinned(counts: sparse.csr_matrix, rng: np.random.Generator) -> sparse.csr_matrix:
    """Some of the counts; a cell keeps one of its first gene, so that none is empty."""
    kept = rng.binomial(counts.data.astype(np.int64), SHARE).astype(np.float32)
    kept[counts.indptr[:-1][np.diff(counts.indptr) > 0]] = 1
    out = sparse.csr_matrix((kept, counts.indices, counts.indptr), shape=counts.shape)
    out.eliminate_zeros()
    return out.copy()


class Clock:
    """In place of the progress bar: CPU seconds at which each phase begins."""

    def __init__(self, **_) -> None:
        MARKS.append(("reading", time.process_time()))

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *_) -> None:
        pass

    def __call__(self, progress) -> None:
        """Note when a stage begins."""
        if isinstance(progress, Stage) and progress.name in STAGES:
            MARKS.append((STAGES[progress.name], time.process_time()))


MARKS: list[tuple[str, float]] = []


def bytes_read() -> int:
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text()).group(1))


def measure(path: Path, max_cells: int) -> None:
    small = vt.read.lazy(path)[:2000].to_memory()
    vt.pp.filter_cells(small)
    vt.tl.recover_dynamics(small, layers=(), progress=False)  # all is imported and compiled
    vt.write.zarr(small, path.with_name("small.zarr"))
    _recover_dynamics.ProgressBar = Clock
    began, before = time.process_time(), bytes_read()
    adata = vt.read.lazy(path)
    vt.pp.filter_cells(adata)
    vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1, max_cells=max_cells), layers=(), progress=False)
    read = bytes_read() - before
    MARKS.append(("writing", time.process_time()))
    vt.write.zarr(adata, path.with_name("fitted.zarr"))
    end = time.process_time()
    ends = [at for _, at in MARKS[1:]] + [end]
    seconds = dict.fromkeys(PHASES, 0.0) | {"reading": MARKS[0][1] - began}
    for (name, at), until in zip(MARKS, ends, strict=True):
        seconds[name] += until - at
    written = sum(file.stat().st_size for file in path.with_name("fitted.zarr").rglob("*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rho = spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic
    print(adata.n_obs, *seconds.values(), end - began, peak / 1e9, read / 1e9, written / 1e9, rho)


def row(values: list[float]) -> str:
    cells, *seconds = values[: 2 + len(PHASES)]
    rest = values[2 + len(PHASES) :]
    texts = [f"{int(cells):,}", *(f"{each:.1f}" for each in seconds), *(f"{each:.2f}" for each in rest[:-1])]
    return f"| {' | '.join([*texts, f'{rest[-1]:.4f}'])} |"


def growth(rows: list[list[float]]) -> str:
    """Powers of the number of cells."""
    last, before = np.array(rows[-1]), np.array(rows[-2])
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.log(last[1:-1] / before[1:-1]) / np.log(last[0] / before[0])
    texts = [f"{power:.2f}" if np.isfinite(power) else "" for power in powers]
    return f"| growth | {' | '.join([*texts, ''])} |"


def into_guide(name: str, table: str) -> None:
    """Put a table where the guide on a million cells has it."""
    pattern = rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)"
    text = re.sub(pattern, lambda found: f"{found[1]}\n{table}\n\n{found[2]}", GUIDE.read_text(), flags=re.DOTALL)
    GUIDE.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--max-cells", type=int, default=50_000)
    parser.add_argument("--page", action="store_true", help="write the table into the guide")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        measure(given.measure, given.max_cells)
        return
    warnings.filterwarnings("ignore", message="zarr v3 autosharding")  # of AnnData's, as stores are made
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    print("\n".join(lines), flush=True)
    rows: list[list[float]] = []
    for n_cells in given.cells:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.zarr"
            make(path, n_cells, given.genes)
            call = [sys.executable, "-W", "ignore", __file__, "--measure", str(path)]
            call += ["--max-cells", str(given.max_cells)]
            line = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        rows.append([float(each) for each in line])
        lines.append(row(rows[-1]))
        print(lines[-1], flush=True)
    if len(rows) > 1:
        lines.append(growth(rows))
        print(lines[-1])
    if given.page:
        into_guide("scale", "\n".join(lines))


if __name__ == "__main__":
    main()
