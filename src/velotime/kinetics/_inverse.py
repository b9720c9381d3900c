"""Time from abundances: the explicit inverses of the kinetics."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace


def time_from_unspliced(u: Any, u0: Any, alpha: Any, beta: Any, *, longest: float) -> Any:
    """Time since the switch, read off unspliced; arguments broadcast.

    ``tau = -1/beta ln((u - u_inf)/(u0 - u_inf))`` with ``u_inf = alpha/beta``. (scVelo, Bergen et al. 2020, eq. 10.)

    Parameters
    ----------
    u
        Unspliced abundance.
    u0
        Unspliced abundance at the switch.
    alpha, beta
        Rates since then.
    longest
        Returned for values at or past the steady state, which they reach at no time; values before the switch give 0.
    """
    u_inf = alpha / beta
    return _decay_time((u - u_inf), (u0 - u_inf), beta, longest)


def time_from_spliced(u: Any, s: Any, u0: Any, s0: Any, alpha: Any, beta: Any, gamma: Any, *, longest: float) -> Any:
    """Time since the switch, read off both abundances through the auxiliary variable; arguments broadcast.

    In ``w = (gamma - beta) s - beta u`` the terms of e^(-beta tau) cancel: ``w' = -gamma w - alpha beta``, so
    ``tau = -1/gamma ln((w - w_inf)/(w0 - w_inf))`` with ``w_inf = -alpha beta/gamma``. This is scVelo's s~ (Bergen et
    al. 2020, eq. 9 to 11) times (gamma - beta), and regular at beta = gamma.

    Parameters
    ----------
    u, s
        Abundances.
    u0, s0
        Abundances at the switch.
    alpha, beta, gamma
        Rates since then.
    longest
        Returned for values at or past the steady state; values before the switch give 0.
    """
    w_inf = -alpha * beta / gamma
    w = (gamma - beta) * s - beta * u
    w0 = (gamma - beta) * s0 - beta * u0
    return _decay_time(w - w_inf, w0 - w_inf, gamma, longest)


def _decay_time(left: Any, initial: Any, rate: Any, longest: float) -> Any:
    """Time at which ``initial e^(-rate tau)`` has fallen to ``left``, within [0, longest]; never NaN."""
    xp = array_namespace(left, initial, rate)
    left, initial, rate = xp.broadcast_arrays(left, initial, rate)
    one = xp.ones_like(left)
    ratio = xp.where(initial != 0, left / xp.where(initial != 0, initial, one), xp.zeros_like(left))
    inside = ratio > 0
    time = -xp.log(xp.where(inside, ratio, one)) / rate
    return xp.where(inside, xp.clip(time, 0.0, longest), longest * one)
