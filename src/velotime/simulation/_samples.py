"""Several samples of one process: how they differ for technical reasons, and how their conditions do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator

from velotime._check import Number, Numbers, Settings, Whole
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.kinetics import SwitchParameter
from velotime.simulation._noise import Counts, NegativeBinomialCounts
from velotime.simulation._times import Times

CANDIDATES = 30  # times that are drawn for each cell, of which one is kept


@dataclass(frozen=True)
class Samples(Settings):
    """Samples of several conditions: what differs between samples, and what between conditions.

    Counts of a gene in a sample are multiplied by ``capture`` factors, one for each layer, and scatter by a dispersion
    of the sample; cells of a sample lie elsewhere along the clock. Conditions after the first differ from it
    in degradation of some genes, in the speed of all, and in where their cells lie.

    Parameters
    ----------
    per_condition
        Number of samples of each condition, named "A", "B", ...
    capture_unspliced, capture_spliced
        Standard deviations of log capture over genes and samples; 0.5 and 0.2, as introns are caught more unevenly.
    dispersion
        Standard deviation over samples and layers of the log factor on a negative-binomial dispersion.
    composition
        Standard deviation over samples of a slope k, by which the density of cells is multiplied with ``exp(k t)``.
    condition_composition
        The same slope for conditions after the first, on top.
    changed, fold
        Share of the genes whose degradation rate is so many times higher (half of them) or lower (the others) after the
        first condition, at the same transcription.
    speed
        In conditions after the first all rates are divided by it: above 1 they run slower.
    replicates
        Standard deviation over samples of each gene's log degradation rate: biological variation.
    sizes
        Cells of each sample relative to the others; the same by default.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(120, 20, rng=np.random.default_rng(0), samples=vt.simulation.Samples((2, 1)))
    >>> adata.obs.groupby(["condition", "sample"], observed=True).size().to_dict()
    {('A', 'A1'): 40, ('A', 'A2'): 40, ('B', 'B1'): 40}
    >>> adata.varm["true_capture_u"].shape
    (20, 3)
    """

    per_condition: tuple[int, ...] = (3, 3)
    capture_unspliced: float = 0.5
    capture_spliced: float = 0.2
    dispersion: float = 0.0
    composition: float = 0.0
    condition_composition: float = 0.0
    changed: float = 0.0
    fold: float = 2.0
    speed: float = 1.0
    replicates: float = 0.0
    sizes: tuple[float, ...] = ()

    rules: ClassVar = {
        "per_condition": Numbers(Whole(1), 1, 26),
        "capture_unspliced": Number(0),
        "capture_spliced": Number(0),
        "dispersion": Number(0),
        "composition": Number(0),
        "condition_composition": Number(),
        "changed": Number(0, 1),
        "fold": Number(0, open_least=True),
        "speed": Number(0, open_least=True),
        "replicates": Number(0),
        "sizes": Numbers(Number(0, open_least=True), 0),
    }

    @property
    def condition(self) -> IntArray:
        """Condition of each sample, ``(samples,)``."""
        return np.repeat(np.arange(len(self.per_condition)), self.per_condition)

    @property
    def condition_names(self) -> list[str]:
        """One letter each."""
        return [chr(ord("A") + k) for k in range(len(self.per_condition))]

    @property
    def names(self) -> list[str]:
        """The letter of the condition, and a number."""
        return [f"{self.condition_names[c]}{k + 1}" for c, n in enumerate(self.per_condition) for k in range(n)]

    def of_cells(self, n_cells: int) -> IntArray:
        """Sample of each cell, ``(cells,)``, ascending."""
        share = np.array(self.sizes) if self.sizes else np.ones(len(self.names))
        edges = np.round(np.cumsum(share / share.sum()) * n_cells).astype(int)
        return np.searchsorted(edges, np.arange(n_cells), side="right")

    def draw(self, n_genes: int, rng: Generator) -> Differences:
        """What differs, drawn."""
        n_samples, later = len(self.names), self.condition > 0
        capture = rng.normal(size=(2, n_genes, n_samples))
        capture *= np.array([self.capture_unspliced, self.capture_spliced])[:, None, None]
        n_changed = round(self.changed * n_genes)
        change = np.zeros(n_genes)
        change[rng.permutation(n_genes)[:n_changed]] = np.where(np.arange(n_changed) % 2, -1, 1) * np.log(self.fold)
        own = rng.normal(0, 1, (n_genes, n_samples)) * self.replicates
        return Differences(
            capture=np.exp(capture),
            log_gamma=own + change[:, None] * later,
            changed=change != 0,
            slowing=np.where(later, np.log(self.speed), 0.0),
            dispersion=np.exp(rng.normal(size=(2, n_samples)) * self.dispersion),
            slope=rng.normal(size=n_samples) * self.composition + self.condition_composition * later,
        )


@dataclass(frozen=True)
class Differences:
    """What differs between samples.

    Attributes
    ----------
    capture
        Factor on the counts of unspliced and spliced, ``(2, genes, samples)``.
    log_gamma
        Added to log gamma, transcription being the same, ``(genes, samples)``.
    changed
        Genes whose gamma differs between conditions, ``(genes,)``.
    slowing
        Log of what all rates are divided by, ``(samples,)``.
    dispersion
        Factor on the dispersion of either layer, ``(2, samples)``.
    slope
        Of the log density of cells along the clock, ``(samples,)``.
    """

    capture: FloatArray
    log_gamma: FloatArray
    changed: BoolArray
    slowing: FloatArray
    dispersion: FloatArray
    slope: FloatArray

    def draw_times(self, times: Times, sample: IntArray, rng: Generator) -> FloatArray:
        """Time of each cell: of many drawn, one with a probability proportional to ``exp(slope t)``."""
        drawn = times.draw(len(sample) * CANDIDATES, rng).reshape(len(sample), CANDIDATES)
        score = self.slope[sample][:, None] * drawn + rng.gumbel(size=drawn.shape)
        return np.asarray(drawn[np.arange(len(sample)), score.argmax(axis=1)])

    def theta_of(self, theta: FloatArray, sample: int) -> FloatArray:
        """Parameters of the genes in a sample, ``(lineages, genes, 8)``."""
        p = SwitchParameter
        out = theta.copy()
        out[:, :, [p.LOG_BETA, p.LOG_GAMMA]] -= self.slowing[sample]
        out[:, :, p.LOG_GAMMA] += self.log_gamma[:, sample]
        out[:, :, [p.LOG_LEVEL_0, p.LOG_LEVEL_1, p.LOG_LEVEL_2]] -= self.log_gamma[None, :, sample, None]
        return out

    def noise_of(self, noise: Counts, layer: int, sample: int) -> Counts:
        """The noise with the dispersion of a sample; noise without a dispersion stays as it is."""
        if not isinstance(noise, NegativeBinomialCounts):
            return noise
        return replace(noise, dispersion=noise.dispersion * float(self.dispersion[layer, sample]))

    def annotate(self, adata: AnnData, samples: Samples, sample: IntArray) -> None:
        """Write what is true into the slots, in place."""
        names: Any = samples.names
        conditions: Any = samples.condition_names
        adata.obs["sample"] = pd.Categorical.from_codes(sample, names)
        adata.obs["condition"] = pd.Categorical.from_codes(samples.condition[sample], conditions)
        adata.var["true_changed"] = self.changed
        adata.varm["true_capture_u"], adata.varm["true_capture_s"] = self.capture
        adata.varm["true_log_gamma_change"] = self.log_gamma
        adata.uns["true_samples"] = {
            "names": np.array(names, dtype=object),
            "speed": np.exp(self.slowing),
            "dispersion_u": self.dispersion[0],
            "dispersion_s": self.dispersion[1],
        }
