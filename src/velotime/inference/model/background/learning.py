r"""How large the background is, learned in the M-step together with all curves.

Molecules from broken cells are caught with every cell, in proportion to how many there are of each gene. With ``p_g``
the mean count of a gene over all cells (at size factor 1) and ``e`` one share per layer,

    mean count = l_i (curve_g(t_i) + e p_g).

The curves give way to a background, as a level that is lower by ``e p_g`` makes up for it, in all genes but those whose
level would fall below zero or whose two layers ask for different ones. Steps of the shares with the curves held, and of
the curves with the shares held, would crawl; so the step is Newton's for both at once. With ``H_g`` the Hessian of a
gene's loss, ``a_g = sum_j n_j/V_j p_g J_gj`` its cross terms with a share, ``b`` the shares' own second derivative and
``d_g``, ``c`` the gradients,

    step of the shares   (b - sum_g a_g^T H_g^-1 a_g)^-1 (c - sum_g a_g^T H_g^-1 d_g)
    step of a gene       H_g^-1 (d_g - a_g step of the shares)

(Schur's complement; it costs three calls of the normal equations.) The step is halved until the loss of all genes
together falls, and otherwise not taken: the bound cannot fall by it.

What both layers have alike is, to a curve, a level that the gene never falls below: the data do not tell the two apart,
and the weak prior of levels leans to the level. So shares are the least that the counts ask for: in the main how much
more of one layer is background than of the other, which is what bends curves.

Each of several samples has shares of its own. What a sample captures of its cells falls as its share rises, which keeps
the counts of all its cells together: the means gain ``p_g - A_g curve_g / (1 - e)`` by the share.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from velotime._types import BoolArray, FloatArray
from velotime.compute import LEAST_VARIANCE, CurveTargets
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import LONGEST_STEP, Descent, begin, better

MOST = 0.5  # of all counts: more is no background
LARGEST_MOVE = 0.05  # of a share in one step
FRACTIONS = (1.0, 0.5, 0.25, 0.06)  # of a step that are tried


def learn_background(problem: GeneProblem, fit: Descent, profile: FloatArray) -> tuple[Descent, GeneProblem]:
    """One step of the shares and of all curves.

    Parameters
    ----------
    problem
        The M-step's problem, with the background as it is.
    fit
        Its curves as they are.
    profile
        Counts of each gene that a background of share 1 has, ``(2, genes)``; two rows for each of several samples.

    Returns
    -------
    The curves, and the problem with the background as it is now.
    """
    share = problem.shares(profile)
    move, steps = _newton(problem, fit.theta, profile, share)
    before = fit.loss.sum() + problem.prior_of_shares(share)[0]
    for fraction in FRACTIONS:
        new = np.clip(share + fraction * move, 0.0, MOST)
        moved, carried = problem.with_shares(new, profile, fit.theta)
        theta = problem.within(carried + fraction * steps, carried)
        tried = better(begin(moved, theta, fit.damping), begin(moved, carried, fit.damping))
        if tried.loss.sum() + moved.prior_of_shares(new)[0] < before:
            return tried, moved
    return fit, problem


def _newton(
    problem: GeneProblem, theta: FloatArray, profile: FloatArray, share: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Steps of the shares, ``(rows,)``, and of the curves, ``(genes, parameters)``; see the text of this module."""
    gradient, fisher = problem.information(theta)
    gradient -= problem.prior.gradient(theta)
    hessian = fisher + problem.prior.hessian
    slope, curvature, cross = _of_shares(problem, theta, profile)
    _, prior_slope, prior_curvature = problem.prior_of_shares(share)
    held = _held(problem, theta, gradient)
    gradient[held] = 0.0
    cross[held] = 0.0
    hessian = np.where(held[:, :, None] | held[:, None, :], np.eye(theta.shape[1]), hessian)
    solved = np.linalg.solve(hessian, np.concatenate([gradient[..., None], cross], axis=2))
    reduced = cross.transpose(0, 2, 1) @ solved
    own_slope = slope - prior_slope - reduced[:, :, 0].sum(axis=0)
    own_curvature = np.diag(curvature + prior_curvature) - reduced[:, :, 1:].sum(axis=0)
    move = _within_bounds(own_slope, own_curvature, share)
    return move, np.clip(solved[:, :, 0] - solved[:, :, 1:] @ move, -LONGEST_STEP, LONGEST_STEP)


def _held(problem: GeneProblem, theta: FloatArray, gradient: FloatArray) -> BoolArray:
    """Parameters that stand at a bound and would leave it, ``(genes, parameters)``: they give way to nothing."""
    at_lower, at_upper = theta <= problem.prior.lower, theta >= problem.prior.upper
    return np.asarray((at_lower & (gradient < 0)) | (at_upper & (gradient > 0)))


def _within_bounds(slope: FloatArray, curvature: FloatArray, share: FloatArray) -> FloatArray:
    """Newton's step of the shares, none of which falls below zero: one that would is held, the others solved again.

    A share of which the counts say nothing, as of a sample without cells, stays.
    """
    free = np.diagonal(curvature) > 0.0
    move = np.zeros(len(share))
    while free.any():
        move[:] = 0.0
        move[free] = np.linalg.solve(curvature[np.ix_(free, free)], slope[free])
        falling = (share <= 0.0) & (move < 0)
        if not falling.any():
            break
        worst = int(np.argmin(np.where(falling, move, np.inf)))
        free[worst], move[worst] = False, 0.0
    return np.clip(move, -LARGEST_MOVE, LARGEST_MOVE)


def _of_shares(
    problem: GeneProblem, theta: FloatArray, profile: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient and curvature by the shares, ``(rows,)`` each, and terms with curves, ``(genes, parameters, rows)``.

    The normal equations of a layer with residual ``n d`` in place of ``Y - n mu``, d what the mean gains by the share,
    are ``sum_j n_j/V_j d_j J``: the cross terms.
    """
    slope, curvature, cross = [], [], []
    for part, own, gained in problem.by_share(theta, profile):
        targets, means = part.targets, part.means(own)
        nothing = [replace(target, value=target.size * mu) for target, mu in zip(targets, means, strict=True)]
        for k, (target, mu, gain) in enumerate(zip(targets, means, gained, strict=True)):
            weight = gain / _variance(target, mu)
            slope.append(float(np.vdot(weight, target.value - target.size * mu)))
            curvature.append(float(np.vdot(weight * gain, np.broadcast_to(target.size, mu.shape))))
            layers = list(nothing)
            layers[k] = replace(target, value=target.size * (mu + gain))
            cross.append(part.states.information(own, *layers)[0])
    return np.array(slope), np.array(curvature), np.stack(cross, axis=2)


def _variance(target: CurveTargets, mu: FloatArray) -> FloatArray:
    """Variance of a value over its size, as the normal equations have it, ``(genes, states)``."""
    constant, linear, quadratic = target.variance[..., None]
    return np.asarray(np.maximum(constant + mu * (linear + quadratic * target.mean_size * mu), LEAST_VARIANCE))
