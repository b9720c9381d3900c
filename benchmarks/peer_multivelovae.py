"""Several samples by MultiVeloVAE, RNA only: run by an interpreter that has it.

    python benchmarks/samples.py --write-captures cells.h5ad          # with velotime
    python benchmarks/peer_multivelovae.py cells.h5ad [--epochs N]    # with multivelovae

Prints the Spearman correlation of its times with true ones, of all cells and in the median sample; CPU seconds of
moments and training; and the median error of log degradation rates, as `benchmarks/samples.py` takes it. Its test of
conditions, ``differential_dynamics``, reads chromatin (``adata_atac.layers["Mc"]``), and cannot be asked. Moments of
neighbours as its notebooks make them, ``batch_key="sample"``, everything else as it comes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings

import anndata as ad
import multivelovae as vv
import numpy as np
import scanpy as sc
import scvelo as scv
from scipy.stats import spearmanr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--epochs", type=int)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    adata = ad.read_h5ad(chosen.file)
    began = time.process_time()
    scv.pp.normalize_per_cell(adata, enforce=True)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=20)
    sc.pp.neighbors(adata, n_neighbors=30)
    scv.pp.moments(adata, n_pcs=None, n_neighbors=None)
    adata.obs["clusters"] = "all"
    adata.obs["clusters"] = adata.obs["clusters"].astype("category")
    model = vv.VAEChrom(adata, None, batch_key="sample", rna_only=True, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        model.train(figure_path=folder, n_epochs=chosen.epochs)
        seconds = time.process_time() - began
        model.save_anndata(folder, "out.h5ad")
    found, true = adata.obs["vae_time"], adata.obs["true_time"]
    samples = [adata.obs["sample"] == name for name in adata.obs["sample"].unique()]
    each = [abs(float(spearmanr(found[own], true[own]).statistic)) for own in samples]
    said = {"time": abs(float(spearmanr(found, true).statistic)), "within": float(np.median(each)), "seconds": seconds}
    print(json.dumps(said | {"gamma": error_of_rates(adata, found)}))


def error_of_rates(adata: ad.AnnData, time: object) -> float:
    """Median error of log gamma on the true clock, of genes that vary; rates of batches are averaged."""
    columns = [name for name in adata.var if name == "vae_gamma" or name.startswith("vae_gamma_")]
    gamma = np.exp(np.log(adata.var[columns].to_numpy(dtype=float)).mean(axis=1))
    slope = abs(np.polyfit(time, adata.obs["true_time"], 1)[0])
    error = np.abs(np.log(gamma / slope / adata.var["true_gamma"]))
    return float(np.nanmedian(error[adata.var["true_class"] != "flat"]))


if __name__ == "__main__":
    main()
