"""What roots, ends, markers and time labels do: where the direction is unclear, and against clear counts.

    python benchmarks/knowledge.py [--data FOLDER] [--seeds 3]

Simulated: 200 cells x 20 genes with hardly an unspliced count, so that axis and order are plain and the direction is
not. Pancreas: the right end as root, the wrong one, and the wrong one against time labels made from the stages.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from pancreas import stages
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim

ROOT = vt.Root("stage", "start")


def timeless(seed: int):
    """Cells with stages, noisy days, and the names of genes that rise and fall."""
    mix = sim.GeneMix(induction=0.5, repression=0.5, pulse=0, dip=0, flat=0)
    rng = np.random.default_rng(seed)
    adata = sim.simulate(200, 20, rng=rng, genes=mix, mean_unspliced=0.05, mean_spliced=3.0)
    time = adata.obs["true_time"].to_numpy()
    adata.obs["stage"] = np.where(time < 0.25, "start", np.where(time > 0.75, "end", "middle"))
    adata.obs["day"] = np.digitize(time + rng.normal(0, 0.12, 200), [0.33, 0.67]).astype(float)
    adata.obs["reversed"] = 2.0 - adata.obs["day"]
    names = [list(adata.var_names[adata.var["true_class"] == kind][:2]) for kind in ("repression", "induction")]
    return adata, vt.Markers(early=names[0], late=names[1])


def simulated(seeds: int) -> None:
    for seed in range(seeds):
        adata, markers = timeless(seed)
        pieces = {
            "nothing": {},
            "root": {"root": ROOT},
            "ends": {"knowledge": vt.Ends("stage", "end")},
            "markers": {"knowledge": markers},
            "labels": {"knowledge": vt.TimeLabels("day")},
            "root, ends, reversed labels": {
                "root": ROOT,
                "knowledge": (vt.Ends("stage", "end"), vt.TimeLabels("reversed")),
            },
        }
        for name, settings in pieces.items():
            fit(f"simulated {seed}: {name}", adata, adata.obs["true_time"], vt.SoftEM(noise=vt.Poisson(), **settings))


def pancreas(path: Path) -> None:
    adata = vt.data.read_file(path)
    vt.pp.filter_genes(adata, n_top_genes=600, keep=["Sox9", "Pyy"])
    stage = stages(adata)
    adata.obs["day"] = stage.astype(float)
    wrong = vt.Root("clusters", "Beta")
    for name, settings in {
        "nothing": {},
        "right root": {"root": vt.Root("clusters", "Ductal")},
        "wrong root": {"root": wrong},
        "wrong root, right labels": {"root": wrong, "knowledge": vt.TimeLabels("day")},
        "markers Sox9, Pyy": {"knowledge": vt.Markers(early="Sox9", late="Pyy")},
    }.items():
        fit(f"pancreas: {name}", adata, stage, vt.SoftEM(start_cells=1000, **settings))


def fit(name: str, adata, truth, method: vt.SoftEM) -> None:
    adata = adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=method, progress=False)
    arrow = adata.uns["time_arrow"]
    rho = spearmanr(adata.obs["latent_time"], truth).statistic
    verdict = "contested" if arrow["contested"] else arrow["verdict"]
    print(
        f"{name:<42} Spearman {rho:+.3f}; margin {arrow['log_likelihood_margin']:8,.0f} nats, of them known "
        f"{arrow['knowledge_margin']:+8,.0f}; {verdict}",
        flush=True,
    )
    for piece in adata.uns["knowledge"]["table"].itertuples():
        state = "in conflict" if piece.in_conflict else "agrees"
        print(f"    {piece.piece:<50} {piece.nats:+8,.0f} nats, Spearman {piece.correlation:+.2f}: {state}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    simulated(given.seeds)
    if (given.data / "pancreas.h5ad").exists():
        pancreas(given.data / "pancreas.h5ad")
