"""Rules of the arguments that plots share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from velotime._check import FilePath, Flag, Instance, NotAllowedError, Number, Numbers, OneOf, Optional, Rule, Text
from velotime.data.arguments import ADATA

AXES = Instance(Axes, "matplotlib Axes")
SHOW, SAVE = Optional(Flag()), Optional(FilePath())
PLOT: dict[str, Rule] = {"adata": ADATA, "ax": Optional(AXES), "show": SHOW, "save": SAVE}
LEGEND = Optional(OneOf(("right margin", "on data")))


@dataclass(frozen=True)
class Title(Rule):
    """A title; an empty one leaves it out, as scVelo's tutorials do."""

    @property
    def allowed(self) -> str:
        """Any text."""
        return "a title"

    def accept(self, value: Any) -> str:
        """As it is."""
        if not isinstance(value, str):
            raise NotAllowedError
        return value


@dataclass(frozen=True)
class ColorMap(Rule):
    """The name of a colour map of matplotlib."""

    @property
    def allowed(self) -> str:
        """By name."""
        return "the name of a colour map of matplotlib"

    def accept(self, value: Any) -> str:
        """As it is."""
        if not isinstance(value, str) or value not in mpl.colormaps:
            raise NotAllowedError
        return value


@dataclass(frozen=True)
class TwoAxes(Rule):
    """Two Axes, one above the other."""

    @property
    def allowed(self) -> str:
        """How many."""
        return "a pair of matplotlib Axes"

    def accept(self, value: Any) -> tuple[Axes, Axes]:
        """Any sequence of two."""
        try:
            upper, lower = value
        except (TypeError, ValueError):
            raise NotAllowedError from None
        return AXES.accept(upper), AXES.accept(lower)


@dataclass(frozen=True)
class ListOfAxes(Rule):
    """Axes, one for each panel."""

    @property
    def allowed(self) -> str:
        """One for each."""
        return "a list of them, one for each panel"

    def accept(self, value: Any) -> list[Axes]:
        """Any sequence or array of them, row after row."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise NotAllowedError
        kept = [AXES.accept(one) for one in np.ravel(np.asarray(value, dtype=object))]
        if not kept:
            raise NotAllowedError
        return kept


FIGSIZE = Optional(Numbers(Number(0, open_least=True), 2, 2))
GENE_SYMBOLS = Optional(Text("the name of a var column"))
#: Rules of what all plots of one panel take.
PANEL: dict[str, Rule] = PLOT | {"title": Optional(Title()), "figsize": FIGSIZE}
