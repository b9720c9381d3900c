r"""Transcription, splicing and degradation on a clock that goes round, in closed form.

Genes have one of two shapes. Those of the switch are on for a duration below 1, a turn. A gene whose "duration" is a
whole turn never switches: its transcription is smooth (``smooth``) and its levels are the lowest and the highest.

**The periodic switch.** alpha is alpha_1 for a time d from t_on on and alpha_0 for the rest of the turn, whose length
is 1. One turn takes the abundances x = (u, s) at the onset to ``e^M x + c``, where c is what a turn makes from nothing
and

    e^M = ( e^-beta                        0       )
          ( beta exp[-beta, -gamma]        e^-gamma )

so that a gene that has gone round for long begins each turn at ``x_0 = (I - e^M)^-1 c``:

    u_0 = c_u / (1 - e^-beta)        s_0 = (c_s + beta exp[-beta, -gamma] u_0) / (1 - e^-gamma)

c is two steps of ``splicing`` under alpha_1 and alpha_0; every term is non-negative, so nothing cancels. Derivatives:
with ``x_0 = F(x_0, theta)``, ``dx_0 = (I - e^M)^-1 dF`` at fixed x_0, by the same two divisions.

**Growth.** Cells that double once a turn dilute what they hold: ``u' = alpha - (beta + lambda) u`` and
``s' = beta u - (gamma + lambda) s`` with ``lambda = ln 2``. With ``v = u beta / (beta + lambda)`` in place of u these
are the equations above at the rates ``beta + lambda`` and ``gamma + lambda``, and the factor is one of the scaling of
unspliced: so the fitted rates are the rates with dilution, and ln 2 less are the rates without.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from velotime.kinetics.circle.smooth import smooth_jacobian, smooth_means, smooth_velocity
from velotime.kinetics.divided_differences import differences, exp1
from velotime.kinetics.splicing import SwitchParameter, _carry, _Gene, _natural, _Step, _step, velocity

N_PERIODIC = 7  # parameters: those of SwitchParameter up to the duration
WHOLE_TURN = 0.0  # log duration of genes whose transcription is smooth
LONGEST = -0.005  # log duration: a longer one stands for a whole turn


def is_smooth(theta: Any) -> Any:
    """Whether the transcription of each gene is smooth, ``(genes,)``; of parameters ``(genes, 7 or more)``."""
    return theta[:, SwitchParameter.LOG_DURATION] > LONGEST


def _by_shape(theta: Any, smooth: tuple[Any, ...], switch: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of each gene what is said of its shape, arrays of any number of axes with genes first."""
    xp = array_namespace(theta)
    mask = is_smooth(theta)
    return tuple(
        xp.where(xp.reshape(mask, (-1, *[1] * (one.ndim - 1))), one, other)
        for one, other in zip(smooth, switch, strict=True)
    )


def _gene_of(theta: Any) -> _Gene:
    """Natural parameters; after the pulse comes the first level again."""
    xp = array_namespace(theta)
    first = theta[:, SwitchParameter.LOG_LEVEL_0 : SwitchParameter.LOG_LEVEL_0 + 1]
    return _natural(xp.concat([theta, first], axis=1))


def _two_steps(gene: _Gene, x1: Any, x2: Any, u: Any, s: Any) -> tuple[Any, Any]:
    """Abundances carried by x1 under alpha_1 and then by x2 under alpha_0."""
    for x, alpha in ((x1, gene.alpha_1), (x2, gene.alpha_0)):
        u, s = _carry(differences(-gene.beta * x, -gene.gamma * x), x, u, s, alpha, gene.beta)
    return u, s


def _close(gene: _Gene, u: Any, s: Any) -> tuple[Any, Any]:
    """``(I - e^M)^-1 (u, s)``."""
    xp = array_namespace(gene.beta)
    u = u / -xp.expm1(-gene.beta)
    return u, (s + gene.beta * exp1(-gene.beta, -gene.gamma) * u) / -xp.expm1(-gene.gamma)


def _onset(gene: _Gene) -> tuple[Any, Any]:
    """Abundances at the onset, each ``(genes, 1)``."""
    zero = 0.0 * gene.beta
    return _close(gene, *_two_steps(gene, gene.duration, 1.0 - gene.duration, zero, zero))


def _elapsed(gene: _Gene, t: Any) -> tuple[Any, Any, Any]:
    """Time spent under alpha_1 and under alpha_0 since the last onset, and whether alpha_0 has begun."""
    xp = array_namespace(t)
    since = t[None, :] - gene.t_on
    since = since - xp.floor(since)
    after = since >= gene.duration
    return xp.where(after, gene.duration, since), xp.where(after, since - gene.duration, 0.0 * since), after


def periodic_means(theta: Any, t: Any) -> tuple[Any, Any]:
    """Unspliced and spliced means of genes of either shape, each ``(genes, times)``.

    Parameters
    ----------
    theta
        Parameters, ``(genes, 7)``: the first seven columns of :class:`SwitchParameter`; the duration is below 1, or 1
        of genes whose transcription is smooth.
    t
        Times, ``(times,)``, in turns of the clock; whole turns make no difference.

    Returns
    -------
    Unspliced, times the scaling c of its capture, and spliced.
    """
    gene = _gene_of(theta)
    x1, x2, _ = _elapsed(gene, t)
    u, s = _two_steps(gene, x1, x2, *_onset(gene))
    u, s = _by_shape(theta, smooth_means(theta, t), (gene.scaling * u, s))
    return u, s


