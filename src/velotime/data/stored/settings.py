"""Settings of methods as what an .h5ad can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np

from velotime import inference

KINDS = (
    inference.ArrayBackend,
    inference.CountDrop,
    inference.Cycle,
    inference.Ends,
    inference.ExactTimes,
    inference.ExplicitTimes,
    inference.FixedPrior,
    inference.Gaussian,
    inference.GeneClock,
    inference.LearnedBackground,
    inference.GrowingPrior,
    inference.LearnedPrior,
    inference.Line,
    inference.Markers,
    inference.MixtureEM,
    inference.NegativeBinomial,
    inference.NoBackground,
    inference.Poisson,
    inference.PosteriorTimes,
    inference.Root,
    inference.SharedClock,
    inference.SoftEM,
    inference.Terminals,
    inference.TimeLabels,
    inference.TwoStageEM,
    inference.UniformPrior,
)
BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in KINDS}


def plain(value: Any) -> Any:
    """Settings as what an .h5ad can hold: nested dicts, numbers, texts; None becomes "none"."""
    if isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        return {str(k): plain(item) for k, item in enumerate(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": type(value).__name__, **{k: plain(getattr(value, k)) for k in asdict(value)}}
    if value is None:
        return "none"
    return np.asarray(value) if isinstance(value, tuple) else value


def read_settings(value: Any) -> Any:
    """The inverse of :func:`plain`; a method that velotime does not know stays a mapping."""
    if isinstance(value, Mapping) and "name" not in value:
        return tuple(read_settings(value[str(k)]) for k in range(len(value)))
    if isinstance(value, Mapping):
        if str(value["name"]) not in BY_NAME:
            return value
        fields = {name: read_settings(field) for name, field in value.items() if name != "name"}
        return BY_NAME[str(value["name"])](**fields)
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    return None if value == "none" else value
