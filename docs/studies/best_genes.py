"""The figure of docs/studies/background.md: the genes that tell most of time, their bands and their binned means.

    python docs/studies/best_genes.py fitted.h5ad      # a fit of the pancreas by vt.SoftEM

Draws the ten genes of largest gain with their bands, and prints for each of them the share of pieces of the clock
whose mean is within the band or within 1.645 of its own standard errors of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from _page import save

import velotime as vt
from velotime.data import Fitted, read_block
from velotime.inference import error_under
from velotime.pl._curves import WIDTH, gene_curves, piece_means

N_GENES = 10
LAYERS = ("unspliced", "spliced")


def held(fitted: Fitted, gene: int) -> list[tuple[float, float]]:
    """Of each layer the share of pieces within the band, and within band and standard error of the mean."""
    out = []
    for layer, name in enumerate(fitted.layers):
        inside, near, n = 0, 0, 0
        for curve in gene_curves(fitted, gene):
            own = fitted.lineage == curve.lineage
            values = read_block(fitted.adata.layers[name], np.array([gene]))[own]
            at, mean, error = piece_means(fitted.latent_time[own], values, fitted.sizes[layer][own])
            known = np.isfinite(mean[:, 0])
            middle = np.interp(at[known], curve.times, curve.means[layer])
            sd = np.sqrt(np.interp(at[known], curve.times, curve.covariance[:, layer, layer]))
            away = np.abs(mean[known, 0] - middle)
            inside += int((away <= WIDTH * sd).sum())
            own_error = error_under(mean[known], middle[:, None], error[known])[:, 0]
            near += int((away <= WIDTH * np.hypot(sd, own_error)).sum())
            n += int(known.sum())
        out.append((inside / n, near / n))
    return out


def main(path: Path) -> None:
    """Draw the figure and print its table."""
    adata = ad.read_h5ad(path)
    fitted = Fitted.of(adata)
    best = adata.var["fit_gain"].sort_values(ascending=False).index[:N_GENES]
    figure, axes = plt.subplots(4, N_GENES // 2, figsize=(9, 5.4), layout="constrained")
    pairs = zip(axes[::2].ravel(), axes[1::2].ravel(), strict=True)
    for gene, pair in zip(best, pairs, strict=True):
        vt.pl.along_time(adata, gene, ax=pair)
        for ax in pair:
            for legend in [part for part in ax.get_children() if isinstance(part, mpl.legend.Legend)]:
                legend.remove()
        shares = held(fitted, adata.var_names.get_loc(gene))
        checks = adata.var.loc[gene, ["fit_deviance_explained", "fit_check_means", "fit_check_zeros"]].astype(float)
        words = " | ".join(f"{inside:.0%} / {near:.0%}" for inside, near in shares)
        print(f"| {gene} | {checks.iloc[0]:.2f} | {checks.iloc[1]:.1f} | {checks.iloc[2]:.1f} | {words} |")
    save(figure, "best_genes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
