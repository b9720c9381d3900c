"""The number of lineages that geometry finds, and fewer where halves of the genes do not agree on their cells."""

from __future__ import annotations

from dataclasses import replace

from velotime.inference.journal import Chapter
from velotime.inference.search.roots import Outcome, Search

# Cohen's kappa of each lineage against the rest, of late cells, in fits to two halves of the genes. Branches of
# simulations have 0.9 to 1, the pancreas 0.7 to 0.8, those that geometry sees in lines of 100 cells 0 to 0.2.
LEAST_AGREEMENT = 0.5


def agreed(search: Search) -> tuple[Search, Outcome]:
    """The search with the number that geometry finds, and with one less as long as halves of the genes do not agree.

    Few cells scatter far off the way between the ends of a line, by chance or in a few genes: geometry takes some of
    them for a branch. Fitted apart, two halves of the genes then find other cells in it.
    """
    n_lineages = search.n_lineages
    outcome = search.run(n_lineages)
    while n_lineages > 1 and outcome.least_lineage_agreement < LEAST_AGREEMENT:
        assert search.votes is not None
        n_lineages -= 1
        votes = replace(search.votes, dropped=(*search.votes.dropped, outcome.least_lineage_agreement))
        search = replace(search, votes=votes, journal=Chapter(search.journal, f"{n_lineages} of them"))
        outcome = search.run(n_lineages)
    return search, outcome
