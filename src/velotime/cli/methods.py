"""Methods as the command line names them: what each is made of, and what it needs of the cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import click

from velotime._status import InputError
from velotime.cli.labels import column_and_label, column_and_labels, column_and_order, read_names, split_names

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


@dataclass(frozen=True)
class Asked:
    """The options that set a method, as they were given; None where they were not."""

    noise: str | None = None
    lineages: str | None = None
    terminals: str | None = None
    root: str | None = None
    end: str | None = None
    early_markers: str | None = None
    late_markers: str | None = None
    time_labels: str | None = None
    max_iterations: int | None = None
    cycle: bool | None = None
    not_cycling: bool | None = None
    samples: str | None = None
    condition: str | None = None
    without: str | None = None

    def given(self) -> list[str]:
        """Names of the options that were given."""
        return [f"--{own.name.replace('_', '-')}" for own in fields(self) if getattr(self, own.name) is not None]


class Way(ABC):
    """One way of fitting."""

    @abstractmethod
    def check(self, asked: Asked) -> None:
        """Refuse, before anything is read, what this way does not know.

        Raises
        ------
        InputError
            With the option, and what to do.
        """

    @abstractmethod
    def method(self, asked: Asked, obs: pd.DataFrame) -> Any:
        """The method with its settings."""

    def prepare(self, adata: AnnData, layers: dict[str, str | None], seed: int) -> dict[str, str | None]:
        """Make of the counts what the method reads; the layers to name to it."""
        del adata, seed
        return layers


class Soft(Way):
    """``SoftEM``."""

    def check(self, asked: Asked) -> None:
        """Numbers and noise; what needs the cells comes with them."""
        others = [option for option in asked.given() if option in OF_A_LINE]
        if asked.cycle and others:
            raise InputError(
                f"{', '.join(others)}: a cycle has no root, ends or lineages; leave out with --cycle. Genes can say "
                "where it begins: --early-markers rise there, --late-markers fall."
            )
        if asked.not_cycling and not asked.cycle:
            raise InputError("--not-cycling: cells can be off a cycle only; give --cycle too.")
        _check_samples(asked)
        self._plain(asked)

    def _plain(self, asked: Asked) -> Any:
        from velotime import CountDrop, Cycle, SoftEM

        more: dict[str, Any] = {} if asked.max_iterations is None else {"max_iterations": asked.max_iterations}
        if asked.without is not None:
            more["without"] = read_names("--without", asked.without)
        if asked.cycle:
            more["clock"] = Cycle(next(iter(_markers(asked)), CountDrop()), not_cycling=bool(asked.not_cycling))
        return SoftEM(noise=_noise(asked.noise), n_lineages=_n_lineages(asked.lineages or "auto"), **more)

    def method(self, asked: Asked, obs: pd.DataFrame) -> Any:
        """With what is known of the cells."""
        return replace(
            self._plain(asked),
            samples=_samples(asked, obs),
            lineages=_terminals(asked.terminals, obs),
            root=_root(asked.root, obs),
            knowledge=() if asked.cycle else _knowledge(asked, obs),
        )


@dataclass(frozen=True)
class OnMoments(Way):
    """A method that reads means over neighbours, and knows nothing of the cells besides.

    Parameters
    ----------
    name
        As the command line has it.
    """

    name: str

    def check(self, asked: Asked) -> None:
        """Only the number of iterations is its own."""
        others = [option for option in asked.given() if option != "--max-iterations"]
        if others:
            raise InputError(f"{', '.join(others)}: read by --method soft only, not by --method {self.name}.")

    def method(self, asked: Asked, obs: pd.DataFrame) -> Any:
        """By its name."""
        del obs
        from velotime import GeneClock, MixtureEM, SharedClock, TwoStageEM

        more: Any = {} if asked.max_iterations is None else {"max_iterations": asked.max_iterations}
        if self.name == "mixture":
            return MixtureEM(**more)
        return TwoStageEM(clock=GeneClock(**more) if self.name == "gene-clock" else SharedClock(**more))

    def prepare(self, adata: AnnData, layers: dict[str, str | None], seed: int) -> dict[str, str | None]:
        """Moments, which are then found by their names."""
        from velotime import pp

        pp.moments(adata, rng=seed, **layers)
        return {}


#: Options that say what a clock that goes round has not.
OF_A_LINE = ("--lineages", "--terminals", "--root", "--end", "--time-labels")
WAYS: dict[str, Way] = {"soft": Soft(), **{name: OnMoments(name) for name in ("two-stage", "gene-clock", "mixture")}}


def without_those_here(method: Any, names: Iterable[str]) -> Any:
    """The method with those of the genes that it leaves out which are there; that others are not is said.

    Raises
    ------
    InputError
        If none is.
    """
    asked = getattr(method, "without", ())
    if not asked:
        return method
    there = set(names)
    found = tuple(gene for gene in asked if gene in there)
    if not found:
        raise InputError(
            f"--without: none of its {len(asked):,} genes, e.g. {asked[0]}, is among those of IN, e.g. "
            f"{next(iter(names), 'none')}. Name them as IN does; --gene-names COLUMN takes names from a column of var."
        )
    if len(found) < len(asked):
        click.echo(
            f"Warning: {len(asked) - len(found):,} of the {len(asked):,} genes of --without are not there.", err=True
        )
    return replace(method, without=found)


def _check_samples(asked: Asked) -> None:
    """Refuse what does not go with several samples."""
    if asked.samples is None:
        return
    if asked.noise == "gaussian":
        raise InputError(
            f"--samples {asked.samples}: how samples capture molecules is told from counts, but --noise gaussian "
            "reads values. Leave one of the two out."
        )


def _samples(asked: Asked, obs: pd.DataFrame) -> str | None:
    """The column of the samples, with conditions that can be compared."""
    _check_samples(asked)
    for option, column in (("--samples", asked.samples), ("--condition", asked.condition)):
        if column is not None and column not in obs:
            raise InputError(f"{option} {column}: no such column in obs; there are {list(obs.columns)}.")
    if asked.condition is not None:
        if asked.samples is None:
            raise InputError(
                f"--condition {asked.condition}: samples are the replicates. Give the column of the samples too, "
                "--samples COLUMN, or a table of samples for IN."
            )
        if obs[asked.condition].nunique() < 2:
            raise InputError(f"--condition {asked.condition}: give a column with two conditions or more.")
    return asked.samples


def _noise(name: str | None) -> Any:
    from velotime import Gaussian, NegativeBinomial, Poisson

    kinds = {None: NegativeBinomial, "negative-binomial": NegativeBinomial, "poisson": Poisson, "gaussian": Gaussian}
    return kinds[name]()


def _n_lineages(given: str) -> Any:
    if given == "auto":
        return given
    try:
        return int(given)
    except ValueError:
        raise InputError(f'--lineages {given}: give a whole number or "auto".') from None


def _terminals(given: str | None, obs: pd.DataFrame) -> Any:
    from velotime import Terminals

    return None if given is None else Terminals(*column_and_labels("--terminals", given, obs))


def _root(given: str | None, obs: pd.DataFrame) -> Any:
    from velotime import Root

    return None if given is None else Root(*column_and_label("--root", given, obs))


def _markers(asked: Asked) -> list[Any]:
    """Genes that are known to fall and rise; none if none are."""
    from velotime import Markers

    if asked.early_markers is None and asked.late_markers is None:
        return []
    return [Markers(early=split_names(asked.early_markers), late=split_names(asked.late_markers))]


def _knowledge(asked: Asked, obs: pd.DataFrame) -> tuple[Any, ...]:
    from velotime import Ends, TimeLabels

    pieces: list[Any] = []
    if asked.end is not None:
        pieces.append(Ends(*column_and_labels("--end", asked.end, obs)))
    pieces.extend(_markers(asked))
    if asked.time_labels is not None:
        column, order = column_and_order("--time-labels", asked.time_labels, obs)
        pieces.append(TimeLabels(column, order=order))
    return tuple(pieces)
