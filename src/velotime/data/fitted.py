"""A stored fit: the only reader of its slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._check import label_text
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.compute import as_array
from velotime.data.layers.names import find_layers
from velotime.data.layers.values import read_block
from velotime.data.stored.capabilities import capabilities_of, require
from velotime.data.stored.effects import read_effects
from velotime.data.stored.gene_columns import of_any_cells, read_not_cycling, read_smooth, read_theta
from velotime.data.stored.records import Records
from velotime.data.stored.settings import read_settings
from velotime.inference import (
    AtTimes,
    Curve,
    Cycle,
    Gaussian,
    Layout,
    Line,
    NegativeBinomial,
    OverStates,
    Poisson,
    SampleEffects,
    States,
    draw_states,
)

Index = slice | IntArray
LEAST_CAPTURE = 1e-10
ALL = slice(None)


@dataclass(frozen=True)
class Fitted:
    """What a fit says, read from the object that holds it.

    Everything is that of the cells and genes that are in the object now: after a subset or in another order each cell
    and each gene keeps what the fit said of it. Genes that were not fitted are NaN.

    Attributes
    ----------
    adata
        The object.
    record
        ``uns["recover_dynamics"]``.
    """

    adata: AnnData
    record: Mapping[str, Any]

    @classmethod
    def of(cls, adata: AnnData) -> Fitted:
        """The fit in ``adata``.

        Raises
        ------
        InputError
            If nothing is fitted, another tool or an earlier version of velotime fitted it, or cells were added.
        """
        record = adata.uns.get(keys.RECOVER_DYNAMICS)
        if record is None:
            raise InputError("nothing is fitted yet: call velotime.tl.recover_dynamics(adata) first.")
        if "method" not in record:
            raise InputError(
                "the fit was made by another tool, such as scVelo, and not by velotime: "
                "call velotime.tl.recover_dynamics(adata) first."
            )
        if keys.FIT_ID not in record or keys.FIT_SIZE_SPLICED not in adata.obs or keys.FIT_STATUS not in adata.var:
            raise InputError(
                "parts of the fit are missing, as it was stored by an earlier version of velotime or lost columns of "
                "obs or var since: call velotime.tl.recover_dynamics(adata) again."
            )
        if adata.n_obs > int(record["n_cells"]):
            raise InputError(
                f"the fit was made of {int(record['n_cells']):,} cells, but {adata.n_obs:,} are here: fit these "
                "cells together with velotime.tl.recover_dynamics(adata)."
            )
        return cls(adata, record)

    @property
    def records(self) -> Records:
        """What the fit says of itself."""
        return Records(self.adata.uns)

    @property
    def id(self) -> str:
        """Name of the fit: the same for the same data, method and seed."""
        return str(self.record[keys.FIT_ID])

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.record["method"])

    @cached_property
    def settings(self) -> Any:
        """The method with its settings."""
        return read_settings(self.record["settings"])

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """What the fit holds: "time", "intervals", "curves", "posterior", "rates", "gains", "prior", "arrow", ..."""
        return capabilities_of(self.adata)

    def require(self, *names: str) -> Fitted:
        """The fit itself, if it holds all of these.

        Raises
        ------
        InputError
            If it does not: one sentence with the method and the cure.
        """
        for name in names:
            require(self.adata, name, self.method)
        return self

    @cached_property
    def genes(self) -> IntArray:
        """Indices of the fitted genes in the object, ``(fitted genes,)``."""
        return np.flatnonzero(self.adata.var[keys.FIT_STATUS].astype(str) == keys.FITTED)

    @cached_property
    def with_curves(self) -> IntArray:
        """Indices of the genes that have curves: also of those left out of the clock, ``(genes,)``."""
        return np.flatnonzero(self.adata.var[keys.FIT_STATUS].astype(str).isin((keys.FITTED, keys.LEFT_OUT)))

    def theta(self, genes: IntArray | None = None) -> FloatArray:
        """Parameters in the order of ``Layout``, ``(genes, parameters)``; the fitted genes by default."""
        self.require("curves")
        asked = self.genes if genes is None else genes
        return self.curve.from_switch(read_theta(self.adata, asked), read_smooth(self.adata, asked))

    def scatter(self, genes: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Dispersion or variance of the unspliced and the spliced layer, each ``(genes,)``; as :meth:`theta`."""
        self.require("scatter")
        return self.column(keys.FIT_DISPERSION_U, genes), self.column(keys.FIT_DISPERSION_S, genes)

    def background(self, genes: IntArray | None = None) -> FloatArray | None:
        """Counts of both layers in every cell whatever its state, at size factor 1, ``(2, genes)``; None for nothing.

        Means and velocities are those without it. Each of several samples has its own: :meth:`values` takes it off.
        """
        names = keys.FIT_BACKGROUND_U, keys.FIT_BACKGROUND_S
        if not set(names) <= set(self.adata.var.columns) or self.effects is not None:
            return None
        found = np.stack([self.column(name, genes) for name in names])
        return found if np.any(found > 0) else None

    def column(self, name: str, genes: IntArray | None = None) -> FloatArray:
        """A numeric column of var, float64, ``(genes,)``; of the fitted genes by default."""
        return np.asarray(self.adata.var[name], dtype=np.float64)[self.genes if genes is None else genes]

    @property
    def layers(self) -> tuple[str, str]:
        """Names of the unspliced and the spliced layer that were fitted.

        Raises
        ------
        InputError
            If one is no longer there.
        """
        names = self.record["layers"]
        return find_layers(self.adata, str(names["unspliced"]), str(names["spliced"]))

    @property
    def sizes(self) -> tuple[FloatArray, FloatArray]:
        """Size factors of the unspliced and the spliced layer, each ``(cells,)``: 1 where values were normalised."""
        columns = keys.FIT_SIZE_UNSPLICED, keys.FIT_SIZE_SPLICED
        u, s = (np.asarray(self.adata.obs[name], dtype=np.float64) for name in columns)
        return u, s

    @property
    def n_averaged(self) -> float:
        """Cells that each value is a mean of."""
        return float(self.record.get(keys.N_AVERAGED, 1.0))

    @property
    def noise(self) -> NegativeBinomial | Poisson | Gaussian:
        """The noise model; methods without a choice of noise read moments and least squares."""
        found = getattr(self.settings, "noise", None)
        return found if isinstance(found, NegativeBinomial | Poisson) else Gaussian()

    def values(self, genes: Sequence[int] | IntArray) -> tuple[FloatArray, FloatArray]:
        """Unspliced and spliced values of some genes over the size factors of the fit, each ``(cells, genes)``.

        Less the background and over the captures of their samples, where there are several; NaN where a sample does not
        have a gene.
        """
        out = []
        for k, (name, size) in enumerate(zip(self.layers, self.sizes, strict=True)):
            block = read_block(self.adata.layers[name], np.asarray(genes))
            out.append(as_array(block, np.float64) / size[:, None])
            if self.effects is not None:
                effects = self.effects.genes(np.asarray(genes))
                capture, own = np.exp(effects.log_capture[k]), effects.besides[k].T[self.sample]
                out[k] = (out[k] - own) / np.where(capture > LEAST_CAPTURE, capture, np.nan).T[self.sample]
        return out[0], out[1]

    @cached_property
    def effects(self) -> SampleEffects | None:
        """What each sample has of its own, all genes of the object; None for a fit of one sample."""
        return read_effects(self.adata, np.arange(self.adata.n_vars))

    @property
    def sample(self) -> IntArray:
        """Index of the sample of each cell among those of the fit, ``(cells,)``."""
        assert self.effects is not None
        column = str(self.settings.samples)
        names = self.adata.obs[column].map(label_text).astype(str)
        code = pd.Index(self.effects.names).get_indexer(names)
        if (code < 0).any():
            raise InputError(f"obs[{column!r}] has samples that were not fitted, e.g. {names[code < 0].iloc[0]!r}.")
        return np.asarray(code)

    @property
    def latent_time(self) -> FloatArray:
        """Time of each cell, or its phase on a clock that goes round, ``(cells,)``, relative."""
        self.require("time")
        return np.asarray(self.adata.obs[self.time_slot], dtype=np.float64)

    @property
    def time_slot(self) -> str:
        """Name of the obs column of :attr:`latent_time`."""
        return keys.CYCLE_PHASE if self.goes_round else keys.LATENT_TIME

    @property
    def goes_round(self) -> bool:
        """Whether the clock has neither beginning nor end."""
        return keys.CYCLE in self.adata.uns

    @property
    def curve(self) -> Curve:
        """The kind of the genes' curves."""
        return Cycle.curve if self.goes_round else Line.curve

    def require_line(self, what: str) -> Fitted:
        """The fit itself, if its clock begins and ends.

        Raises
        ------
        InputError
            If it goes round: ``what`` is then not defined.
        """
        if self.goes_round:
            raise InputError(
                f"{what} needs a clock that begins and ends, but this one goes round (clock=Cycle()): "
                "fit with velotime.tl.recover_dynamics(adata, method=vt.SoftEM()) if the cells do not cycle."
            )
        return self

    def require_circle(self, what: str) -> Fitted:
        """The fit itself, if its clock goes round.

        Raises
        ------
        InputError
            If it begins and ends: ``what`` is then not defined.
        """
        if not self.goes_round:
            raise InputError(
                f"{what} needs a clock that goes round, and that of this fit does not: if the cells cycle, "
                "call velotime.tl.recover_dynamics(adata, method=vt.SoftEM(clock=vt.Cycle()))."
            )
        return self

    @property
    def uncertainty(self) -> pd.DataFrame:
        """Standard deviations, quantiles and entropy of the cells' times: columns ``sd``, ``clock_sd``, ``q05``, ...

        Only ``mean`` where the method gives each cell one time.
        """
        self.require("time")
        columns = {"mean": self.time_slot} | {
            name: f"{self.time_slot}_{name}" for name in ("sd", "clock_sd", "q05", "q95", "entropy")
        }
        obs = self.adata.obs
        return pd.DataFrame({name: obs[slot] for name, slot in columns.items() if slot in obs}, index=obs.index)

    @cached_property
    def states(self) -> States:
        """The states of :attr:`posterior`: times in lineages."""
        self.require("posterior")
        times = np.asarray(self.record[keys.STATE_TIMES], dtype=np.float64)
        return States(times, Layout(len(self.lineage_names), self.curve))

    @property
    def posterior(self) -> sparse.csr_array:
        """Posterior of each cell over the states, ``(cells, states)``, float32, rows sum to 1."""
        self.require("posterior")
        return sparse.csr_array(self.adata.obsm[keys.TIME_POSTERIOR])

    def draw_states(self, n_draws: int, rng: np.random.Generator) -> IntArray:
        """States drawn from each cell's posterior, ``(cells, draws)``, stratified, ascending."""
        return draw_states(self.posterior, n_draws, rng)

    @property
    def time_prior(self) -> Mapping[str, Any]:
        """``times``, ``weights`` (groups, states), names of the ``groups``, and when lineages part (``parting``)."""
        self.require("prior")
        prior: Mapping[str, Any] = self.adata.uns[keys.TIME_PRIOR]
        return prior

    @property
    def lineage_names(self) -> list[str]:
        """Names of the lineages; none where the method knows none."""
        return [str(name) for name in self.adata.uns.get(keys.LINEAGES, {}).get("names", [])]

    @property
    def lineage_posterior(self) -> FloatArray:
        """Posterior of each cell over the lineages, ``(cells, lineages)``."""
        self.require("curves")
        return np.asarray(self.adata.obsm[keys.LINEAGE_POSTERIOR], dtype=np.float64)

    @property
    def lineage(self) -> Any:
        """Name of the most probable lineage of each cell, ``(cells,)``."""
        self.require("curves")
        return np.asarray(self.adata.obs[keys.LINEAGE].astype(str))

    def velocity(self, cells: Index = ALL, genes: IntArray | None = None) -> FloatArray:
        """Posterior mean of ds/dt, ``(cells, genes)``, float32, relative units."""
        return self._block(cells, genes, keys.VELOCITY, lambda at: at.velocity())

    def velocity_u(self, cells: Index = ALL, genes: IntArray | None = None) -> FloatArray:
        """Posterior mean of du/dt, ``(cells, genes)``, float32, relative units."""
        return self._block(cells, genes, keys.VELOCITY_U, lambda at: at.velocity_u())

    def velocity_sd(self, cells: Index = ALL, genes: IntArray | None = None) -> FloatArray:
        """Standard deviation of ds/dt, from uncertain time and an uncertain curve, ``(cells, genes)``, float32."""
        self.require("velocity_sd")
        asked = self.genes if genes is None else genes
        variance = np.asarray(self.adata.varm[keys.VELOCITY_VARIANCE], dtype=np.float64)[asked]
        coarse = States(np.asarray(self.time_prior["times"], dtype=np.float64), self.states.layout)
        over = OverStates(self.states, self.theta(asked), self.posterior[cells])
        return self._known(over.velocity_sd(variance, coarse), asked)

    def means(self, cells: Index = ALL, genes: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Fitted means of unspliced and spliced at size factor 1, each ``(cells, genes)``, float32."""
        asked = self.genes if genes is None else genes
        if "components" in self.capabilities:
            q = np.asarray(self.adata.obsm[keys.MIXTURE_POSTERIOR])[cells]
            tables = (self.adata.varm[name] for name in (keys.MIXTURE_MEAN_U, keys.MIXTURE_MEAN_S))
            u, s = ((q @ np.asarray(table)[asked].T).astype(np.float32) for table in tables)
        else:
            u, s = self._expectations(cells, asked).means()
        if (others := read_not_cycling(self.adata, asked)) is not None:
            u, s = (
                of_any_cells(self.adata, cells, values, its) for values, its in zip((u, s), others.means, strict=True)
            )
        return self._known(u, asked), self._known(s, asked)

    def _block(self, cells: Index, genes: IntArray | None, layer: str, of: Any) -> FloatArray:
        """Computed where genes share a clock; where each has its own, what the fit left in a layer."""
        asked = self.genes if genes is None else genes
        if "curves" in self.capabilities:
            return self._known(of_any_cells(self.adata, cells, of(self._expectations(cells, asked))), asked)
        self.require("time")
        if layer not in self.adata.layers:
            raise InputError(
                f"layer {layer!r} not found in adata.layers: genes with clocks of their own keep their velocities "
                f"there. Call velotime.tl.recover_dynamics(adata, method=vt.TwoStageEM(), layers=({layer!r},))."
            )
        return np.asarray(self.adata.layers[layer][cells][:, asked], dtype=np.float32)

    def _expectations(self, cells: Index, genes: IntArray) -> OverStates | AtTimes:
        self.require("curves")
        theta = self.theta(genes)
        if "posterior" in self.capabilities:
            return OverStates(self.states, theta, self.posterior[cells])
        return AtTimes(theta, self.latent_time[cells])

    def _known(self, values: FloatArray, genes: IntArray) -> FloatArray:
        """NaN in the columns of genes that were not fitted."""
        values[:, ~np.isin(genes, self.with_curves)] = np.nan
        return values


def require_fit(adata: AnnData) -> None:
    """Check that velotime fitted ``adata``.

    Raises
    ------
    InputError
        If not; see :meth:`Fitted.of`.
    """
    Fitted.of(adata)
