"""TwoStageEM and SoftEM against scVelo on scVelo's own simulation, on the same files.

    python benchmarks/against_scvelo.py [--peer-python .venv-peers/bin/python] [--seeds 20] [--cells 300] [--genes 30]

scVelo runs in an environment of its own (`make peers`), on its own moments. Its generator is re-described here: cells
at Poisson events over 25 units of time, every gene switched on at 0 and off at a time drawn uniformly between a tenth
of that and the end, normal noise with sd a tenth of the 99th percentile, clipped at 0; alpha 5, beta 0.5, gamma 0.3 in
all genes, or these as the medians of log-normal rates (sd 0.5). Time: Spearman correlation with the truth. gamma/beta:
median |log2 error|, with beta as it acts on unspliced as measured.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
from scipy.stats import spearmanr

import velotime as vt
from velotime.kinetics import spliced, unspliced

PEER = """
import sys, warnings
warnings.simplefilter("ignore")
import anndata as ad, scanpy as sc, scvelo as scv
scv.settings.verbosity = 0
adata = ad.read_h5ad(sys.argv[1])
sc.pp.pca(adata, n_comps=min(30, adata.n_vars - 1))
sc.pp.neighbors(adata, n_neighbors=30)
scv.pp.moments(adata, n_neighbors=None)
import time
began = time.perf_counter()
scv.tl.recover_dynamics(adata, var_names="all", n_jobs=1, show_progress_bar=False)
adata.uns["seconds"] = time.perf_counter() - began
scv.tl.velocity(adata, mode="dynamical", min_likelihood=0)
scv.tl.velocity_graph(adata, n_jobs=1, show_progress_bar=False)
scv.tl.latent_time(adata)
del adata.uns["recover_dynamics"]
adata.write_h5ad(sys.argv[2])
"""

EXACT = vt.TwoStageEM(clock=vt.GeneClock(last=vt.ExactTimes()))
MOMENTS, VALUES = ("Mu", "Ms"), ("unspliced", "spliced")
PEER_NAME = "scVelo"
METHODS = {
    "gene": (vt.TwoStageEM(), MOMENTS),
    "gene*": (vt.TwoStageEM(), VALUES),
    "exact": (EXACT, MOMENTS),
    "exact*": (EXACT, VALUES),
    "shared": (vt.TwoStageEM(clock="shared"), MOMENTS),
    "shared*": (vt.TwoStageEM(clock="shared"), VALUES),
    "soft*": (vt.SoftEM(noise=vt.Gaussian()), VALUES),
}
NAMES = [PEER_NAME, *METHODS]
LEGEND = """gene, exact: TwoStageEM with genes' own clocks, curves by a posterior of times or by exact ones.
shared: TwoStageEM with one clock for all genes. soft: SoftEM with Gaussian noise.
*: on the values, not on their moments. All but scVelo are velotime's."""


def simulate(n_cells: int, n_genes: int, sd: float, rng: np.random.Generator) -> ad.AnnData:
    t = np.cumsum(rng.exponential(1.0, n_cells))
    t = (25 * (t - t[0]) / (t[-1] - t[0]))[:, None]
    alpha, beta, gamma = (m * np.exp(sd * rng.normal(size=n_genes)) for m in (5.0, 0.5, 0.3))
    t_off = 25 * rng.uniform(0.1, 1.0, n_genes)
    on, off = np.minimum(t, t_off), np.maximum(t - t_off, 0.0)
    u, s = unspliced(on, 0.0, alpha, beta), spliced(on, 0.0, 0.0, alpha, beta, gamma)
    u, s = unspliced(off, u, 0.0, beta), spliced(off, u, s, 0.0, beta, gamma)
    u, s = (np.maximum(x + rng.normal(size=x.shape) * np.percentile(x, 99, axis=0) / 10, 0) for x in (u, s))
    adata = ad.AnnData(
        s.astype(np.float32), layers={"unspliced": u.astype(np.float32), "spliced": s.astype(np.float32)}
    )
    adata.obs["true_t"], adata.var["true_ratio"] = t[:, 0], gamma / beta
    return adata


Score = tuple[float, float, float]  # Spearman of time, error of gamma/beta, seconds


