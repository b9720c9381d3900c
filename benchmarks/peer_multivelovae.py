"""Times of cells of several samples by MultiVeloVAE, RNA only: run by an interpreter that has it.

    python benchmarks/samples.py --write-captures cells.h5ad          # with velotime
    python benchmarks/peer_multivelovae.py cells.h5ad [--epochs N]    # with multivelovae

Prints the Spearman correlation of its times with true ones, and CPU seconds. Moments of neighbours as its notebooks
make them, ``batch_key="sample"``, everything else as it comes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings

import anndata as ad
import multivelovae as vv
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
        model.save_anndata(folder, "out.h5ad")
    time_of = adata.obs["vae_time"]
    found = abs(float(spearmanr(time_of, adata.obs["true_time"]).statistic))
    print(json.dumps({"time": found, "seconds": time.process_time() - began}))


if __name__ == "__main__":
    main()
