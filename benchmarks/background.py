"""What a learned background does: on simulated cells with ambient counts, and on the pancreas where its file is there.

    python benchmarks/background.py [--seeds 4] [--data FOLDER] [--lineages 1 2] [--tables simulated samples] [--write]

Simulated: 600 cells x 120 genes with the root given, of which half are silent for part of the clock, with no ambient
counts, 5 and 10 % of both layers, and 2 % of unspliced with 10 % of spliced ones. Errors are medians over genes and
seeds: of log rates over the genes that change, of switches over pulses and dips, on the true clock by linear
regression. Three samples of 300 cells each, x 100 genes, of which one has 2 % of unspliced and 20 % of spliced ambient
counts, or none. Pancreas: fitted over counted means of a gene in the last 5 % of its cells, with the background.
"""

from __future__ import annotations

import argparse
import time
import warnings
from itertools import product
from pathlib import Path

import anndata as ad
import numpy as np
from direction import edges
from scipy.stats import spearmanr

import velotime as vt
from velotime import simulation as sim
from velotime.data import Fitted

AMBIENT = {
    "none": None,
    "5 % of both": sim.Ambient(0.05, 0.05),
    "10 % of both": sim.Ambient(0.1, 0.1),
    "2 % and 10 %": sim.Ambient(0.02, 0.1),
    "10 % and 2 %": sim.Ambient(0.1, 0.02),
}
SAMPLED = {"none": (0.0, 0.0), "2 % and 20 %": (0.02, 0.2)}
TERMS = {"without": vt.NoBackground(), "learned": vt.LearnedBackground()}
GENES = ("Ins2", "Iapp", "Gcg", "Pyy", "Ghrl")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "studies" / "background.md"
LAST = 0.05  # share of the cells


