"""How many short fits of a search are done, and how many there may still be: for a progress bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from velotime.inference.em import ShortFits, Stage, Watcher, watch_nothing

T = TypeVar("T")


@dataclass
class Tally:
    """Counts short fits as they end. Those that may still come are known from above only, and become fewer.

    Attributes
    ----------
    watch
        Called after each.
    done, most
        Fits that are done, and all of the stage at most.
    """

    watch: Watcher = watch_nothing
    done: int = 0
    most: int = 0

    def begin(self, stage: str, most: int) -> None:
        """Another stage, of at most so many fits."""
        self.done, self.most = 0, most
        self.watch(Stage(stage))
        self.watch(ShortFits(0, most))

    def expect(self, n_fits: int) -> None:
        """No more than so many fits are left of this stage."""
        self.most = self.done + n_fits

    def counted(self, fit: T) -> T:
        """The same fit, which is done."""
        self.done += 1
        self.watch(ShortFits(self.done, self.most))
        return fit
