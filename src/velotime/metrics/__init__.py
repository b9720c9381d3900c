"""How good a velocity or a latent time is, by what is known of the cells."""

from __future__ import annotations

from velotime.metrics._circle import CircularCorrelation, CircularError, circular_correlation, circular_error
from velotime.metrics._coherence import in_cluster_coherence, velocity_confidence
from velotime.metrics._direction import cross_boundary_correctness, k_hop_correctness
from velotime.metrics._order import RankCorrelation, time_correlation, time_order
from velotime.metrics._shared.inputs import GeneSpace
from velotime.metrics._transitions import row_entropy, self_transition

__all__ = [
    "CircularCorrelation",
    "CircularError",
    "GeneSpace",
    "RankCorrelation",
    "circular_correlation",
    "circular_error",
    "cross_boundary_correctness",
    "in_cluster_coherence",
    "k_hop_correctness",
    "row_entropy",
    "self_transition",
    "time_correlation",
    "time_order",
    "velocity_confidence",
]