def periodic_velocity(theta: Any, t: Any) -> tuple[Any, Any]:
    """Rates of change of :func:`periodic_means`, per turn. At a switch alpha is the one that begins there."""
    xp = array_namespace(theta, t)
    gene = _gene_of(theta)
    x1, x2, after = _elapsed(gene, t)
    u, s = _two_steps(gene, x1, x2, *_onset(gene))
    alpha = xp.where(after, gene.alpha_0, gene.alpha_1)
    velocity_u, velocity_s = velocity(u, s, alpha, gene.beta, gene.gamma)
    u, s = _by_shape(theta, smooth_velocity(theta, t), (gene.scaling * velocity_u, velocity_s))
    return u, s


class _Slopes(NamedTuple):
    """Derivatives of u and s by the seven parameters, each ``(genes, 7, times)``."""

    u: Any
    s: Any


def _after_step(gene: _Gene, step: _Step, before: _Slopes, alpha: Any, level: SwitchParameter) -> _Slopes:
    """Derivatives after a step of fixed length under ``alpha``, from those before it."""
    p = SwitchParameter
    u = step.du_du0[:, None, :] * before.u
    s = step.ds_ds0[:, None, :] * before.s + step.ds_du0[:, None, :] * before.u
    by_level_u, by_level_s = alpha * step.du_dalpha, alpha * step.ds_dalpha
    u[:, p.LOG_BETA, :] += gene.beta * step.du_db
    s[:, p.LOG_BETA, :] += gene.beta * step.ds_db
    u[:, p.LOG_GAMMA, :] += by_level_u  # alpha is level gamma
    s[:, p.LOG_GAMMA, :] += gene.gamma * step.ds_dg + by_level_s
    u[:, level, :] += by_level_u
    s[:, level, :] += by_level_s
    return _Slopes(u, s)


def _carried(gene: _Gene, x1: Any, x2: Any, after: Any, start: tuple[Any, Any], slopes: _Slopes) -> tuple[Any, ...]:
    """Means after both steps and their derivatives; ``after`` is 1 where the second has begun, else 0."""
    p = SwitchParameter
    one = _step(x1, *start, gene.alpha_1, gene.beta, gene.gamma)
    first = _after_step(gene, one, slopes, gene.alpha_1, p.LOG_LEVEL_1)
    longer = after * gene.duration
    du, ds = velocity(one.u, one.s, gene.alpha_1, gene.beta, gene.gamma)
    first.u[:, p.LOG_DURATION, :] += longer * du
    first.s[:, p.LOG_DURATION, :] += longer * ds
    two = _step(x2, one.u, one.s, gene.alpha_0, gene.beta, gene.gamma)
    second = _after_step(gene, two, first, gene.alpha_0, p.LOG_LEVEL_0)
    du, ds = velocity(two.u, two.s, gene.alpha_0, gene.beta, gene.gamma)
    second.u[:, p.LOG_DURATION, :] -= longer * du
    second.s[:, p.LOG_DURATION, :] -= longer * ds
    return two.u, two.s, second


def periodic_jacobian(theta: Any, t: Any) -> tuple[Any, Any, Any, Any]:
    """Means of genes of either shape and their derivatives by the seven parameters.

    Returns
    -------
    Unspliced and spliced means, each ``(genes, times)``, and their derivatives, each ``(genes, 7, times)``.
    """
    xp = array_namespace(theta, t)
    gene, p = _gene_of(theta), SwitchParameter
    start = _onset(gene)
    zero = xp.zeros((theta.shape[0], N_PERIODIC, 1), dtype=theta.dtype)
    whole = _carried(gene, gene.duration, 1.0 - gene.duration, xp.ones_like(gene.beta), start, _Slopes(zero, zero))[2]
    closed = [_close(gene, whole.u[:, k, :], whole.s[:, k, :]) for k in range(N_PERIODIC)]
    slopes = _Slopes(xp.stack([u for u, _ in closed], axis=1), xp.stack([s for _, s in closed], axis=1))
    x1, x2, later = _elapsed(gene, t)
    u, s, (du, ds) = _carried(gene, x1, x2, xp.astype(later, theta.dtype), start, slopes)
    alpha = xp.where(later, gene.alpha_0, gene.alpha_1)
    by_time_u, by_time_s = velocity(u, s, alpha, gene.beta, gene.gamma)
    du[:, p.T_ON, :], ds[:, p.T_ON, :] = -by_time_u, -by_time_s
    du[:, p.LOG_SCALING, :], ds[:, p.LOG_SCALING, :] = u, 0.0
    switch = gene.scaling * u, s, gene.scaling[:, :, None] * du, ds
    u, s, du, ds = _by_shape(theta, smooth_jacobian(theta, t), switch)
    return u, s, du, ds
