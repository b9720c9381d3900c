"""M-steps of what samples have of their own: capture, its spread, and dispersion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import NegativeBinomial, Noise, newton
from velotime.inference.model.samples.effects import NOT_SEEN, SampleEffects

NEWTON_STEPS = 2
HALVINGS = 4
SHORTEST = 1e-7  # step in log A that is taken: what shorter ones gain is lost in rounding
ROUNDS = 3  # of capture and its spread, while the spread is learned
LEAST_SPREAD, MOST_SPREAD = 0.02, 3.0
LEAST_MEAN = 1e-300  # that is divided by
DISPERSION_SD = 0.5  # prior sd of log psi: dispersions of samples differ by some tens of per cent


@dataclass(frozen=True)
class Captured:
    """One layer of all samples at given means: what A is fitted to.

    Attributes
    ----------
    noise
        How counts scatter.
    sums
        Of each sample.
    means
        Common means, ``(genes, states)``.
    scatter
        Of each sample, ``(genes, samples)``.
    share
        Of the cells in each sample, ``(samples,)``.
    background
        Of each sample, ``(genes, samples)``.
    """

    noise: Noise
    sums: list[LayerSums]
    means: FloatArray
    scatter: FloatArray
    share: FloatArray
    background: FloatArray

    def genes(self, index: IntArray) -> Captured:
        """Of these genes."""
        sums, background = [part.genes(index) for part in self.sums], self.background[index]
        return replace(self, sums=sums, means=self.means[index], scatter=self.scatter[index], background=background)

    def captured(self, log_capture: FloatArray, b: int) -> FloatArray:
        """Means of a sample without its background, ``(genes, states)``."""
        return np.asarray(np.exp(log_capture[:, [b]]) * self.means)

    def loss(self, log_capture: FloatArray, spread: float) -> FloatArray:
        """Minus log-likelihood and log prior, ``(genes,)``."""
        known = np.where(log_capture > NOT_SEEN, log_capture, 0.0)
        total = 0.5 * (known**2).sum(axis=1) / spread**2
        for b, sums in enumerate(self.sums):
            mean = self.captured(log_capture, b) + self.background[:, [b]]
            total -= self.noise.log_likelihood(sums, mean, self.scatter[:, b])
        return np.asarray(total)

    def score(self, log_capture: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivative of the log-likelihood by log A and its information, each ``(genes, samples)``.

        ``sum_j w (Y - n m)`` and ``sum_j w n A mu`` with ``m = A mu + p`` and ``w = A mu / (m (1 + phi l m))``.
        """
        pairs = []
        for b, sums in enumerate(self.sums):
            own = self.captured(log_capture, b)
            mean = own + self.background[:, [b]]
            weight = own / (np.maximum(mean, LEAST_MEAN) * (1.0 + self.scatter[:, [b]] * sums.mean_size * mean))
            expected = np.einsum("gj,gj,j->g", mean, weight, sums.size)
            information = np.einsum("gj,gj,j->g", own, weight, sums.size)
            pairs.append((np.einsum("gj,gj->g", sums.value, weight) - expected, information))
        return np.stack([g for g, _ in pairs], axis=1), np.stack([i for _, i in pairs], axis=1)


def learn_capture(layer: Captured, log_capture: FloatArray, spread: float) -> FloatArray:
    """Newton steps in log A that keep its mean over the cells at zero; no gene's loss rises, ``(genes, samples)``."""
    seen = log_capture > NOT_SEEN
    weight = seen * layer.share
    loss = layer.loss(log_capture, spread)
    log_capture = log_capture.copy()
    for _ in range(NEWTON_STEPS):
        slope, information = layer.score(log_capture)
        slope, curvature = slope - log_capture / spread**2, information + spread**-2
        free = seen * slope / curvature
        push = seen * weight / curvature
        multiplier = (weight * free).sum(axis=1) / np.maximum((weight * push).sum(axis=1), 1e-12)
        step = free - multiplier[:, None] * push
        step /= np.maximum(np.abs(step).max(axis=1, keepdims=True), 1.0)  # all samples alike: their mean stays
        moving = np.flatnonzero(np.abs(step).max(axis=1) > SHORTEST)
        for _ in range(HALVINGS):
            tried = log_capture[moving] + step[moving]
            found = layer.genes(moving).loss(tried, spread)
            better = found < loss[moving]
            won = moving[better]
            log_capture[won], loss[won] = tried[better], found[better]
            moving = moving[~better]
            step[moving] *= 0.5
            if not len(moving):
                break
    return log_capture


