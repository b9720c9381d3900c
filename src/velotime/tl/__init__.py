"""Tools: fit, and derive from the fit."""

from __future__ import annotations

from velotime.tl._recover_dynamics import recover_dynamics
from velotime.tl._velocity_graph import transition_matrix, velocity_embedding, velocity_graph

__all__ = ["recover_dynamics", "transition_matrix", "velocity_embedding", "velocity_graph"]
