"""Sums over cells whose time is a posterior over the nodes of a gene's curve, compiled.

With residuals ``e_k = (x - mu_k)/sigma`` at node k and weights pi a cell has density ``sum_k pi_k N(x; mu_k, sigma)``.
Its score, the derivative of the log density, is the posterior's expectation of ``e_k dmu_k/sigma`` (Fisher's identity),
which needs ten expectations over nodes. The sum of the scores' squares stands for the second derivative (Berndt, Hall,
Hall and Hausman 1974): unlike the posterior's own normal equations it knows how much is missing as times are unknown.

Loops run over 128 cells at a time, in float32, so that whole registers are used; sums over cells are float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime.backends._gene_curve import N_PARAMETERS, fill_nodes, jit, scale

CELLS = 128  # cells that are worked on together
SUMS = 10  # expectations over nodes that the scores need


@jit
def _tables(theta: Any, spread: Any, log_prior: Any, fractions: Any, curve: Any, time: Any) -> Any:
    """What the score of every node is linear in: ``table`` (nodes, SUMS) and ``constant`` (nodes,)."""
    fill_nodes(np.exp(theta[2]), np.exp(theta[3]), fractions, curve, time)
    a_u, a_s, _, _ = scale(theta, spread)
    n = curve.shape[0]
    table = np.empty((n, SUMS), dtype=np.float32)
    constant = np.empty(n, dtype=np.float32)
    for k in range(n):
        u, s = a_u * curve[k, 0], a_s * curve[k, 1]
        u_r, s_r = a_u * curve[k, 2], a_s * curve[k, 3]
        u_x, s_x = a_u * curve[k, 4], a_s * curve[k, 5]
        table[k, 0], table[k, 1], table[k, 2], table[k, 3] = u, u * u, s, s * s
        table[k, 4], table[k, 5], table[k, 6] = u_r, s_r, u * u_r + s * s_r
        table[k, 7], table[k, 8], table[k, 9] = u_x, s_x, u * u_x + s * s_x
        constant[k] = log_prior[k] - 0.5 * (u * u + s * s)
    return table, constant


@jit
def _exp(x: Any) -> Any:
    """e^x for x <= 0 in float32, as (e^(x/32))^32: arithmetic only, so that loops over it use whole registers."""
    y = max(x, np.float32(-24.0)) * np.float32(1.0 / 32.0)
    p = np.float32(1.0 / 24.0) + y * np.float32(1.0 / 120.0)
    p = np.float32(1.0) + y * (np.float32(1.0) + y * (np.float32(0.5) + y * (np.float32(1.0 / 6.0) + y * p)))
    p *= p
    p *= p
    p *= p
    p *= p
    return p * p


@jit
def _expectations(u: Any, s: Any, table: Any, constant: Any, q: Any, sums: Any, best: Any, total: Any) -> None:
    """Posterior over nodes ``q`` (nodes, cells), not normalised, its total, and ``sums`` (SUMS, cells)."""
    n_nodes, n = table.shape[0], u.shape[0]
    for k in range(n_nodes):
        row, t_u, t_s, c = q[k], table[k, 0], table[k, 2], constant[k]
        for i in range(n):
            row[i] = c + u[i] * t_u + s[i] * t_s
    best[:n] = q[0, :n]
    for k in range(1, n_nodes):
        row = q[k]
        for i in range(n):
            best[i] = row[i] if row[i] > best[i] else best[i]
    total[:] = 0
    sums[:] = 0
    for k in range(n_nodes):
        row = q[k]
        for i in range(n):
            row[i] = _exp(row[i] - best[i])
            total[i] += row[i]
        for j in range(SUMS):
            into, value = sums[j], table[k, j]
            for i in range(n):
                into[i] += value * row[i]
    for i in range(n):
        total[i] = np.float32(1.0) / total[i]


@jit
def _scores(u: Any, s: Any, sums: Any, inverse: Any, out: Any) -> None:
    """Derivatives of each cell's log-likelihood by the parameters, ``out`` (parameters, cells)."""
    two, half = np.float32(2.0), np.float32(0.5)
    for i in range(u.shape[0]):
        w, a, b = inverse[i], u[i], s[i]
        mean_u, mean_s = sums[0, i] * w, sums[2, i] * w
        square_u, square_s = sums[1, i] * w, sums[3, i] * w
        out[0, i] = a * mean_u - square_u
        out[1, i] = b * mean_s - square_s
        out[2, i] = (a * sums[4, i] + b * sums[5, i] - sums[6, i]) * w
        out[3, i] = (a * sums[7, i] + b * sums[8, i] - sums[9, i]) * w
        e_u = a * (a - two * mean_u) + square_u
        e_s = b * (b - two * mean_s) + square_s
        out[4, i] = e_u + e_s - two
        out[5, i] = half * (e_u - e_s)


@jit
def posterior_genes(
    unspliced: Any, spliced: Any, theta: Any, spread: Any, log_prior: Any, fractions: Any, out: Any
) -> None:
    """Log-likelihood, scores, their squares and the posterior's sums over cells, of each gene of a block."""
    value, gradient, square, weight = out
    n_cells, n_nodes = unspliced.shape[1], log_prior.shape[1]
    curve, time = np.empty((n_nodes, 6)), np.empty(n_nodes)
    q = np.zeros((n_nodes, CELLS), dtype=np.float32)
    sums = np.zeros((SUMS, CELLS), dtype=np.float32)
    best, inverse = np.zeros(CELLS, dtype=np.float32), np.zeros(CELLS, dtype=np.float32)
    u, s = np.empty(CELLS, dtype=np.float32), np.empty(CELLS, dtype=np.float32)
    score = np.zeros((N_PARAMETERS, CELLS), dtype=np.float32)
    for g in range(unspliced.shape[0]):
        table, constant = _tables(theta[g], spread[g], log_prior[g], fractions, curve, time)
        _, _, sigma_u, sigma_s = scale(theta[g], spread[g])
        per_u, per_s = np.float32(1.0 / sigma_u), np.float32(1.0 / sigma_s)
        total = -n_cells * np.log(2 * np.pi * sigma_u * sigma_s)
        for first in range(0, n_cells, CELLS):
            n = min(CELLS, n_cells - first)
            for i in range(n):
                u[i], s[i] = unspliced[g, first + i] * per_u, spliced[g, first + i] * per_s
            _expectations(u[:n], s[:n], table, constant, q, sums, best, inverse)
            _scores(u[:n], s[:n], sums, inverse, score)
            for i in range(n):
                total += best[i] - np.log(inverse[i]) - np.float32(0.5) * (u[i] * u[i] + s[i] * s[i])
            for k in range(n_nodes):
                part = np.float32(0.0)
                for i in range(n):
                    part += q[k, i] * inverse[i]
                weight[g, k] += part
            for a in range(N_PARAMETERS):
                part = np.float32(0.0)
                for i in range(n):
                    part += score[a, i]
                gradient[g, a] += part
                for b in range(a + 1):
                    part = np.float32(0.0)
                    for i in range(n):
                        part += score[a, i] * score[b, i]
                    square[g, a, b] += part
        value[g] = total
        for a in range(N_PARAMETERS):
            for b in range(a):
                square[g, b, a] = square[g, a, b]
