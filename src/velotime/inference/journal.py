"""What a run has done so far, so that one that is cut off goes on from there and ends with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Journal(Protocol):
    """States of a run by name, of which the last of each is kept."""

    def read(self, name: str) -> Any:
        """What was noted under this name; None if nothing was."""

    def note(self, name: str, value: Any) -> None:
        """Keep a value, which must not change afterwards."""


@dataclass(frozen=True)
class NoJournal:
    """Keeps nothing."""

    def read(self, name: str) -> Any:  # noqa: ARG002
        """Nothing."""
        return None

    def note(self, name: str, value: Any) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class Chapter:
    """A part of a journal, whose names are its own.

    Attributes
    ----------
    journal
        The whole.
    title
        Of the part.
    """

    journal: Journal
    title: str

    def read(self, name: str) -> Any:
        """What was noted under this name in this part."""
        return self.journal.read(f"{self.title}/{name}")

    def note(self, name: str, value: Any) -> None:
        """Keep a value in this part."""
        self.journal.note(f"{self.title}/{name}", value)


NO_JOURNAL = NoJournal()


def recalled(journal: Journal, name: str, compute: Callable[[], T]) -> T:
    """What was noted, or else what ``compute`` gives, which is noted."""
    found: T | None = journal.read(name)
    if found is None:
        found = compute()
        journal.note(name, found)
    return found
