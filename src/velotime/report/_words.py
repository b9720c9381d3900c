"""Pieces of a fit in words: what the page and the terminal both say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import nats, number, percent
from velotime._types import FloatArray
from velotime.data import Fitted, hours_in_words, hours_record, read_record, require_fit
from velotime.report.sections.fates import titles_of
from velotime.tl._fit_warnings import backwards_in_words

SPOKEN = {
    "NegativeBinomial": "negative binomial (counts scatter more than by chance alone)",
    "Poisson": "Poisson (counts scatter by chance alone)",
    "Gaussian": "Gaussian, on normalised values",
    "LearnedPrior": "learned from the cells",
    "UniformPrior": "uniform",
    "FixedPrior": "given",
    "GrowingPrior": "that of cells that divide once a turn, evenly",
}

ROUND = "angle"  # what starts by the cells' order round a circle are called
MOST_GROUPS = 3  # named with a root cell
HOW = {
    "rank": "cells evenly by their distance from it",
    "arc length": "cells by their distance from it",
    "knowledge": "cells by what is known of them",
    "reversed": "the best start run backwards",
    "fates": "lineages by the ends that cells lead to",
    "tips": "lineages towards far tips",
    "small fates": "lineages of a search before, and small fates in them",
    "tree, way": "cells by their way along the tree of ends",
    "tree, rank": "cells evenly along the tree of ends",
    "tree, middle": "two fates away from the middle of a line",
}


def lineage_shares(adata: AnnData) -> list[tuple[str, float]]:
    """What each lineage is called, and its share of the cells; none if there is but one."""
    record = Fitted.of(adata).records.lineages
    names = [str(name) for name in record.get("names", [])]
    if len(names) < 2:
        return []
    titles = titles_of(adata)
    return [(titles[name], float(share)) for name, share in zip(names, record["shares"], strict=True)]


def best_genes(adata: AnnData, n: int) -> list[str]:
    """The genes that tell most of time: largest gain over a constant mean, in nats, or else largest likelihood.

    Raises
    ------
    InputError
        If nothing is fitted.
    """
    require_fit(adata)
    by = next((name for name in (keys.FIT_GAIN, keys.FIT_LIKELIHOOD) if name in adata.var), None)
    if by is None:
        return []
    score = adata.var[by]
    if keys.VELOCITY_GENES in adata.var:
        score = score.where(adata.var[keys.VELOCITY_GENES])
    return [str(name) for name in score.sort_values(ascending=False).dropna().index[:n]]


def fate_genes(adata: AnnData) -> str:
    """The ten genes that tell lineages apart best; none if the fit ranks none."""
    if keys.FIT_LINEAGE_RATIO not in adata.var:
        return ""
    ratio = adata.var[keys.FIT_LINEAGE_RATIO].sort_values(ascending=False).dropna()
    return ", ".join(str(name) for name in ratio.index[:10])


def best_genes_in_words(adata: AnnData) -> tuple[str, str]:
    """What the best genes are best at, and which they are; empty if the fit ranks none."""
    what = "tell most of time" if keys.FIT_GAIN in adata.var else "are fitted best"
    return f"genes that {what}", ", ".join(best_genes(adata, 10))


#: Settings that are models, in the order in which they are told: files keep none.
MODELS = ("noise", "prior", "background", "clock")


def method_in_words(record: Mapping[str, Any]) -> str:
    """The method and those of its settings that are models or knowledge themselves."""
    parts = []
    settings = record.get("settings", {})
    for name in sorted(settings, key=lambda name: MODELS.index(name) if name in MODELS else len(MODELS)):
        value = settings[name]
        if name == "clock" and isinstance(value, str):
            parts.append(f"{value} clock")
        elif isinstance(value, Mapping) and "name" in value:
            parts.append(str(value["name"]))
        elif isinstance(value, Mapping):
            parts.extend(str(one["name"]) for one in value.values() if isinstance(one, Mapping))
    return ", ".join([str(record.get("method", "not recorded")), *parts])


def status_in_words(record: Mapping[str, Any]) -> str:
    """How the fit ended; where genes were fitted one by one, how many of them converged."""
    text = str(record.get("status_text", "")) or "How the fit ended was not recorded."
    if "n_converged" in record:
        text += f" {int(record['n_converged']):,} of {int(record['n_genes']):,} genes converged."
    return text


def seconds_in_words(record: Mapping[str, Any]) -> str:
    """How long the fit took, and the starts of that."""
    if "seconds" not in record:
        return ""
    whole, starts = float(record["seconds"]), float(record.get("seconds_starts", 0.0))
    return f"{whole:,.1f} s" + (f", of which {starts:,.1f} s for the starts" if starts else "")


def direction_in_words(arrow: Mapping[str, Any]) -> str:
    """All evidence for the direction of time."""
    text = f"The closest rival is {backwards_in_words(arrow)}"
    text += f" (on {int(arrow['n_cells']):,} cells and all fitted genes)." if "n_cells" in arrow else "."
    known = float(arrow.get("knowledge_margin", 0.0))
    if known != 0:
        counts = float(arrow["log_likelihood_margin"]) - known
        text += (
            f" Of these nats, {signed(counts)} are from the counts and {signed(known)} from what is known of the cells."
        )
    if "share_of_genes" in arrow:
        text += f" {percent(arrow['share_of_genes'])} of the genes prefer the direction reported."
    if arrow.get("reason"):
        text += f" Unclear, as {arrow['reason']}."
    return text


def rivals_in_words(rivals: pd.DataFrame) -> str:
    """How many rivals there were, and of the one that came closest: by how much it loses, and in which genes least."""
    if len(rivals) == 0:
        return ""
    halves = rivals[["half_1", "half_2"]].to_numpy(dtype=float)
    asked = np.where(np.isnan(halves), np.inf, halves)
    nearest = np.minimum(asked.min(axis=1), rivals["margin"].to_numpy(dtype=float))
    k = int(np.argmin(nearest))
    rival = rivals.iloc[k]
    name = "the reversed clock" if str(rival["start"]) == "reversed" else f"time from {root_in_words(rival)}"
    known = f", {signed(rival['known'])} by what is known" if rival["known"] != 0 else ""
    many = f"Of {len(rivals)} rivals {name} came closest" if len(rivals) > 1 else f"The one rival is {name}"
    return (
        f"{many}: {_behind_in_words(float(rival['margin']))} on all genes of the search{known}{_in_halves(halves[k])}."
    )


def _behind_in_words(margin: float) -> str:
    return f"{number(abs(margin))} nats per cell {'behind' if margin >= 0 else 'ahead'}"


def _in_halves(halves: FloatArray) -> str:
    """How a rival does in either half of the genes, the one in which it does best first."""
    names = ("first", "second")
    asked = [k for k in np.argsort(halves) if not np.isnan(halves[k])]
    if not asked:
        return ", too far to be asked in halves of the genes"
    least = f"; it comes closest in the {names[asked[0]]} half of the genes, {_behind_in_words(halves[asked[0]])}"
    if len(asked) == 1:
        return f"{least}, and ends with the reported times in the other"
    return f"{least}, and is {_behind_in_words(halves[asked[1]])} in the other"


def background_in_words(adata: AnnData) -> str:
    """How much of the counts is in every cell whatever its state; empty where that was not asked."""
    records = Fitted.of(adata).records
    record, method = records.background, records.settings
    if not record or dict(method.get("background", {})).get("name") != "LearnedBackground":
        return ""
    u, s = float(record["unspliced"]), float(record["spliced"])
    if u == s == 0:
        return "none that pays: all counts of a cell are taken as its own"
    text = f"{percent(u)} of unspliced and {percent(s)} of spliced counts come with every cell, whatever its state"
    return f"{text}; each sample has shares of its own" if keys.SAMPLES in adata.uns else text


def votes_in_words(record: Mapping[str, Any]) -> str:
    """How often the number of lineages came out over draws of the cells, and what halves of the genes say of it."""
    votes = np.asarray(record["votes"]).tolist()
    found = len(record["names"])
    most = max(sorted(set(votes)), key=votes.count)
    kind = f"{most} {'lineage' if most == 1 else 'lineages'}"
    others = sorted(set(votes) - {most})
    text = f"{kind} came out in {votes.count(most)} of {len(votes)} draws of the cells"
    text += f" (else {', '.join(map(str, others))})" if others else ""
    dropped = np.asarray(record.get("dropped", ()), dtype=float)
    if len(dropped):
        which = "one" if len(dropped) == 1 else str(len(dropped))
        kappa = ", ".join(f"{value:.2f}" for value in dropped)
        text += f"; two halves of the genes put other cells into {which} more than the fit has (Cohen's kappa {kappa})"
    small = record.get("small_fates")
    if small is not None:
        n_cells = ", ".join(f"{n:,}" for n in small["n_cells"])
        kappa = ", ".join(f"{value:.2f}" for value in small["agreement"])
        kind = "a small fate" if len(small) == 1 else f"{len(small)} small fates"
        text += f"; halves of the genes find {kind} besides, of {n_cells} cells (Cohen's kappa {kappa})"
    if record.get("at_bound", False):
        return f"{text}; the fit has {found}, the most that were allowed"
    return text if found == most else f"{text}; the fit has {found}"


def fit_in_words(record: Mapping[str, Any]) -> str:
    """The verdict on fit, and why."""
    reason = f": {record['reason']}" if record["reason"] else ""
    return f"{record['verdict']}{reason} (times from two halves of the genes agree by {record['agreement']:.2f})"


def root_in_words(start: pd.Series) -> str:
    """The root cell of a start and the groups that it lies in."""
    named = [name for name in start.index if name.startswith("root_") and name != "root_cell"]
    groups = [f"{name.removeprefix('root_')} {start[name]}" for name in named[:MOST_GROUPS]]
    return str(start["root_cell"]) + (f" ({', '.join(groups)})" if groups else "")


def orders_in_words(record: Mapping[str, Any]) -> str:
    """How many orders round a circle were tried; empty where it was not a circle."""
    starts = record.get("starts")
    n = int((starts["start"] == ROUND).sum()) // 2 if isinstance(starts, pd.DataFrame) and len(starts) else 0
    return f"{n} {'order' if n == 1 else 'orders'} of the cells round a circle, each both ways" if n else ""


@dataclass(frozen=True)
class Roots:
    """The root of a fit beside the others that were tried.

    Attributes
    ----------
    cell
        The root cell and the groups that it lies in.
    how
        How the start from it was ordered.
    margin
        By how much it won, in words.
    others
        The other roots, the likeliest first, and how far each is behind, nats; negative: ahead.
    n_starts
        Starts tried, not counting fits of one of them backwards.
    n_roots
        Root cells that these began from.
    given
        Whether the user named the root.
    """

    cell: str
    how: str
    margin: str
    others: tuple[tuple[str, float], ...]
    n_starts: int
    n_roots: int
    given: bool

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Roots | None:
        """From the record of a run; None if it has no starts, or these are orders round a circle, without roots."""
        starts = record.get("starts")
        if not isinstance(starts, pd.DataFrame) or len(starts) == 0 or ROUND in set(starts["start"]):
            return None
        chosen = starts[starts["chosen"]].iloc[0] if "chosen" in starts else starts.iloc[0]
        tried = starts[starts["start"] != "reversed"].sort_values("log_likelihood", ascending=False, kind="stable")
        rest = tried[tried["root_cell"] != chosen["root_cell"]].drop_duplicates("root_cell")
        others = tuple(
            (root_in_words(row), float(chosen["log_likelihood"] - row["log_likelihood"])) for _, row in rest.iterrows()
        )
        given = isinstance(record.get("settings", {}).get("root"), Mapping)
        margin = _root_margin(others, given=given)
        return cls(
            cell=root_in_words(chosen),
            how=HOW.get(str(chosen["start"]), str(chosen["start"])),
            margin=margin,
            others=others,
            n_starts=len(tried.drop_duplicates(["root_cell", "start"])),
            n_roots=int(tried["root_cell"].nunique()),
            given=given,
        )

    @property
    def tried(self) -> str:
        """How many starts were tried, in words."""
        starts = f"{self.n_starts} {'start' if self.n_starts == 1 else 'starts'}"
        roots = f"{self.n_roots} {'root' if self.n_roots == 1 else 'roots'}"
        return f"{starts} from {roots}, and the best one backwards; the fit began with {self.how}"


def _root_margin(others: tuple[tuple[str, float], ...], *, given: bool) -> str:
    if not others:
        return "as given" if given else "no other root was tried"
    ahead = others[0][1]
    if ahead < 0:
        return f"{nats(-ahead)} behind another root in the short fits, but ahead on all genes"
    return f"{nats(ahead)} over the next best root in the short fits"


def flatten(settings: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows: ``noise`` is the name of a part, ``prior.by`` one of its own settings."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            rows.append((name, str(value.get("name", ""))))
            rows.extend(flatten({k: v for k, v in value.items() if k != "name"}, name))
        elif key != "name":
            rows.append((name, ", ".join(map(str, value)) if isinstance(value, np.ndarray) else str(value)))
    return rows


def signed(value: float) -> str:
    """A number with its sign in any case."""
    return f"+{number(value)}" if value > 0 else number(value)


ORIGINS = {
    "markers": "phase 0 is where the markers of the origin say",
    "growth": "phase 0 is where the density of dividing cells puts the division",
    "total counts": "phase 0 is where total counts drop, as cells divide",
    "free": "phase 0 is anywhere, as nothing says where the cycle begins",
}


def origin_in_words(adata: AnnData) -> str:
    """Where a clock that goes round begins, what says so, and how sure that is."""
    record = adata.uns[keys.CYCLE]
    sd = float(record.get("origin_sd", np.nan))
    return ORIGINS[str(record["origin"])] + (f", give or take {sd:.2g} of a turn" if np.isfinite(sd) else "")


def off_clock_in_words(adata: AnnData) -> str:
    """How many cells do not cycle; nothing where that was not asked."""
    if keys.NOT_CYCLING not in adata.obs:
        return ""
    away = int(np.isnan(Fitted.of(adata).latent_time).sum())
    if away == 0:
        return "all cells cycle: none are likelier off the cycle by more than it costs to say so"
    told = f"{number(away)} of {number(adata.n_obs)} cells ({percent(away / adata.n_obs)}) do not cycle"
    return f"{told}; phases, rates and the direction are those of the others"


def unit_in_words(adata: AnnData) -> str:
    """The unit of time: hours where they are known, else the clock's own, and why there are no hours if asked for."""
    told = hours_in_words(adata)
    if hours_record(adata):
        return f"hours; {told}"
    return f"{_unit_of_the_clock(adata)}; {told}" if told else _unit_of_the_clock(adata)


def _unit_of_the_clock(adata: AnnData) -> str:
    """Relative, and what that is in the unit of experimental times if it was said."""
    if Fitted.of(adata).goes_round:
        return f"turns of the cycle: phases run from 0 to 1, and rates are per turn; {origin_in_words(adata)}"
    scale = read_record(adata, keys.EXPERIMENTAL_TIME)
    if not scale:
        return "relative: the clock runs from 0 to 1"
    return (
        f"relative; the clock spans {scale['units_per_clock']:.3g} of the unit of {scale['unit']!r}, from "
        f"{scale['origin']:.3g} on; in that unit: latent_time_experimental, fit_*_experimental"
    )


def capital(text: str) -> str:
    """A sentence as it begins."""
    return text[:1].upper() + text[1:]
