"""M-steps of what samples have of their own: capture, its spread, and dispersion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LayerSums, capture_scores, sum_of_growth, sum_of_rises
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import NegativeBinomial, Noise, newton
from velotime.inference.model.samples.effects import NOT_SEEN, SampleEffects

NEWTON_STEPS = 2
HALVINGS = 4
SHORTEST = 1e-7  # step in log A that is taken: what shorter ones gain is lost in rounding
ROUNDS = 3  # of capture and its spread, while the spread is learned
LEAST_SPREAD, MOST_SPREAD = 0.02, 3.0
POWERS = np.arange(4)[:, None]  # of a factor of the sizes, in sums of their powers
DISPERSION_SD = 0.5  # prior sd of log psi: dispersions of samples differ by some tens of per cent


@dataclass(frozen=True)
class Captured:
    """One layer of all samples at given means: what A is fitted to.

    Sums of all samples stand side by side, sample by sample along the states. As ``phi_g psi_b l`` is all that is asked
    of dispersion and size, psi is made a part of the sizes, so that the noise model sees one dispersion of each gene.

    Attributes
    ----------
    noise
        How counts scatter.
    sums
        Of all samples, of ``samples * states`` states.
    means
        Common means, ``(genes, states)``.
    scatter
        Of each gene, ``(genes,)``.
    share
        Of the cells in each sample, ``(samples,)``.
    background
        Of each sample, ``(genes, samples)``.
    """

    noise: Noise
    sums: LayerSums
    means: FloatArray
    scatter: FloatArray
    share: FloatArray
    background: FloatArray

    @classmethod
    def of(
        cls,
        noise: Noise,
        sums: list[LayerSums],
        means: FloatArray,
        scatter: tuple[FloatArray, FloatArray],
        share: FloatArray,
        background: FloatArray,
    ) -> Captured:
        """From sums of each sample; ``scatter`` are dispersions of genes and log factors of samples."""
        value = np.concatenate([part.value for part in sums], axis=1)
        powers = [part.size_powers * np.exp(log * POWERS) for part, log in zip(sums, scatter[1], strict=True)]
        return cls(noise, LayerSums(value, np.concatenate(powers, axis=1)), means, scatter[0], share, background)

    def genes(self, index: IntArray) -> Captured:
        """Of these genes."""
        return replace(
            self,
            sums=self.sums.genes(index),
            means=self.means[index],
            scatter=self.scatter[index],
            background=self.background[index],
        )

    def of_samples(self, states: FloatArray) -> FloatArray:
        """What stands side by side, sample by sample: ``(genes, samples, states)``, or ``(1, samples, states)``."""
        return states.reshape(-1, len(self.share), self.means.shape[1])

    def captured(self, log_capture: FloatArray) -> FloatArray:
        """Means of each sample without its background, ``(genes, samples, states)``."""
        return np.asarray(np.exp(log_capture)[:, :, None] * self.means[:, None, :])

    def all_means(self, log_capture: FloatArray) -> FloatArray:
        """Means of all samples side by side, background and all, ``(genes, samples * states)``."""
        return (self.captured(log_capture) + self.background[:, :, None]).reshape(len(self.means), -1)

    def loss(self, log_capture: FloatArray, spread: float) -> FloatArray:
        """Minus log-likelihood and log prior, ``(genes,)``."""
        known = np.where(log_capture > NOT_SEEN, log_capture, 0.0)
        prior = 0.5 * (known**2).sum(axis=1) / spread**2
        return np.asarray(prior - self.noise.log_likelihood(self.sums, self.all_means(log_capture), self.scatter))

    def growth(self, means: FloatArray, scatter: FloatArray) -> FloatArray:
        """``sum_j (Y + n/(phi l)) log(1 + phi l m)`` of dispersions ``(genes, samples)``; two sizes of each state."""
        n_states = means.shape[2]
        value, rows = self.sums.value.reshape(-1, n_states), means.reshape(-1, n_states)
        size, total = self.of_samples(self.sums.size)[0], np.zeros(scatter.size)
        for one in self.sums.two_sizes:
            at_size, share = (self.of_samples(of_all)[0] for of_all in one)
            total += sum_of_growth(value, size, share, at_size, rows, scatter.ravel())
        return total.reshape(scatter.shape)

    def score(self, log_capture: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivative of the log-likelihood by log A and its information, each ``(genes, samples)``.

        ``sum_j w (Y - n m)`` and ``sum_j w n A mu`` with ``m = A mu + p`` and ``w = A mu / (m (1 + phi l m))``.
        """
        value, size, mean_size = map(self.of_samples, (self.sums.value, self.sums.size, self.sums.mean_size))
        sums = value, size[0], mean_size[0]
        return capture_scores(sums, self.means, np.exp(log_capture), self.background, self.scatter)


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
            if not len(moving):
                break
            tried = log_capture[moving] + step[moving]
            found = layer.genes(moving).loss(tried, spread)
            better = found < loss[moving]
            won = moving[better]
            log_capture[won], loss[won] = tried[better], found[better]
            moving = moving[~better]
            step[moving] *= 0.5
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
    layer: Captured, log_factor: FloatArray, data: list[LayerData], log_capture: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Dispersion of each gene and log factor of each sample: a Newton step each, geometric mean of factors 1.

    The factors are those that the layer was made with.
    """
    noise = layer.noise
    if not isinstance(noise, NegativeBinomial):
        return layer.scatter, log_factor
    counts, means = histograms(data), layer.of_samples(layer.all_means(log_capture))

    def value(scatter: FloatArray, logs: FloatArray) -> FloatArray:
        """Log-likelihood of the dispersions, ``(genes, samples)``."""
        phi = (scatter[:, None] * np.exp(logs)).ravel()
        rises = sum_of_rises(counts, 1.0 / phi, np.log(phi)).reshape(-1, len(logs))
        return rises - layer.growth(means, scatter[:, None] * np.exp(logs - log_factor))

    def of_genes(log_phi: FloatArray) -> FloatArray:
        return np.asarray(value(np.exp(log_phi), log_factor).sum(axis=1))

    scatter = np.exp(newton(of_genes, np.log(layer.scatter), np.log(noise.least), np.log(noise.most)))

    def of_samples(logs: FloatArray) -> FloatArray:
        return np.asarray(value(scatter, logs).sum(axis=0) - 0.5 * (logs / DISPERSION_SD) ** 2)

    found = newton(of_samples, log_factor, -2.0, 2.0)
    middle = float(found @ layer.share)
    return scatter * np.exp(middle), found - middle


def histograms(data: list[LayerData]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Distinct counts of all samples: (gene times samples plus sample, count, times)."""
    found = [(b, *own.histogram) for b, own in enumerate(data) if own.n_cells]
    rows = np.concatenate([gene * len(data) + b for b, gene, _, _ in found])
    return rows, np.concatenate([count for _, _, count, _ in found]), np.concatenate([times for *_, times in found])
