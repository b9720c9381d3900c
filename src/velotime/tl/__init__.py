"""Tools: fit, and derive from the fit."""

from __future__ import annotations

from velotime.tl._recover_dynamics import recover_dynamics

__all__ = ["recover_dynamics"]
