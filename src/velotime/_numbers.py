"""How numbers are written for a reader: the same in warnings, in the terminal, on the page and in plots."""

from __future__ import annotations

from typing import Any

import numpy as np


def number(value: Any) -> str:
    """A number for reading: thousands apart, three digits where it is small; text as it is, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    value = float(value)
    if not np.isfinite(value):
        return "none"
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return text.replace("-", "\u2212")


def nats(value: Any) -> str:
    """A log-likelihood with its unit."""
    text = number(value)
    return f"{text} nat" if text == "1" else f"{text} nats"


def signed_nats(value: Any) -> str:
    """The same with a sign in any case."""
    return f"+{nats(value)}" if float(value) > 0 else nats(value)


def percent(share: Any) -> str:
    """A share in per cent; what is rounded to all or nothing says so."""
    share = float(share)
    if 0 < share < 0.005:
        return "under 1\u00a0%"
    if 0.995 <= share < 1:
        return "over 99\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")
