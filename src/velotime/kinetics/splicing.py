r"""Transcription, splicing and degradation in closed form.

For constant alpha, from (u0, s0) at tau = 0, in divided differences of exp:

    u(tau) = u0 e^(-beta tau) + alpha tau exp[0, -beta tau]
    s(tau) = s0 e^(-gamma tau) + u0 beta tau exp[-beta tau, -gamma tau] + alpha beta tau^2 exp[0, -beta tau, -gamma tau]

Every term is non-negative, so nothing cancels, and nothing branches on beta = gamma.
(Derivation: ``e^(-gamma tau)`` convolved with ``e^(-beta tau)`` is ``tau exp[-beta tau, -gamma tau]``, and that with a
constant is ``tau^2 exp[0, -beta tau, -gamma tau]``.)

**Switch model.** alpha is alpha_0 before t_on, alpha_1 until t_off and alpha_2 after; the gene starts in the steady
state of alpha_0. With ``x1 = clip(t - t_on, 0, t_off - t_on)`` and ``x2 = max(t - t_off, 0)`` the value at t is the
steady state carried by x1 under alpha_1 and then by x2 under alpha_2. Its derivatives follow by the chain rule through
the two steps; in t itself they are the right-hand sides ``alpha - beta u`` and ``beta u - gamma s``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from velotime.kinetics.divided_differences import Differences, differences, exp1, higher_differences


class SwitchParameter(IntEnum):
    """Columns of the parameters of the switch model; ``level_k = alpha_k / gamma``."""

    LOG_BETA = 0
    LOG_GAMMA = 1
    T_ON = 2
    LOG_LEVEL_0 = 3
    LOG_LEVEL_1 = 4
    LOG_SCALING = 5
    LOG_DURATION = 6
    LOG_LEVEL_2 = 7


def steady_state(alpha: Any, beta: Any, gamma: Any) -> tuple[Any, Any]:
    """Values at which nothing changes: ``(alpha/beta, alpha/gamma)``.

    Examples
    --------
    >>> from velotime.kinetics import steady_state
    >>> steady_state(6.0, 3.0, 2.0)
    (2.0, 3.0)
    """
    return alpha / beta, alpha / gamma


def unspliced(tau: Any, u0: Any, alpha: Any, beta: Any) -> Any:
    """Unspliced abundance a time ``tau >= 0`` after it was ``u0``; arguments broadcast.

    Parameters
    ----------
    tau
        Time since the last switch, relative.
    u0
        Unspliced abundance at the switch.
    alpha, beta
        Transcription and splicing rate since then, per unit of ``tau``.
    """
    xp = array_namespace(tau, u0, alpha, beta)
    x = -beta * tau
    return u0 * xp.exp(x) + alpha * tau * exp1(xp.zeros_like(x), x)


def spliced(tau: Any, u0: Any, s0: Any, alpha: Any, beta: Any, gamma: Any) -> Any:
    """Spliced abundance a time ``tau >= 0`` after the abundances were ``(u0, s0)``; arguments broadcast.

    Parameters
    ----------
    tau
        Time since the last switch, relative.
    u0, s0
        Unspliced and spliced abundance at the switch.
    alpha, beta, gamma
        Transcription, splicing and degradation rate since then, per unit of ``tau``.

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import spliced
    >>> spliced(np.array([0.0, 0.5, 50.0]), 0.0, 0.0, 6.0, 2.0, 2.0).round(3).tolist()
    [0.0, 0.793, 3.0]
    """
    return _carry(differences(-beta * tau, -gamma * tau), tau, u0, s0, alpha, beta)[1]


def _carry(d: Differences, tau: Any, u0: Any, s0: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    """Both abundances after ``tau``, from the divided differences at ``-beta tau`` and ``-gamma tau``."""
    made = alpha * tau
    u = u0 * d.p + made * d.op
    s = s0 * d.q + beta * tau * (u0 * d.pq + made * d.opq)
    return u, s


def velocity(u: Any, s: Any, alpha: Any, beta: Any, gamma: Any) -> tuple[Any, Any]:
    """Rates of change ``(alpha - beta u, beta u - gamma s)``."""
    return alpha - beta * u, beta * u - gamma * s


class _Gene(NamedTuple):
    """Parameters on their natural scale, each ``(genes, 1)``."""

    beta: Any
    gamma: Any
    t_on: Any
    alpha_0: Any
    alpha_1: Any
    alpha_2: Any
    scaling: Any
    duration: Any


def _natural(theta: Any) -> _Gene:
    xp = array_namespace(theta)
    value = xp.exp(theta)
    p = SwitchParameter

    def column(k: int) -> Any:
        return value[:, k : k + 1]

    gamma = column(p.LOG_GAMMA)
    return _Gene(
        beta=column(p.LOG_BETA),
        gamma=gamma,
        t_on=theta[:, p.T_ON : p.T_ON + 1],
        alpha_0=column(p.LOG_LEVEL_0) * gamma,
        alpha_1=column(p.LOG_LEVEL_1) * gamma,
        alpha_2=column(p.LOG_LEVEL_2) * gamma,
        scaling=column(p.LOG_SCALING),
        duration=column(p.LOG_DURATION),
    )


def _elapsed(gene: _Gene, t: Any) -> tuple[Any, Any]:
    """Time spent under alpha_1 and under alpha_2, each ``(genes, times)``."""
    xp = array_namespace(t)
    since_on = t[None, :] - gene.t_on
    zero = xp.zeros_like(since_on)
    return xp.minimum(xp.maximum(since_on, zero), gene.duration), xp.maximum(since_on - gene.duration, zero)


def _true_means(gene: _Gene, t: Any) -> tuple[Any, Any]:
    """Abundances without the scaling of unspliced."""
    x1, x2 = _elapsed(gene, t)
    u, s = steady_state(gene.alpha_0, gene.beta, gene.gamma)
    for x, alpha in ((x1, gene.alpha_1), (x2, gene.alpha_2)):
        u, s = _carry(differences(-gene.beta * x, -gene.gamma * x), x, u, s, alpha, gene.beta)
    return u, s


def switch_means(theta: Any, t: Any) -> tuple[Any, Any]:
    """Unspliced and spliced means of the switch model, each ``(genes, times)``.

    Parameters
    ----------
    theta
        Parameters, ``(genes, 8)``, columns as in :class:`SwitchParameter`.
    t
        Latent times, ``(times,)``, relative.

    Returns
    -------
    Unspliced, times the scaling c of its capture, and spliced.
    """
    gene = _natural(theta)
    u, s = _true_means(gene, t)
    return gene.scaling * u, s


def switch_velocity(theta: Any, t: Any) -> tuple[Any, Any]:
    """Rates of change of :func:`switch_means`: ``c (alpha - beta u)`` and ``beta u - gamma s``, per unit of ``t``.

    At a switch alpha is the one that begins there.
    """
    xp = array_namespace(theta, t)
    gene = _natural(theta)
    u, s = _true_means(gene, t)
    since_on = t[None, :] - gene.t_on
    alpha = xp.where(since_on < 0, gene.alpha_0, xp.where(since_on < gene.duration, gene.alpha_1, gene.alpha_2))
    velocity_u, velocity_s = velocity(u, s, alpha, gene.beta, gene.gamma)
    return gene.scaling * velocity_u, velocity_s


class _Step(NamedTuple):
    """One step of the kinetics and its partial derivatives; ``du_db`` is d u(tau) / d beta at fixed tau."""

    u: Any
    s: Any
    du_du0: Any
    ds_ds0: Any
    ds_du0: Any
    du_dalpha: Any
    ds_dalpha: Any
    du_db: Any
    ds_db: Any
    ds_dg: Any


def _step(x: Any, u0: Any, s0: Any, alpha: Any, beta: Any, gamma: Any) -> _Step:
    """Carry (u0, s0) by x. d/dx of exp[x, y] is exp[x, x, y], and so on one order up."""
    bx = beta * x
    p, q = -bx, -gamma * x
    d = differences(p, q)
    higher = higher_differences(p, q, d)
    u, s = _carry(d, x, u0, s0, alpha, beta)
    x_u0, xx_alpha = x * u0, alpha * (x * x)
    return _Step(
        u=u,
        s=s,
        du_du0=d.p,
        ds_ds0=d.q,
        ds_du0=bx * d.pq,
        du_dalpha=x * d.op,
        ds_dalpha=bx * (x * d.opq),
        du_db=-x_u0 * d.p - xx_alpha * higher.opp,
        ds_db=x_u0 * (d.pq - bx * higher.ppq) + xx_alpha * (d.opq - bx * higher.oppq),
        ds_dg=-x * (s0 * d.q) - bx * (x_u0 * higher.pqq + xx_alpha * higher.opqq),
    )


def switch_jacobian(theta: Any, t: Any) -> tuple[Any, Any, Any, Any]:
    """Means of the switch model and their derivatives by the eight parameters.

    At a switch itself the derivative is the one from the left: the switch has not acted yet.

    Parameters
    ----------
    theta
        Parameters, ``(genes, 8)``, columns as in :class:`SwitchParameter`.
    t
        Latent times, ``(times,)``, relative.

    Returns
    -------
    Unspliced and spliced means, each ``(genes, times)``, and their derivatives, each ``(genes, 8, times)``.
    """
    xp = array_namespace(theta, t)
    gene = _natural(theta)
    beta, gamma = gene.beta, gene.gamma
    x1, x2 = _elapsed(gene, t)
    u0, s0 = steady_state(gene.alpha_0, beta, gamma)
    one = _step(x1, u0, s0, gene.alpha_1, beta, gamma)
    two = _step(x2, one.u, one.s, gene.alpha_2, beta, gamma)

    du = xp.empty((theta.shape[0], 8, t.shape[0]), dtype=theta.dtype)
    ds = xp.empty_like(du)

    def put(parameter: SwitchParameter, u1: Any, s1: Any, u2: Any = 0.0, s2: Any = 0.0) -> None:
        """Derivatives after the first step carried through the second, plus the second's own."""
        du[:, parameter, :] = two.du_du0 * u1 + u2
        ds[:, parameter, :] = two.ds_ds0 * s1 + two.ds_du0 * u1 + s2

    p = SwitchParameter
    u1_level0, s1_level0 = one.du_du0 * u0, one.ds_ds0 * s0 + one.ds_du0 * u0
    u1_level1, s1_level1 = gene.alpha_1 * one.du_dalpha, gene.alpha_1 * one.ds_dalpha
    u2_level2, s2_level2 = gene.alpha_2 * two.du_dalpha, gene.alpha_2 * two.ds_dalpha
    put(p.LOG_LEVEL_0, u1_level0, s1_level0)
    put(p.LOG_LEVEL_1, u1_level1, s1_level1)
    put(p.LOG_LEVEL_2, 0.0, 0.0, u2_level2, s2_level2)
    # u0 = level_0 gamma / beta
    put(
        p.LOG_BETA,
        beta * one.du_db - u1_level0,
        beta * one.ds_db - one.ds_du0 * u0,
        beta * two.du_db,
        beta * two.ds_db,
    )
    # alpha_k = level_k gamma as well
    put(
        p.LOG_GAMMA,
        u1_level0 + u1_level1,
        gamma * one.ds_dg + one.ds_du0 * u0 + s1_level1,
        u2_level2,
        gamma * two.ds_dg + s2_level2,
    )
    # Time moves x1 between the switches and x2 after the last one; a longer pulse moves both after it.
    du1_dx1, ds1_dx1 = velocity(one.u, one.s, gene.alpha_1, beta, gamma)
    du2_dx2, ds2_dx2 = velocity(two.u, two.s, gene.alpha_2, beta, gamma)
    after = xp.astype(x2 > 0, theta.dtype)
    between = xp.astype(x1 > 0, theta.dtype) * (1 - after)
    put(p.T_ON, -between * du1_dx1, -between * ds1_dx1, -after * du2_dx2, -after * ds2_dx2)
    longer = after * gene.duration
    put(p.LOG_DURATION, longer * du1_dx1, longer * ds1_dx1, -longer * du2_dx2, -longer * ds2_dx2)
    du[:, p.LOG_SCALING, :], ds[:, p.LOG_SCALING, :] = two.u, 0.0
    du *= gene.scaling[:, None, :]
    return gene.scaling * two.u, two.s, du, ds