def learn_spread(layer: Captured, log_capture: FloatArray, spread: float) -> tuple[float, float]:
    """Tau by an EM step, ``mean(a^2 + Var(a | counts))``, and the log volume that A was chosen from, nats."""
    seen = log_capture > NOT_SEEN
    _, information = layer.score(log_capture)
    variance = seen / (information + spread**-2)
    weight = seen * layer.share
    bound = (weight * variance) ** 2 / np.maximum((weight**2 * variance).sum(axis=1, keepdims=True), 1e-12)
    square = np.where(seen, log_capture**2, 0.0) + variance - bound
    degrees = np.maximum(seen.sum(axis=1) - 1, 0).sum()
    found = np.sqrt(square.sum() / max(int(degrees), 1))
    share_free = np.maximum(seen.sum(axis=1) - 1, 0) / np.maximum(seen.sum(axis=1), 1)
    volume = 0.5 * (np.log1p(spread**2 * np.where(seen, information, 0.0)) * share_free[:, None]).sum()
    return float(np.clip(found, LEAST_SPREAD, MOST_SPREAD)), float(volume)


def learn_effects(effects: SampleEffects, layers: tuple[Captured, Captured], *, spread_too: bool) -> SampleEffects:
    """Capture of both layers; its spread as well where that is still learned."""
    capture, spread, volume = effects.log_capture.copy(), effects.spread.copy(), 0.0
    for k, layer in enumerate(layers):
        for _ in range(ROUNDS if spread_too else 1):
            capture[k] = learn_capture(layer, capture[k], float(spread[k]))
            if spread_too:
                spread[k], own = learn_spread(layer, capture[k], float(spread[k]))
        volume += own if spread_too else 0.0
    return replace(effects, log_capture=capture, spread=spread, log_volume=volume if spread_too else effects.log_volume)


def learn_scatter(
    layer: Captured, scatter: FloatArray, log_factor: FloatArray, data: list[LayerData], log_capture: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Dispersion of each gene and log factor of each sample: a Newton step each, geometric mean of factors 1."""
    noise = layer.noise
    if not isinstance(noise, NegativeBinomial):
        return scatter, log_factor
    means = [layer.captured(log_capture, b) + layer.background[:, [b]] for b in range(len(layer.sums))]

    def value(b: int, phi: FloatArray) -> FloatArray:
        if data[b].n_cells == 0:
            return np.zeros_like(phi)
        return noise.scatter_log_likelihood(phi, layer.sums[b], means[b], data[b])

    def of_genes(log_phi: FloatArray) -> FloatArray:
        return np.asarray(np.sum([value(b, np.exp(log_phi + log_factor[b])) for b in range(len(data))], axis=0))

    scatter = np.exp(newton(of_genes, np.log(scatter), np.log(noise.least), np.log(noise.most)))

    def of_samples(logs: FloatArray) -> FloatArray:
        total = [value(b, scatter * np.exp(logs[b])).sum() for b in range(len(data))]
        return np.asarray(np.array(total) - 0.5 * (logs / DISPERSION_SD) ** 2)

    found = newton(of_samples, log_factor, -2.0, 2.0)
    middle = float(found @ layer.share)
    return scatter * np.exp(middle), found - middle
