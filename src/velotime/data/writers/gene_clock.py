"""Slots of a fit by ``TwoStageEM`` with genes' own clocks: scVelo's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import Status
from velotime._types import FloatArray, IntArray
from velotime.data.reading import Reading
from velotime.data.slots import Slots, gene_columns, gene_rows, slots_of
from velotime.inference import GeneClockFit

DEGENERATE = "degenerate steady-state ratio"
LEAST_LIKELIHOOD, LEAST_R2 = 1e-3, 0.01  # of velocity genes, as in scVelo
SCALING = (0.03, 3.0)  # between which a capture of unspliced is plausible, or that of four genes of five


@slots_of.register
def _(fit: GeneClockFit, adata: AnnData, reading: Reading) -> Slots:
    genes = reading.genes[fit.fitted]
    status = np.array(reading.fit_status, dtype=object)
    status[reading.genes[~fit.fitted]] = DEGENERATE
    return Slots(
        layers=_layers(adata, reading, fit),
        obs={keys.LATENT_TIME: fit.time},
        var=_var(adata, fit, genes),
        varm=gene_rows({keys.LOSS: fit.loss[:, None]}, genes, adata.n_vars),
        uns=_uns(reading),
        record={
            "first_stage": fit.first_stage,
            "n_converged": int(fit.converged.sum()),
            # what scVelo looks up
            "use_raw": False,
            "fit_connected_states": False,
        },
        fit_status=status,
    )


def _uns(reading: Reading) -> dict[str, Any]:
    """Where Ms and Mu come from, unless they were read."""
    if reading.layers == (keys.MU, keys.MS):
        return {}
    unspliced, spliced = reading.layers
    return {keys.MOMENTS: {"source": keys.COPIED, "layers": {"unspliced": unspliced, "spliced": spliced}}}


def _layers(adata: AnnData, reading: Reading, fit: GeneClockFit) -> dict[str, Callable[[], FloatArray]]:
    """Velocities and times; and Ms and Mu, the state that goes with the velocity, where other layers were fitted."""
    cells = fit.cells
    copied = {
        target: partial(_copied, adata, name)
        for target, name in zip((keys.MU, keys.MS), reading.layers, strict=True)
        if name != target
    }
    return copied | {
        keys.VELOCITY: lambda: cells.velocity,
        keys.VELOCITY_U: lambda: cells.velocity_u,
        keys.FIT_TAU: lambda: cells.tau,
        keys.FIT_TAU_OFF: lambda: cells.tau_,
        keys.FIT_T: lambda: cells.tau + cells.tau_,
    }


def _copied(adata: AnnData, name: str) -> FloatArray:
    layer = adata.layers[name]
    return np.array(layer.toarray() if hasattr(layer, "toarray") else layer, dtype=np.float32)


def _var(adata: AnnData, fit: GeneClockFit, genes: IntArray) -> dict[str, Any]:
    """Rates per unit of the shared clock, in scVelo's convention: beta acts on unspliced as it is measured.

    With amplitudes U and S, r = gamma/beta of the curve and capture ``c = U/(S r)``, a gene whose clock runs at
    ``rate`` has beta = rate, gamma = r rate and alpha = S gamma; scVelo's ``fit_beta`` is
    beta/c and its ``fit_scaling`` c.
    """
    u, s, r, x_ = np.exp(fit.theta[:, :4]).T
    rate = np.exp(fit.clocks.log_rate)
    scaling = u / (s * r)
    zero = np.zeros_like(u)
    columns = {
        keys.FIT_ALPHA: s * r * rate,
        keys.FIT_BETA: rate / scaling,
        keys.FIT_GAMMA: r * rate,
        keys.FIT_T_OFF: x_ / rate,
        keys.FIT_SCALING: scaling,
        keys.FIT_STD_U: fit.spread[:, 0],
        keys.FIT_STD_S: fit.spread[:, 1],
        keys.FIT_SIGMA_U: fit.sigma[:, 0],
        keys.FIT_SIGMA_S: fit.sigma[:, 1],
        keys.FIT_LIKELIHOOD: fit.genes.likelihood,
        keys.FIT_VARIANCE: fit.genes.variance,
        keys.FIT_R2: fit.genes.r2,
        keys.FIT_U0: zero,
        keys.FIT_S0: zero,
        keys.FIT_STEADY_U: u,
        keys.FIT_STEADY_S: s,
        keys.FIT_AT_STEADY_STATE: fit.genes.at_steady_state,
        keys.FIT_ALIGNMENT_SCALING: 1 / rate,
        keys.FIT_ONSET: fit.clocks.onset,
    }
    out = gene_columns(columns, genes, adata.n_vars)
    convergence = np.full(adata.n_vars, None, dtype=object)
    convergence[genes] = np.where(fit.converged, Status.CONVERGED.value, Status.MAX_ITER.value)
    out[keys.FIT_CONVERGENCE] = pd.Categorical(convergence)
    use = np.zeros(adata.n_vars, dtype=bool)
    use[genes] = _velocity_genes(fit, scaling)
    out[keys.VELOCITY_GENES] = use
    return out


def _velocity_genes(fit: GeneClockFit, scaling: FloatArray) -> Any:
    """ScVelo's choice: fitted better than nothing, near a steady-state line, with a capture that is no outlier."""
    low, high = np.quantile(scaling, [0.1, 0.9])
    plausible = (scaling > min(low, SCALING[0])) & (scaling < max(high, SCALING[1]))
    return (fit.genes.likelihood > LEAST_LIKELIHOOD) & (fit.genes.r2 > LEAST_R2) & plausible
