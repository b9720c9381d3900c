r"""Sums over cells whose time is a posterior over the nodes of a gene's curve, compiled.

With residuals ``e_k = (x - mu_k)/sigma`` at node k and weights pi a cell has density ``sum_k pi_k N(x; mu_k, sigma)``,
and posterior q over the nodes. Were its node known, the parameters' score would be s_k, linear in the residuals and
their squares; the score of the log density is its expectation under q (Fisher's identity), and that of the log weights
is ``q - pi``. The second derivative is what there would be if nodes were known, less what is missing as they are not
(Louis 1982):

    -L'' = sum_i E_q[-s_k'] - sum_i (E_q[z_k z_k'] - E_q[z_k] E_q[z_k]'),    z_k = (s_k, indicator of node k).

The first two expectations are linear in q, so that they need only moments of the residuals at each node, over all cells
together; only the last needs products cell by cell. ``-s_k'`` leaves out the curve's own second derivative, whose sum
over cells nearly vanishes at the fit (Gauss-Newton).

Loops run over 128 cells at a time, in float32, so that whole registers are used; sums over cells are float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime.compute.jit import REASSOC, jit
from velotime.inference.two_stage.gene_clock.kernels.curve import N_PARAMETERS, fill_nodes, scale

CELLS = 128  # cells that are worked on together
MOMENTS = 13  # 1, u, s, uu, us, ss, uuu, uus, uss, sss, uuuu, uuss, ssss of the residuals


@jit(REASSOC)
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


@jit(REASSOC)
def _posterior(u: Any, s: Any, nodes: Any, log_prior: Any, q: Any, best: Any, total: Any) -> None:
    """Posterior over nodes ``q`` (nodes, cells), and of each cell its logarithm's scale, ``best`` and ``total``."""
    n = u.shape[0]
    best[:] = np.float32(-np.inf)
    for k in range(nodes.shape[0]):
        row, at_u, at_s, c = q[k], nodes[k, 0], nodes[k, 1], log_prior[k]
        for i in range(n):
            e_u, e_s = u[i] - at_u, s[i] - at_s
            row[i] = c - np.float32(0.5) * (e_u * e_u + e_s * e_s)
            best[i] = row[i] if row[i] > best[i] else best[i]
    total[:] = 0
    for k in range(nodes.shape[0]):
        row = q[k]
        for i in range(n):
            row[i] = _exp(row[i] - best[i])
            total[i] += row[i]
    for k in range(nodes.shape[0]):
        row = q[k]
        for i in range(n):
            row[i] /= total[i]


@jit(REASSOC)
def _scores(u: Any, s: Any, nodes: Any, q: Any, out: Any) -> None:
    """Derivatives of each cell's log-likelihood by the parameters, ``out`` (parameters, cells)."""
    n = u.shape[0]
    out[:] = 0
    o_u, o_s, o_r, o_x, o_sigma, o_ratio = out[0], out[1], out[2], out[3], out[4], out[5]
    for k in range(nodes.shape[0]):
        row, at_u, at_s = q[k], nodes[k, 0], nodes[k, 1]
        u_r, s_r, u_x, s_x = nodes[k, 2], nodes[k, 3], nodes[k, 4], nodes[k, 5]
        for i in range(n):
            e_u, e_s = u[i] - at_u, s[i] - at_s
            q_u, q_s = row[i] * e_u, row[i] * e_s
            o_u[i] += q_u * at_u
            o_s[i] += q_s * at_s
            o_r[i] += q_u * u_r + q_s * s_r
            o_x[i] += q_u * u_x + q_s * s_x
            o_sigma[i] += q_u * e_u + q_s * e_s
            o_ratio[i] += np.float32(0.5) * (q_u * e_u - q_s * e_s)
    for i in range(n):
        o_sigma[i] -= np.float32(2.0)


