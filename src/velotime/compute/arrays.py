"""The primitives through the array API standard, for libraries that compute on a GPU: PyTorch and CuPy.

A block of cells at a time goes to the device as dense float32; scores and sums are then matrix products. Curves and
their derivatives are those of ``velotime.kinetics``, which is written for any array library. Sums are float64 from
block to block, as in the compiled sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from velotime._check import OneOf, Settings, Text, Whole
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.compute.backend import LEAST_VARIANCE, CurveTargets
from velotime.compute.layers import Entries, Layer, ScoreTables, SweepModel
from velotime.compute.sums import LayerSums, Sums
from velotime.kinetics import periodic_jacobian, periodic_means, switch_jacobian, switch_means

GENES = 256  # whose derivatives are held at a time


@dataclass(frozen=True)
class ArrayBackend(Settings):
    """Computes with PyTorch or CuPy, on a GPU where there is one.

    The search, of some thousand cells, stays on the processor; every pass over all cells goes to the device. The
    log-likelihood is that of the compiled code to about 1e-6 of its value, not to the last digit.

    Parameters
    ----------
    library
        "torch", "cupy", or "numpy", which needs no device: for tests.
    device
        The library's name of the device; "cuda" by default, "cpu" for PyTorch without a GPU. CuPy's is the current
        one, and NumPy knows only "cpu".
    block
        Cells on the device at a time: 4,096 of 2,000 genes take 64 MB.

    Raises
    ------
    InputError
        When it is first used, if the library is not installed or the device is not there.

    Examples
    --------
    >>> import velotime as vt
    >>> method = vt.SoftEM(backend=vt.ArrayBackend("torch", device="cpu"))
    """

    library: str = "torch"
    device: str = "cuda"
    block: int = 4096

    rules: ClassVar = {
        "library": OneOf(("torch", "cupy", "numpy")),
        "device": Text("a name of a device, such as 'cuda' or 'cpu'"),
        "block": Whole(1),
    }

    # ------------------------------------------------------------------ the library
    @cached_property
    def _xp(self) -> ModuleType:
        try:
            return import_module(f"array_api_compat.{self.library}")
        except ImportError as missing:
            raise InputError(
                f"ArrayBackend(library={self.library!r}): {self.library} is not installed. "
                f"Install it, or leave out backend= to compute on this machine's processor."
            ) from missing

    def _put(self, values: Any, like: str = "float64") -> Any:
        """On the device."""
        xp = self._xp
        try:
            device = {"device": self.device} if self.library == "torch" else {}
            return xp.asarray(np.ascontiguousarray(values), dtype=getattr(xp, like), **device)
        except (RuntimeError, AssertionError) as error:
            if self.library == "torch" and not _has_torch_device(self.device):
                raise InputError(
                    f"ArrayBackend(device={self.device!r}): PyTorch finds no such device here. "
                    "Give device='cpu', or leave out backend=."
                ) from error
            raise

    @staticmethod
    def _get(values: Any) -> Any:
        """As a NumPy array."""
        if hasattr(values, "cpu"):
            return values.cpu().numpy()
        return values.get() if hasattr(values, "get") else np.asarray(values)

    # ------------------------------------------------------------------ the sweep
    def accumulate(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, group: IntArray
    ) -> tuple[Sums, FloatArray]:
        """Posterior of every cell's state, summed up; arguments as of :class:`velotime.compute.Backend`."""
        xp, layers, n_groups = self._xp, (unspliced, spliced), int(group.max()) + 1
        tables = self._tables(model)
        evidence = np.empty(unspliced.n_cells, dtype=np.float32)
        total: tuple[Any, ...] = ()
        for cells in self._blocks(slice(0, unspliced.n_cells)):
            values = self._values(layers, tables, cells)
            q, log_sum = self._normalised(values, layers, tables, model, prior_row, cells)
            evidence[cells] = self._get(log_sum)
            wide = xp.astype(q, xp.float64)
            own = self._put(np.arange(n_groups)[:, None] == group[None, cells])
            parts = [xp.matmul(own, wide)]
            for layer, x in zip(layers, values, strict=True):
                powers = self._put(layer.size[cells].astype(np.float64) ** np.arange(1, 5)[:, None])
                product = xp.matmul(xp.matrix_transpose(x), q)
                parts += [xp.astype(product, xp.float64), xp.matmul(powers, wide)]
            total = tuple(a + b for a, b in zip(total, parts, strict=True)) if total else tuple(parts)
        weight, u, u_powers, s, s_powers = map(self._get, total)
        return Sums(LayerSums(u, u_powers), LayerSums(s, s_powers), weight), evidence

    def posterior(
        self, unspliced: Layer, spliced: Layer, model: SweepModel, prior_row: IntArray, *, cells: slice
    ) -> tuple[FloatArray, FloatArray]:
        """Posterior of a run of cells and their log evidence."""
        layers, tables, found = (unspliced, spliced), self._tables(model), []
        for part in self._blocks(cells):
            values = self._values(layers, tables, part)
            found.append([self._get(x) for x in self._normalised(values, layers, tables, model, prior_row, part)])
        return np.concatenate([q for q, _ in found]), np.concatenate([evidence for _, evidence in found])

    def _blocks(self, cells: slice) -> Iterator[slice]:
        for first in range(cells.start, cells.stop, self.block):
            yield slice(first, min(first + self.block, cells.stop))

    def _values(self, layers: tuple[Layer, Layer], tables: tuple[ScoreTables, ScoreTables], cells: slice) -> list[Any]:
        """Counts of a block of cells on the device, ``(cells, genes)`` of each layer."""
        pairs = zip(layers, tables, strict=True)
        return [self._put(_dense(layer.by_cell, cells, t.slope.shape[1]), "float32") for layer, t in pairs]

    def _tables(self, model: SweepModel) -> tuple[ScoreTables, ScoreTables]:
        """Both layers' tables on the device."""
        u, s = (
            ScoreTables(self._put(t.slope, "float32"), self._put(t.offset, "float32"))
            for t in (model.unspliced, model.spliced)
        )
        return u, s

    def _normalised(
        self,
        values: list[Any],
        layers: tuple[Layer, Layer],
        tables: tuple[ScoreTables, ScoreTables],
        model: SweepModel,
        prior_row: IntArray,
        cells: slice,
    ) -> tuple[Any, Any]:
        """Posterior of a block of cells and the log of what it was divided by."""
        xp = self._xp
        score = self._put(model.log_prior[prior_row[cells]], "float32")
        for x, layer, table in zip(values, layers, tables, strict=True):
            score = score + self._scores(x, layer.level[cells], table) / model.temperature
        best = xp.max(score, axis=1, keepdims=True)
        weight = xp.exp(score - best)
        total = xp.sum(weight, axis=1, keepdims=True)
        return weight / total, (best + xp.log(total))[:, 0]

    def _scores(self, x: Any, level: IntArray, table: ScoreTables) -> Any:
        """``x slope - offset``, run by run of cells of one size level."""
        edges = [0, *(np.flatnonzero(np.diff(level)) + 1).tolist(), len(level)]
        runs = [
            self._xp.matmul(x[first:last, :], table.slope[int(level[first])]) - table.offset[int(level[first])]
            for first, last in pairwise(edges)
        ]
        return self._xp.concat(runs, axis=0)

    # ------------------------------------------------------------------ curves
    def curve_means(self, theta: FloatArray, times: FloatArray, columns: IntArray) -> tuple[FloatArray, FloatArray]:
        """Means of both layers, lineage by lineage."""
        t = self._put(times)
        means = [[self._get(x) for x in switch_means(self._put(theta[:, own]), t)] for own in columns]
        return np.hstack([u for u, _ in means]), np.hstack([s for _, s in means])

    def curve_information(
        self, theta: FloatArray, times: FloatArray, columns: IntArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient and Fisher information, some genes at a time."""
        n_genes, n_parameters = theta.shape
        gradient, fisher = np.zeros((n_genes, n_parameters)), np.zeros((n_genes, n_parameters, n_parameters))
        t, n = self._put(times), len(times)
        for genes in _runs(n_genes):
            for k, own in enumerate(columns):
                at = slice(k * n, (k + 1) * n)
                targets = [_part(target, genes, at) for target in (unspliced, spliced)]
                slope, weight = self._information(switch_jacobian(self._put(theta[genes][:, own]), t), targets)
                gradient[genes, own] += slope
                fisher[genes, own[:, None], own] += weight
        return gradient, fisher

    def periodic_means(self, theta: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of both layers of curves on a clock that goes round."""
        u, s = periodic_means(self._put(theta), self._put(times))
        return self._get(u), self._get(s)

    def periodic_information(
        self, theta: FloatArray, times: FloatArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient and Fisher information of these curves."""
        t, all_times, found = self._put(times), slice(0, len(times)), []
        for genes in _runs(len(theta)):
            targets = [_part(target, genes, all_times) for target in (unspliced, spliced)]
            found.append(self._information(periodic_jacobian(self._put(theta[genes]), t), targets))
        return np.concatenate([slope for slope, _ in found]), np.concatenate([weight for _, weight in found])

    def _information(self, curve: tuple[Any, ...], targets: list[CurveTargets]) -> tuple[FloatArray, FloatArray]:
        """``sum_j (Y - n mu)/V dmu`` and ``sum_j n/V dmu dmu^T`` over both layers, from means and their derivatives."""
        xp = self._xp
        u, s, du, ds = curve
        gradient, fisher = 0.0, 0.0
        for target, mean, slope in zip(targets, (u, s), (du, ds), strict=True):
            value, size, mean_size = (self._put(x) for x in (target.value, target.size, target.mean_size))
            c = self._put(target.variance[:, :, None])
            mean = mean if target.background is None else mean + self._put(target.background[:, None])
            variance = c[0] + mean * (c[1] + c[2] * mean_size * mean)
            variance = xp.where(variance < LEAST_VARIANCE, xp.full_like(variance, LEAST_VARIANCE), variance)
            residual = (value - size * mean) / variance
            weighted = slope * (size / variance)[:, None, :]
            gradient = gradient + self._get(xp.matmul(slope, residual[:, :, None])[:, :, 0])
            fisher = fisher + self._get(xp.matmul(weighted, xp.matrix_transpose(slope)))
        return np.asarray(gradient), np.asarray(fisher)


def _has_torch_device(name: str) -> bool:
    """Whether PyTorch can place an array there."""
    torch = import_module("torch")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError):
        return False
    return True


def _runs(n_genes: int) -> list[slice]:
    return [slice(first, min(first + GENES, n_genes)) for first in range(0, n_genes, GENES)]


def _part(target: CurveTargets, genes: slice, states: slice) -> CurveTargets:
    """Some genes and states of it."""
    return replace(
        target,
        value=target.value[genes, states],
        size=target.size[states] if target.size.ndim == 1 else target.size[genes, states],
        mean_size=target.mean_size[..., states],
        variance=target.variance[:, genes],
        background=None if target.background is None else target.background[genes],
    )


def _dense(entries: Entries, cells: slice, n_genes: int) -> FloatArray:
    """Rows of a list of entries, ``(cells, genes)``, float32."""
    length = entries.length[cells]
    out = np.zeros((len(length), n_genes), dtype=np.float32)
    inside = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    row = np.repeat(np.arange(len(length)), length)
    out[row, entries.indices[np.repeat(entries.index_start[cells], length) + inside]] = entries.values[
        np.repeat(entries.value_start[cells], length) + inside
    ]
    return out
