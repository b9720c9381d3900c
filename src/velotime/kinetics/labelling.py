r"""Labelled molecules: those that were made within the last so many hours.

A window w before harvest the cells are given a labelled nucleotide; all that is transcribed from then on carries it.
What was there already, (u, s) at the window's begin, is no longer made and only decays: splicing carries it on to

    u_old = u e^(-beta w)        s_old = s e^(-gamma w) + beta u w exp[-beta w, -gamma w],

the first terms of ``splicing`` with alpha = 0. The equations are linear, so what is labelled is the rest: the solution
that starts empty at the window's begin is ``(u(t) - u_old, s(t) - s_old)``, whatever alpha did in between.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from array_api_compat import array_namespace

from velotime.kinetics.divided_differences import exp1


class Survival(NamedTuple):
    """What is left, at the end of a window, of what was there when it began.

    Attributes
    ----------
    unspliced, spliced
        Shares of unspliced that are still unspliced, and of spliced that are not degraded.
    spliced_of_flux
        Spliced that came from unspliced and are not degraded, per flux ``beta u`` when the window began.
    """

    unspliced: Any
    spliced: Any
    spliced_of_flux: Any


def survival(window: Any, beta: Any, gamma: Any) -> Survival:
    """Shares that outlive a window; arguments broadcast.

    Parameters
    ----------
    window
        Its length.
    beta, gamma
        Splicing and degradation rate, per unit of ``window``.

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import survival
    >>> [round(float(of), 3) for of in survival(np.array(0.5), 3.0, 2.0)]
    [0.223, 0.368, 0.145]
    """
    xp = array_namespace(window, beta, gamma)
    x, y = -beta * window, -gamma * window
    return Survival(xp.exp(x), xp.exp(y), window * exp1(x, y))


def labelled_shares(
    before: tuple[Any, Any], now: tuple[Any, Any], window: Any, rates: tuple[Any, Any]
) -> tuple[Any, Any]:
    """Shares of unspliced and spliced that were made within a window; arguments broadcast.

    Parameters
    ----------
    before, now
        Unspliced and spliced abundance when the window begins and when it ends.
    window
        Its length, per unit of which rates are.
    rates
        Splicing and degradation rate, beta and gamma.

    Returns
    -------
    Two arrays, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import labelled_shares, steady_state
    >>> still = steady_state(6.0, 3.0, 2.0)
    >>> shares = labelled_shares(still, still, np.array([0.0, 0.5, 50.0]), (3.0, 2.0))
    >>> shares[0].round(3).tolist(), shares[1].round(3).tolist()
    ([0.0, 0.777, 1.0], [0.0, 0.343, 1.0])
    """
    beta, gamma = rates
    left = survival(window, beta, gamma)
    old_s = before[1] * left.spliced + beta * before[0] * left.spliced_of_flux
    return _within(1.0 - before[0] * left.unspliced / now[0]), _within(1.0 - old_s / now[1])


def _within(share: Any) -> Any:
    """Between 0 and 1, where rounding may lead out."""
    xp = array_namespace(share)
    return xp.minimum(xp.maximum(share, 0.0 * share), 1.0 + 0.0 * share)
