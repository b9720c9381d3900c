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


class UnclearWarning(UserWarning):
    """The data do not settle something that the result states."""


class InputWarning(UserWarning):
    """The input is used, but not quite as it stands; the message says what was done or looks wrong, and counts it."""


class FitError(VelotimeError, RuntimeError):
    """The input was fine but no fit came out of it."""
