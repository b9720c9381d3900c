"""How good a velocity or a latent time is, by what is known of the cells."""

from __future__ import annotations

from velotime.metrics._direction import cross_boundary_correctness

__all__ = ["cross_boundary_correctness"]