def score(adata: ad.AnnData, ratio: np.ndarray, seconds: float) -> Score:
    rho = spearmanr(adata.obs["latent_time"], adata.obs["true_t"]).statistic
    return rho, float(np.nanmedian(np.abs(np.log2(ratio / adata.var["true_ratio"])))), seconds


def ours(adata: ad.AnnData, method, layers: tuple[str, str]) -> Score:
    adata = adata.copy()
    began = time.perf_counter()
    vt.tl.recover_dynamics(adata, method=method, unspliced=layers[0], spliced=layers[1], progress=False)
    seconds = time.perf_counter() - began
    ratio = adata.var["fit_gamma"] / adata.var["fit_beta"]
    if "fit_steady_u" not in adata.var:  # not scVelo's slots: beta is that of the curve, capture apart
        ratio = ratio * adata.var["fit_scaling"]
    return score(adata, ratio, seconds)


def one(sd: float, seed: int, arguments: argparse.Namespace, folder: Path) -> dict[str, Score]:
    simulate(arguments.cells, arguments.genes, sd, np.random.default_rng(seed)).write_h5ad(folder / "in.h5ad")
    subprocess.run([arguments.peer_python, "-c", PEER, folder / "in.h5ad", folder / "out.h5ad"], check=True)
    peer = ad.read_h5ad(folder / "out.h5ad")
    ratio = peer.var["fit_gamma"] / peer.var["fit_beta"]
    found = {PEER_NAME: score(peer, ratio, float(peer.uns["seconds"]))}
    adata = ad.AnnData(peer.X, obs=peer.obs[["true_t"]], var=peer.var[["true_ratio"]])
    adata.obsp["connectivities"] = peer.obsp["connectivities"]  # its moments are means over these
    adata.layers.update({name: peer.layers[name] for name in ("unspliced", "spliced", "Mu", "Ms")})
    return found | {name: ours(adata, *settings) for name, settings in METHODS.items()}


def show(kind: str, seed: object, time_of: list[str], error_of: list[str]) -> None:
    print(f"{kind:<10} {seed:>4} ", *(f"{x:>8}" for x in time_of), "  ", *(f"{x:>8}" for x in error_of), flush=True)


def show_file(kind: str, seed: object, scores: list[Score]) -> None:
    show(kind, seed, [f"{x[0]:.4f}" for x in scores], [f"{x[1]:.4f}" for x in scores])


def summarise(files: dict[tuple[str, int], dict[str, Score]]) -> None:
    """Means over files, how sure the differences to scVelo are, how often each is nearer to the truth, and seconds."""
    for kind in dict.fromkeys(kind for kind, _ in files):
        scores = np.array([[found[name] for name in NAMES] for (other, _), found in files.items() if other == kind])
        show_file(kind, "mean", list(map(tuple, scores.mean(axis=0))))
        time_of, error_of = np.moveaxis(scores[:, 1:, :2] - scores[:, :1, :2], 2, 0)
        both, n = (time_of, error_of), len(scores)
        show("difference", "", *(["", *(f"{x:+.3f}" for x in less.mean(axis=0))] for less in both))
        show("its SE", "", *(["", *(f"{x:.3f}" for x in less.std(axis=0, ddof=1) / np.sqrt(n))] for less in both))
        show("nearer", "", *([f"of {n}", *map(str, wins.sum(axis=0))] for wins in (time_of > 0, error_of < 0)))
    seconds = np.array([[found[name][2] for name in NAMES] for found in files.values()])
    show("seconds", "", [f"{x:.2f}" for x in np.median(seconds, axis=0)], [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=".venv-peers/bin/python")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--genes", type=int, default=30)
    arguments = parser.parse_args()
    print(LEGEND)
    show("", "", ["time"] + [""] * (len(NAMES) - 1), ["gamma/beta"])
    show("rates", "seed", NAMES, NAMES)
    files: dict[tuple[str, int], dict[str, Score]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, sd in (("equal", 0.0), ("log-normal", 0.5)):
            for seed in range(arguments.seeds):
                files[kind, seed] = one(sd, seed, arguments, Path(folder))
                show_file(kind, seed, [files[kind, seed][name] for name in NAMES])
    summarise(files)


if __name__ == "__main__":
    main()
