"""Rules of the settings of ``SoftEM``: of ``knowledge``, and of settings that depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from velotime._check import Instance, Rule
from velotime._status import InputError
from velotime.inference.knowledge.base import Knowledge
from velotime.inference.knowledge.order import Markers, TimeLabels
from velotime.inference.knowledge.pieces import Ends
from velotime.inference.knowledge.time_prior import GrowingPrior
from velotime.inference.methods.clocks import Cycle

if TYPE_CHECKING:
    from velotime.inference.methods.soft_em import SoftEM


@dataclass(frozen=True)
class Pieces(Rule):
    """A tuple of what else is known of the cells; one piece alone may stand without a list."""

    @property
    def allowed(self) -> str:
        """Their kinds."""
        return "Ends, Markers or TimeLabels, one or several; a Root goes to root=, Terminals go to lineages="

    def accept(self, value: Any) -> tuple[Knowledge, ...]:
        """As a tuple."""
        given = tuple(value) if isinstance(value, tuple | list) else (value,)
        return tuple(Instance((Ends, Markers, TimeLabels), "").accept(piece) for piece in given)


def check_together(method: SoftEM) -> None:
    """Check settings that depend on each other.

    Raises
    ------
    InputError
        If two of them cannot be had together.
    """
    cure = (
        "With Cycle() leave root, lineages, n_lineages and knowledge out, and name genes that say where it begins: "
        "Cycle(origin=Markers(...)); with Line() choose another prior."
    )
    if isinstance(method.clock, Cycle):
        wrong = "a clock that goes round has no root, ends or lineages"
        given = bool(method.pieces) or method.n_lineages != "auto"
    else:
        wrong, given = "GrowingPrior() is for clock=Cycle()", isinstance(method.prior, GrowingPrior)
    if given:
        raise InputError(f"SoftEM(clock={method.clock!r}): {wrong}. {cure}")
    if method.samples is not None and method.clock.not_cycling:
        raise InputError(
            f"SoftEM(clock={method.clock!r}, samples={method.samples!r}): cells that do not cycle can be looked "
            "for in fits of one sample only. Leave not_cycling out, or fit each sample by itself, without samples."
        )
    if method.samples is not None and not method.noise.counts:
        raise InputError(
            f"SoftEM(samples={method.samples!r}, noise={method.noise!r}): how samples capture molecules is told from "
            "counts. Give raw counts and noise=vt.NegativeBinomial(), or leave samples out."
        )