def simulated(ambient, term, seed: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Errors of each gene, and numbers of the fit."""
    adata = sim.simulate(600, 120, rng=np.random.default_rng(seed), ambient=ambient)
    root = vt.Root(cell=str(adata.obs_names[int(np.argmin(adata.obs["true_time"]))]))
    method = vt.SoftEM(root=root, background=term, start_cells=300, start_genes=60, n_lineages=1)
    began = time.process_time()
    vt.tl.recover_dynamics(adata, method=method, progress=False, layers=())
    seconds = time.process_time() - began
    slope = np.polyfit(adata.obs["latent_time"], adata.obs["true_time"], 1)
    var = adata.var[(adata.var["fit_status"] == "fitted") & (adata.var["true_class"] != "flat")]
    bent = var[var["true_class"].isin(["pulse", "dip"])]
    errors = {
        "beta": np.abs(np.log(var["fit_beta"] / slope[0] / var["true_beta"])),
        "gamma": np.abs(np.log(var["fit_gamma"] / slope[0] / var["true_gamma"])),
        "t_on": np.abs(np.polyval(slope, bent["fit_t_on"]) - bent["true_t_on"]),
        "t_off": np.abs(np.polyval(slope, bent["fit_t_"]) - bent["true_t_off"]),
    }
    numbers = {
        "time": float(spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic),
        "nats": float(adata.uns["recover_dynamics"]["log_likelihood"]),
        "seconds": seconds,
        **{f"share of {layer}": adata.uns["background"][layer] for layer in ("unspliced", "spliced")},
    }
    return errors, numbers


def sampled(shares: tuple[float, float], seed: int):
    """Cells of three samples, of which the first has so much ambient unspliced and spliced."""
    rng, samples = np.random.default_rng(seed), sim.Samples((2, 1), capture_unspliced=0.3, capture_spliced=0.15)
    adata = sim.simulate(900, 100, rng=rng, samples=samples)
    own = np.asarray(adata.obs["sample"] == "A1")
    for layer, share in zip(("unspliced", "spliced"), shares, strict=True):
        counts = adata.layers[layer].toarray()
        total = counts[own].sum(axis=1, keepdims=True)
        expected = share / (1 - share) * total * counts[own].sum(axis=0) / total.sum()
        counts[own] += rng.poisson(expected).astype(counts.dtype)
        adata.layers[layer] = counts
    return adata


def samples_table(seeds: int) -> list[str]:
    """A row for each amount of ambient counts, without and with the term, printed as it comes."""
    columns = ("time", "nats", "seconds", "u there", "s there", "u elsewhere", "s elsewhere")
    lines = [
        "| ambient counts of one sample | background | " + " | ".join(columns) + " |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for (name, shares), (word, term) in product(SAMPLED.items(), TERMS.items()) if seeds else ():
        runs = []
        for seed in range(seeds):
            adata = sampled(shares, seed)
            root = vt.Root(cell=str(adata.obs_names[int(np.argmin(adata.obs["true_time"]))]))
            method = vt.SoftEM(root=root, background=term, n_lineages=1, samples="sample")
            began = time.process_time()
            vt.tl.recover_dynamics(adata, method=method, progress=False, layers=())
            seconds = time.process_time() - began
            order = float(spearmanr(adata.obs["latent_time"], adata.obs["true_time"]).statistic)
            table = adata.uns["samples"]["table"][["background_unspliced", "background_spliced"]]
            nats = float(adata.uns["recover_dynamics"]["log_likelihood"])
            runs.append([order, nats, seconds, *table.loc["A1"], *table.drop("A1").mean()])
        forms = (".4f", ",.0f", ".1f", ".3f", ".3f", ".3f", ".3f")
        row = [f"{value:{form}}" for value, form in zip(np.mean(runs, axis=0), forms, strict=True)]
        lines.append(f"| {name} | {word} | " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    return lines


def pancreas(path: Path, n_lineages: int, term) -> None:
    adata = ad.read_h5ad(path)
    vt.pp.filter_genes(adata, min_cells=60, min_shared_counts=1)
    began = time.process_time()
    vt.tl.recover_dynamics(
        adata, method=vt.SoftEM(n_lineages=n_lineages, background=term), progress=False, layers=("velocity", "Ms")
    )
    seconds = time.process_time() - began
    fitted, shares = Fitted.of(adata), adata.uns["background"]
    print(
        f"{n_lineages} lineages, {type(term).__name__}: {fitted.record['log_likelihood']:,.0f} nats, shares "
        f"{shares['unspliced']:.4f} {shares['spliced']:.4f}, {seconds:.0f} s of CPU"
    )
    for gene in GENES:
        if adata.var.loc[gene, "fit_status"] == "fitted":
            print(f"  {gene:>6} {last_ratios(adata, fitted, gene)}")
    vt.tl.velocity_graph(adata)
    vt.tl.velocity_embedding(adata, basis="umap")
    scores = vt.metrics.cross_boundary_correctness(adata, edges(adata), column="clusters")
    print(f"  CBDir {np.mean(scores):.3f}", flush=True)


def last_ratios(adata, fitted: Fitted, gene: str) -> str:
    """Fitted over counted means in the last cells of the lineage in which the gene is highest."""
    genes = adata.var_names.get_indexer([gene])
    means, values = fitted.means(genes=genes), fitted.values(genes)
    besides = fitted.background(genes)
    lineage, best = fitted.lineage, (0.0, "")
    for name in fitted.lineage_names:
        own = lineage == name
        if not own.any():
            continue
        last = own & (fitted.latent_time >= np.quantile(fitted.latent_time[own], 1 - LAST))
        ratios, counted = [], 0.0
        for k, (mean, value, size) in enumerate(zip(means, values, fitted.sizes, strict=True)):
            counted = float((value[last, 0] * size[last]).sum() / size[last].sum())
            whole = float((mean[last, 0] * size[last]).sum() / size[last].sum())
            whole += 0.0 if besides is None else float(besides[k, 0])
            ratios.append(whole / max(counted, 1e-9))
        if counted >= best[0]:
            best = counted, f"unspliced {ratios[0]:.2f}, spliced {ratios[1]:.2f} (lineage {name}, {counted:.1f} counts)"
    return best[1]


def simulated_table(seeds: int) -> list[str]:
    """A row for each kind of ambient counts, without and with the term, printed as it comes."""
    columns = ("beta", "gamma", "t_on", "t_off", "time", "nats", "seconds", "share of unspliced", "share of spliced")
    lines = [
        "| ambient counts | background | " + " | ".join(columns) + " |",
        "| --- | --- |" + " ---: |" * len(columns),
    ]
    for (name, ambient), (word, term) in product(AMBIENT.items(), TERMS.items()) if seeds else ():
        runs = [simulated(ambient, term, seed) for seed in range(seeds)]
        row = [f"{np.median(np.concatenate([run[0][key] for run in runs])):.3f}" for key in columns[:4]]
        forms = zip(columns[4:], (".4f", ",.1f", ".1f", ".3f", ".3f"), strict=True)
        row += [f"{np.mean([run[1][key] for run in runs]):{form}}" for key, form in forms]
        lines.append(f"| {name} | {word} | " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    return lines


def fill(name: str, lines: list[str]) -> None:
    """Put lines between the page's markers of this name."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    head, rest = text.split(begin)
    PAGE.write_text(head + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1], encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--lineages", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--write", action="store_true", help="the first table into docs/studies/background.md")
    parser.add_argument("--tables", nargs="*", default=["simulated", "samples"])
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, table in (("simulated", simulated_table), ("samples", samples_table)):
        if name in chosen.tables:
            lines = table(chosen.seeds)
            if chosen.write:
                fill(name, lines)
    path = chosen.data / "pancreas.h5ad"
    for n_lineages in chosen.lineages if path.is_file() else ():
        for term in TERMS.values():
            pancreas(path, n_lineages, term)


if __name__ == "__main__":
    main()