@jit(REASSOC)
def _add_moments(u: Any, s: Any, mass: Any, nodes: Any, q: Any, moments: Any) -> None:
    """Add moments of the residuals at each node, ``moments`` (nodes, MOMENTS)."""
    zero = np.float32(0.0)
    for k in range(nodes.shape[0]):
        row, at_u, at_s, into = q[k], nodes[k, 0], nodes[k, 1], moments[k]
        m, m_u, m_s, m_uu, m_us, m_ss = zero, zero, zero, zero, zero, zero
        m_3u, m_uus, m_uss, m_3s, m_4u, m_22, m_4s = zero, zero, zero, zero, zero, zero, zero
        for i in range(u.shape[0]):
            e_u, e_s, w = u[i] - at_u, s[i] - at_s, row[i] * mass[i]
            uu, ss = w * e_u * e_u, w * e_s * e_s
            m += w
            m_u += w * e_u
            m_s += w * e_s
            m_uu += uu
            m_us += w * e_u * e_s
            m_ss += ss
            m_3u += uu * e_u
            m_uus += uu * e_s
            m_uss += ss * e_u
            m_3s += ss * e_s
            m_4u += uu * e_u * e_u
            m_22 += uu * e_s * e_s
            m_4s += ss * e_s * e_s
        into[0] += m
        into[1] += m_u
        into[2] += m_s
        into[3] += m_uu
        into[4] += m_us
        into[5] += m_ss
        into[6] += m_3u
        into[7] += m_uus
        into[8] += m_uss
        into[9] += m_3s
        into[10] += m_4u
        into[11] += m_22
        into[12] += m_4s


@jit(REASSOC)
def _add_products(z: Any, mass: Any, weighted: Any, first: Any, second: Any) -> None:
    """Add sums over cells of ``z`` (rows, cells) to ``first`` and of its products to ``second``, lower half."""
    n = mass.shape[0]
    for a in range(z.shape[0]):
        row, part = z[a], np.float32(0.0)
        for i in range(n):
            weighted[i] = row[i] * mass[i]
            part += weighted[i]
        first[a] += part
        for b in range(0, a + 1, 4):  # four at a time; what lies past the diagonal is not read
            one, two, three, four = z[b], z[min(b + 1, a)], z[min(b + 2, a)], z[min(b + 3, a)]
            p_1, p_2, p_3, p_4 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for i in range(n):
                w = weighted[i]
                p_1 += w * one[i]
                p_2 += w * two[i]
                p_3 += w * three[i]
                p_4 += w * four[i]
            into = second[a]
            into[b] += p_1
            if b + 1 <= a:
                into[b + 1] += p_2
            if b + 2 <= a:
                into[b + 2] += p_3
            if b + 3 <= a:
                into[b + 3] += p_4


@jit(REASSOC)
def _add_at_nodes(nodes: Any, moments: Any, complete: Any, second: Any) -> None:
    """Turn products of expectations in ``second`` to what is missing; add to ``complete``; lower halves."""
    p, slopes = N_PARAMETERS, np.zeros((4, 2))
    second *= -1.0
    for k in range(nodes.shape[0]):
        m = moments[k]
        w, e_u, e_s, uu, us, ss = m[0], m[1], m[2], m[3], m[4], m[5]
        uuu, uus, uss, sss, uuuu, uuss, ssss = m[6], m[7], m[8], m[9], m[10], m[11], m[12]
        slopes[0, 0], slopes[1, 1] = nodes[k, 0], nodes[k, 1]
        slopes[2, 0], slopes[2, 1], slopes[3, 0], slopes[3, 1] = nodes[k, 2], nodes[k, 3], nodes[k, 4], nodes[k, 5]
        for a in range(4):
            a_u, a_s = slopes[a, 0], slopes[a, 1]
            for b in range(a + 1):
                b_u, b_s = slopes[b, 0], slopes[b, 1]
                complete[a, b] += w * (a_u * b_u + a_s * b_s)
                second[a, b] += a_u * b_u * uu + (a_u * b_s + a_s * b_u) * us + a_s * b_s * ss
            score, by_u, by_s = a_u * e_u + a_s * e_s, a_u * uuu + a_s * uus, a_u * uss + a_s * sss
            second[4, a] += by_u + by_s - 2.0 * score
            second[5, a] += 0.5 * (by_u - by_s)
            second[p + k, a] += score
        complete[4, 4] += 2.0 * (uu + ss)
        complete[5, 4] += uu - ss
        complete[5, 5] += 0.5 * (uu + ss)
        second[4, 4] += uuuu + 2.0 * uuss + ssss - 4.0 * (uu + ss) + 4.0 * w
        second[5, 4] += 0.5 * (uuuu - ssss) - (uu - ss)
        second[5, 5] += 0.25 * (uuuu - 2.0 * uuss + ssss)
        second[p + k, 4] += uu + ss - 2.0 * w
        second[p + k, 5] += 0.5 * (uu - ss)
        second[p + k, p + k] += w


