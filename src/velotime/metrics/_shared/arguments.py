"""Rules of the arguments that metrics share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from velotime._check import Instance, Label, NotAllowedError, Number, Rule

TRANSITIONS = Instance(
    (sparse.sparray, sparse.spmatrix, np.ndarray),
    "a matrix of transitions",
    cure="Pass velotime.tl.transition_matrix(adata).",
)


@dataclass(frozen=True)
class Edges(Rule):
    """Pairs of labels, each from where to where."""

    @property
    def allowed(self) -> str:
        """As a list."""
        return "a list of pairs of labels, such as [('early', 'late')]"

    def accept(self, value: Any) -> list[tuple[str, str]]:
        """Text or numbers."""
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            raise NotAllowedError
        kept = []
        for edge in value:
            if isinstance(edge, str) or not isinstance(edge, Iterable):
                raise NotAllowedError
            pair = tuple(Label().accept(label) for label in edge)
            if len(pair) != 2:
                raise NotAllowedError
            kept.append(pair)
        return kept


@dataclass(frozen=True)
class Stages(Rule):
    """A number for each label."""

    @property
    def allowed(self) -> str:
        """As a dict."""
        return "a dict of labels and their numbers, such as {'early': 0, 'late': 1}"

    def accept(self, value: Any) -> dict[str, float]:
        """Labels may be text or numbers."""
        if not isinstance(value, Mapping):
            raise NotAllowedError
        return {Label().accept(label): Number().accept(stage) for label, stage in value.items()}
