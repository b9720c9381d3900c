"""How a run ended, and the errors that velotime raises."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How an iteration ended; ``text`` says it in a sentence and names the cure."""

    CONVERGED = "converged"
    MAX_ITER = "max_iter"
    BOUND_FELL = "bound_fell"

    @property
    def text(self) -> str:
        """One sentence for a person."""
        return _TEXTS[self]


_TEXTS = {
    Status.CONVERGED: "The fit converged: the log-likelihood no longer changes.",
    Status.MAX_ITER: (
        "The fit stopped at its maximum number of iterations while the log-likelihood was still rising. "
        "Raise max_iterations to let it finish."
    ),
    Status.BOUND_FELL: (
        "The log-likelihood fell and stayed down; the best parameters seen were kept. "
        "Check the genes with very high counts, or try another noise model."
    ),
}


class VelotimeError(Exception):
    """Base of every error that velotime raises on purpose."""


class InputError(VelotimeError, ValueError):
    """The input cannot be used as it is; the message says why and names the cure."""


class Cure(StrEnum):
    """What a user can add where the data leave something open; ``python`` says how in code."""

    ROOT = "root cells"
    ENDS = "end cells"
    MARKERS = "markers known to be early or late"
    TIMES = "experimental times"
    LINEAGES = "a number of lineages"
    TERMINALS = "the labels of the terminal cells"
    COUNT_NOISE = "noise of counts"

    @property
    def python(self) -> str:
        """The same as an argument of ``vt.SoftEM``."""
        return _PYTHON[self]


_PYTHON = {
    Cure.ROOT: "root=vt.Root('clusters', 'progenitors')",
    Cure.ENDS: "knowledge=vt.Ends('clusters', ['mature'])",
    Cure.MARKERS: "knowledge=vt.Markers(early=[...], late=[...])",
    Cure.TIMES: "knowledge=vt.TimeLabels('day')",
    Cure.LINEAGES: "n_lineages=3",
    Cure.TERMINALS: "lineages=vt.Terminals('clusters', ['A', 'B'])",
    Cure.COUNT_NOISE: "method=vt.SoftEM()",
}


class UnclearWarning(UserWarning):
    """The data do not settle something that the result states.

    Parameters
    ----------
    text
        What is unclear, in a sentence.
    cures
        What would settle it. As text they are named with the arguments of ``vt.SoftEM``; the command line names its
        own options instead.
    """

    def __init__(self, text: str, cures: tuple[Cure, ...] = ()) -> None:
        super().__init__(text, cures)
        self.text = text
        self.cures = cures

    def __str__(self) -> str:
        if not self.cures:
            return self.text
        return f"{self.text} What can settle it: {'; '.join(f'{cure} ({cure.python})' for cure in self.cures)}."


class InputWarning(UserWarning):
    """The input is used, but not quite as it stands; the message says what was done or looks wrong, and counts it."""


class FitError(VelotimeError, RuntimeError):
    """The input was fine but no fit came out of it."""