@jit(REASSOC)
def fill_upper(matrix: Any) -> None:
    """Mirror the lower half."""
    for a in range(matrix.shape[0]):
        for b in range(a):
            matrix[b, a] = matrix[a, b]


@jit(REASSOC)
def pack(matrix: Any, out: Any) -> None:
    """The lower half, row by row."""
    at = 0
    for a in range(matrix.shape[0]):
        for b in range(a + 1):
            out[at + b] = matrix[a, b]
        at += a + 1


@jit(REASSOC)
def posterior_genes(points: Any, theta: Any, spread: Any, log_prior: Any, out: Any) -> None:
    """Log-likelihood, scores, weights of the nodes and second derivatives of each gene of a block."""
    unspliced, spliced, mass, start = points
    value, gradient, weight, complete, missing = out
    n_nodes = log_prior.shape[1]
    curve, time = np.empty((n_nodes, 6)), np.empty(n_nodes)
    nodes, prior = np.empty((n_nodes, 6), dtype=np.float32), np.empty(n_nodes, dtype=np.float32)
    z = np.zeros((N_PARAMETERS + n_nodes, CELLS), dtype=np.float32)
    q = z[N_PARAMETERS:]
    best, total = np.zeros(CELLS, dtype=np.float32), np.zeros(CELLS, dtype=np.float32)
    u, s = np.empty(CELLS, dtype=np.float32), np.empty(CELLS, dtype=np.float32)
    weighted = np.empty(CELLS, dtype=np.float32)
    moments, first = np.empty((n_nodes, MOMENTS)), np.empty(N_PARAMETERS + n_nodes)
    second = np.empty((N_PARAMETERS + n_nodes, N_PARAMETERS + n_nodes))
    for g in range(theta.shape[0]):
        fill_nodes(np.exp(theta[g, 2]), np.exp(theta[g, 3]), curve, time)
        a_u, a_s, sigma_u, sigma_s = scale(theta[g], spread[g])
        for k in range(n_nodes):
            prior[k] = log_prior[g, k]
            for j in range(3):
                nodes[k, 2 * j], nodes[k, 2 * j + 1] = a_u * curve[k, 2 * j], a_s * curve[k, 2 * j + 1]
        per_u, per_s = np.float32(1.0 / sigma_u), np.float32(1.0 / sigma_s)
        moments[:] = 0.0
        first[:] = 0.0
        second[:] = 0.0
        sums, cells = 0.0, 0.0
        for at in range(start[g], start[g + 1], CELLS):
            n = min(CELLS, start[g + 1] - at)
            m = mass[at : at + n]
            for i in range(n):
                u[i], s[i] = unspliced[at + i] * per_u, spliced[at + i] * per_s
            _posterior(u[:n], s[:n], nodes, prior, q, best[:n], total[:n])
            _scores(u[:n], s[:n], nodes, q, z[:N_PARAMETERS])
            _add_moments(u[:n], s[:n], m, nodes, q, moments)
            _add_products(z, m, weighted, first, second)
            for i in range(n):
                sums += m[i] * (best[i] + np.log(total[i]))
                cells += m[i]
        value[g] = sums - cells * np.log(2 * np.pi * sigma_u * sigma_s)
        gradient[g], weight[g] = first[:N_PARAMETERS], first[N_PARAMETERS:]
        _add_at_nodes(nodes, moments, complete[g], second)
        fill_upper(complete[g])
        pack(second, missing[g])
