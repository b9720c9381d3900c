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

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import time_from_unspliced, unspliced
    >>> u = unspliced(np.array(0.3), 0.0, 6.0, 2.0)
    >>> round(float(time_from_unspliced(u, 0.0, 6.0, 2.0, longest=10.0)), 12)
    0.3
    """
    u_inf = alpha / beta
    return _decay_time(u0 - u_inf, u - u_inf, u0 - u, beta, longest)


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

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import spliced, time_from_spliced, unspliced
    >>> tau = np.array(0.3)
    >>> u, s = unspliced(tau, 0.0, 6.0, 2.0), spliced(tau, 0.0, 0.0, 6.0, 2.0, 1.0)
    >>> round(float(time_from_spliced(u, s, 0.0, 0.0, 6.0, 2.0, 1.0, longest=10.0)), 12)
    0.3
    """
    w_inf = -alpha * beta / gamma
    w = (gamma - beta) * s - beta * u
    w0 = (gamma - beta) * s0 - beta * u0
    lost = (gamma - beta) * (s0 - s) - beta * (u0 - u)
    return _decay_time(w0 - w_inf, w - w_inf, lost, gamma, longest)


def _decay_time(initial: Any, left: Any, lost: Any, rate: Any, longest: float) -> Any:
    """Time at which ``initial e^(-rate tau)`` has fallen to ``left = initial - lost``, within [0, longest].

    Soon after the switch ``left/initial`` is 1 but for its last digits, and ``lost`` has the digits it is short of;
    later it is the other way round. A start in the steady state tells no time: longest.
    """
    xp = array_namespace(initial, left, lost, rate)
    initial, left, lost, rate = xp.broadcast_arrays(initial, left, lost, rate)
    sign = xp.sign(initial)
    left, lost = sign * left, sign * lost
    inside = (left > 0) & (lost > 0)
    start = xp.where(inside, xp.abs(initial), xp.ones_like(initial))
    remaining = xp.where(inside, left, start) / start
    gone = xp.where(inside, lost, xp.zeros_like(lost)) / start
    early = gone < 0.5
    logarithm = xp.where(
        early,
        xp.log1p(-xp.clip(gone, max=0.5)),
        xp.log(xp.clip(remaining, min=xp.finfo(remaining.dtype).smallest_normal)),
    )
    ceiling = longest * xp.ones_like(rate)
    outside = xp.where((initial != 0) & (lost <= 0), xp.zeros_like(rate), ceiling)
    return xp.where(inside, xp.minimum(-logarithm / rate, ceiling), outside)
