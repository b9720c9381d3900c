"""The runs of ``SoftEM`` over its cells: from hot to cold, and where these were some of many, over all of them."""

from __future__ import annotations

from dataclasses import replace

from velotime.compute import Sums
from velotime.inference.em import Run, Schedule, Watcher, continue_em, run_em
from velotime.inference.journal import NO_JOURNAL, Chapter, Journal, recalled
from velotime.inference.labels import CellLabels
from velotime.inference.methods.clocks import Cycle, Line, rotated
from velotime.inference.methods.fates import with_trunk
from velotime.inference.methods.origins import Origin
from velotime.inference.model.problem import SoftParameters, SoftProblem

UNTIL_PARTED = 5  # iterations at temperature 1 after which lineages have parted and every gene is tried again
UNTIL_SETTLED = 8  # and after which the cells are heated again: times of a sharp posterior hold the clock where it is
REHEATING, REHEATED = 6, 4.0  # iterations of that, and the temperature
MOVES_PARTED, MOVES_REHEATED = frozenset({2, 4}), frozenset({0, 2, 4})  # iterations in which other clocks are tried


def main_run(
    problem: SoftProblem, first: SoftParameters, schedule: Schedule, watch: Watcher, journal: Journal = NO_JOURNAL
) -> Run[SoftParameters, Sums]:
    """From hot to cold, where every gene is tried again, and once more from warm to cold, with other clocks in both.

    Genes not before: lineages part late in the annealing, and a gene that is restarted earlier has the curve of all of
    them. The clock to the end: EM alone leaves it where it was when the cells had cooled, whatever fits better (on the
    pancreas two draws of the search's cells had clocks that were bent by 0.03 against each other).
    """
    statistics, _ = recalled(journal, "sums", lambda: problem.expect(first, schedule.hottest))
    cold = replace(schedule, annealing=0)
    warm = replace(schedule, annealing=min(schedule.annealing, REHEATING), hottest=min(schedule.hottest, REHEATED))
    run = run_em(problem, first, statistics, _brief(schedule, UNTIL_PARTED), watch, Chapter(journal, "annealing"))
    run = recalled(journal, "parting", lambda: with_trunk(problem, run))
    parted = problem.again(0, MOVES_PARTED)
    run = continue_em(parted, run, _brief(cold, UNTIL_SETTLED), watch, Chapter(journal, "parted"))
    run = recalled(journal, "parting again", lambda: with_trunk(problem, run))  # by curves that fit by now
    settled = problem.again(warm.annealing, MOVES_REHEATED)
    return continue_em(settled, run, warm, watch, Chapter(journal, "settled"))


def _brief(schedule: Schedule, longest: int) -> Schedule:
    return replace(schedule, longest=min(schedule.longest, longest))


def full_passes(
    problem: SoftProblem,
    run: Run[SoftParameters, Sums],
    schedule: Schedule,
    watch: Watcher,
    journal: Journal = NO_JOURNAL,
) -> Run[SoftParameters, Sums]:
    """On all cells from where a run on some of them ended, until the bound per cell stands still; both traces.

    Every gene is tried again first: with all cells another shape may be the better one, and by then the times are so
    nearly right that one iteration shows it.
    """
    statistics, _ = recalled(journal, "sums", lambda: problem.expect(run.parameters, 1.0))
    cold = replace(schedule, annealing=0, patience=1)
    later = run_em(problem.restarting, run.parameters, statistics, cold, watch, journal)
    return replace(later, trace=run.trace.followed_by(later.trace))


def from_zero(
    clock: Line | Cycle, problem: SoftProblem, run: Run[SoftParameters, Sums], labels: CellLabels
) -> tuple[Run[SoftParameters, Sums], Origin | None]:
    """The same fit with the clock at 0 where it begins, and what says where that is; nothing on a line."""
    origin = clock.zero(problem, run.parameters, labels)
    if origin is None or origin.phase == 0.0:
        return run, origin
    parameters = rotated(problem, run.parameters, origin.phase)
    statistics, bound = problem.expect(parameters, 1.0)
    return replace(run, parameters=parameters, statistics=statistics, bound=bound), origin
