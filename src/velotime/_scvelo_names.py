"""Names that scVelo has and velotime has not: whoever asks for one is told what does the same here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FIT = "velotime.tl.recover_dynamics(adata) gives rates, times and velocities in one call"
TIME = "it is part of the fit: obs['latent_time'] after velotime.tl.recover_dynamics(adata)"
EMBEDDING = "velotime.pl.embedding(adata, basis=...) or scanpy's"
INSTEAD = {
    "": {  # the face of the package
        "settings": "scanpy.settings, which velotime follows",
        "set_figure_params": "scanpy.set_figure_params, which velotime follows",
        "logging": "scanpy.settings.verbosity, or the logger 'velotime'",
        "load": "velotime.read.auto(path)",
        "get_df": "velotime.get.rates(adata), velotime.get.velocity(adata), or adata.to_df(layer=...)",
        "utils": "velotime.read.samples(paths) merges, velotime.tl.transition_matrix(adata) gives the matrix",
        "DataFrame": "pandas.DataFrame",
        "DynamicsRecovery": "velotime.TwoStageEM(): the fit of each gene on a clock of its own",
    },
    "datasets": {
        "simulation": "velotime.simulation.simulate(n_cells, n_genes)",
        "toy_data": "velotime.simulation.simulate(n_cells, n_genes)",
    },
    "pp": {
        "filter_and_normalize": "velotime.pp.filter_genes(adata): counts stay raw",
        "normalize_per_cell": "nothing is normalised: depth is part of the model",
        "log1p": "nothing is normalised: the fit reads raw counts",
        "neighbors": "scanpy.pp.neighbors, or none: they are found where they are needed",
        "remove_duplicate_cells": "none is needed: cells with equal counts do no harm",
    },
    "tl": {
        "velocity": FIT,
        "velocity_genes": "var['velocity_genes'] after velotime.tl.recover_dynamics(adata)",
        "latent_time": TIME,
        "recover_latent_time": TIME,
        "velocity_pseudotime": TIME,
        "terminal_states": "lineages are part of the fit: obs['fit_lineage'], velotime.get.lineage_posterior(adata)",
        "velocity_confidence": "velotime.metrics.velocity_confidence(adata); better obs['latent_time_sd']",
        "rank_velocity_genes": "velotime.tl.rank_genes_in_groups(adata, groupby)",
        "rank_dynamical_genes": "velotime.tl.rank_genes(adata)",
        "differential_kinetic_test": "velotime.tl.differential_kinetics(adata, groupby)",
        "velocity_clusters": "scanpy.tl.leiden; lineages are in obs['fit_lineage']",
        "paga": "scanpy.tl.paga(adata, groups, use_rna_velocity=True), after scanpy.pp.neighbors(adata)",
        "score_genes_cell_cycle": "scanpy.tl.score_genes_cell_cycle",
    },
    "pl": {
        "velocity_embedding_stream": "velotime.pl.velocity_stream(adata)",
        "velocity_embedding_grid": "velotime.pl.velocity_grid(adata)",
        "velocity_embedding": "velotime.pl.velocity_arrows(adata)",
        "velocity": "velotime.pl.phase_portrait(adata, gene) and velotime.pl.along_time(adata, gene)",
        "velocity_graph": "velotime.tl.transition_matrix(adata) gives the matrix",
        "scatter": "velotime.pl.phase_portrait(adata, gene) for a gene, velotime.pl.embedding(adata) for cells",
        "umap": EMBEDDING,
        "tsne": EMBEDDING,
        "pca": EMBEDDING,
        "paga": "scanpy.pl.paga",
    },
}


#: Arguments that scVelo's functions have and those of velotime have not: what takes their place, or why none does.
ARGUMENTS = {
    "vkey": "a fit has one velocity",
    "xkey": "layers are named by unspliced= and spliced=",
    "mode": "the model is chosen by method=",
    "var_names": "all genes of the object are fitted; choose by velotime.pp.filter_genes(adata) or adata[:, names]",
    "n_pcs": "the number of principal components is fixed; give neighbours of your own by scanpy.pp.neighbors",
    "sortby": "cells are sorted by latent time",
    "n_top_genes": "genes are filtered by their counts: min_cells= and min_shared_counts=",
}


def pointing(room: str) -> Callable[[str], Any]:
    """``__getattr__`` of a room: an error that names what takes the place of scVelo's function."""

    def missing(name: str) -> Any:
        text = f"module {f'velotime.{room}'.rstrip('.')!r} has no attribute {name!r}"
        instead = INSTEAD[room].get(name)
        raise AttributeError(f"{text}. Instead of scVelo's {name}: {instead}." if instead else text)

    return missing
