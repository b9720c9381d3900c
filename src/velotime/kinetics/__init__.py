"""Kinetics of transcription, splicing and degradation: pure functions of arrays."""

from __future__ import annotations

from velotime.kinetics.circle.periodic import (
    WHOLE_TURN,
    is_smooth,
    periodic_jacobian,
    periodic_means,
    periodic_velocity,
)
from velotime.kinetics.divided_differences import exp1, exp2, exp3
from velotime.kinetics.inverse import time_from_spliced, time_from_unspliced
from velotime.kinetics.labelling import labelled_shares, survival
from velotime.kinetics.splicing import (
    SwitchParameter,
    spliced,
    steady_state,
    switch_jacobian,
    switch_means,
    switch_velocity,
    unspliced,
    velocity,
)

__all__ = [
    "WHOLE_TURN",
    "SwitchParameter",
    "exp1",
    "exp2",
    "exp3",
    "is_smooth",
    "labelled_shares",
    "periodic_jacobian",
    "periodic_means",
    "periodic_velocity",
    "spliced",
    "steady_state",
    "survival",
    "switch_jacobian",
    "switch_means",
    "switch_velocity",
    "time_from_spliced",
    "time_from_unspliced",
    "unspliced",
    "velocity",
]
