"""A slow, simple reference of the compiled backend: one cell, one state, one gene at a time, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from velotime.compute import LEAST_VARIANCE, LayerSums, Sums
from velotime.kinetics import periodic_jacobian, periodic_means, switch_jacobian, switch_means


def row(entries, r, n):
    """One row of a list of entries, dense."""
    out = np.zeros(n)
    i, v, k = entries.index_start[r], entries.value_start[r], entries.length[r]
    for index, value in zip(entries.indices[i : i + k], entries.values[v : v + k], strict=True):
        out[index] += float(value)
    return out


def size_of(layer):
    """Summed sizes of each gene and state, also where they are the same for all genes."""
    return np.broadcast_to(layer.size, layer.value.shape)


@dataclass(frozen=True)
class NaiveBackend:
    """The primitives of ``velotime.compute.Backend``."""

    def cell(self, unspliced, spliced, model, prior_row, i):
        """Posterior of one cell, its log evidence, and its values of both layers."""
        score = np.zeros(model.log_prior.shape[1])
        values = []
        for layer, tables in ((unspliced, model.unspliced), (spliced, model.spliced)):
            level = layer.level[i]
            x = row(layer.by_cell, i, tables.slope.shape[1])
            score += x @ tables.slope[level].astype(float) - tables.offset[level]
            values.append(x)
        weight = score / model.temperature + model.log_prior[prior_row[i]]
        evidence = logsumexp(weight)
        return np.exp(weight - evidence), evidence, values

    def accumulate(self, unspliced, spliced, model, prior_row, group):
        n_genes, n_states = model.unspliced.slope.shape[1], model.log_prior.shape[1]
        sums, evidence = Sums.zero(n_genes, int(group.max()) + 1, n_states), np.zeros(unspliced.n_cells)
        for i in range(unspliced.n_cells):
            q, evidence[i], values = self.cell(unspliced, spliced, model, prior_row, i)
            weight = np.zeros_like(sums.weight)
            weight[group[i]] = q
            layers = (
                LayerSums(np.outer(x, q), np.outer(float(layer.size[i]) ** np.arange(1, 5), q))
                for x, layer in zip(values, (unspliced, spliced), strict=True)
            )
            sums = sums + Sums(*layers, weight)
        return sums, evidence

    def posterior(self, unspliced, spliced, model, prior_row, *, cells):
        found = [self.cell(unspliced, spliced, model, prior_row, i)[:2] for i in range(cells.start, cells.stop)]
        return np.array([q for q, _ in found]), np.array([evidence for _, evidence in found])

    def curve_means(self, theta, times, columns):
        u, s = ([], [])
        for own in columns:
            curves = [switch_means(gene[None, own], times) for gene in theta]
            u.append(np.vstack([curve[0] for curve in curves]))
            s.append(np.vstack([curve[1] for curve in curves]))
        return np.hstack(u), np.hstack(s)

    def curve_information(self, theta, times, columns, unspliced, spliced):
        n_genes, n_parameters = theta.shape
        gradient, fisher = np.zeros((n_genes, n_parameters)), np.zeros((n_genes, n_parameters, n_parameters))
        for g in range(n_genes):
            for k, own in enumerate(columns):
                u, s, du, ds = switch_jacobian(theta[g : g + 1, own], times)
                for layer, mean, slope in ((unspliced, u[0], du[0]), (spliced, s[0], ds[0])):
                    c = layer.variance[:, g]
                    mean = mean if layer.background is None else mean + layer.background[g]
                    for j in range(len(times)):
                        at = k * len(times) + j
                        variance = c[0] + mean[j] * (c[1] + c[2] * layer.mean_size[at] * mean[j])
                        variance = max(variance, LEAST_VARIANCE)
                        residual = layer.value[g, at] - size_of(layer)[g, at] * mean[j]
                        gradient[g, own] += residual / variance * slope[:, j]
                        weight = size_of(layer)[g, at] / variance
                        fisher[g, own[:, None], own] += weight * np.outer(slope[:, j], slope[:, j])
        return gradient, fisher

    def periodic_means(self, theta, times):
        return periodic_means(theta, times)

    def periodic_information(self, theta, times, unspliced, spliced):
        u, s, du, ds = periodic_jacobian(theta, times)
        gradient, fisher = 0.0, 0.0
        for layer, curve, slope in ((unspliced, u, du), (spliced, s, ds)):
            mean = curve if layer.background is None else curve + layer.background[:, None]
            c = layer.variance[..., None]
            variance = np.maximum(c[0] + mean * (c[1] + c[2] * layer.mean_size * mean), LEAST_VARIANCE)
            gradient += np.einsum("gpt,gt->gp", slope, (layer.value - layer.size * mean) / variance)
            fisher += np.einsum("gpt,gqt,gt->gpq", slope, slope, layer.size / variance)
        return gradient, fisher
