"""A progress bar for the loop, on a terminal and in notebooks: named stages, and a remaining time that holds.

How long a run takes is told where it can be known: its iterations take about equally long, and there are no more of
them than the method allows, so that the rest takes *at most* so long; it ends when the fit has converged. Likewise the
short fits of the starts: no more of them than the bar says are left, and fewer where roots fall far behind. The checks
afterwards are not counted beforehand: of these the time so far is shown, and nothing is promised.
"""

from __future__ import annotations

import warnings
from threading import Event, Thread
from types import TracebackType

from tqdm import TqdmWarning

from velotime._log import quiet
from velotime.inference import Progress, ShortFits, Stage

with warnings.catch_warnings():  # in a notebook without ipywidgets the bar is one of text, which is no fault
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.auto import tqdm

EVERY = 1.0  # seconds between two times that are shown where nothing else happens
COUNTED = "{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed} so far, at most {remaining} more{postfix}"
FITS = "{desc}: {n_fmt} of at most {total_fmt} short fits |{bar}| {elapsed} so far, at most {remaining} more"
FIRST_FIT = "{desc}: at most {total_fmt} short fits, {elapsed} so far"  # none has ended, so that none is timed
UNCOUNTED = "{desc}: {elapsed} so far"


class ProgressBar:
    """Shows stage, iteration, time and bound; use it as a context and pass it to a method as its watcher."""

    def __init__(self, *, show: bool, first: str = "starts") -> None:
        # of the rate, the mean over the run: single iterations that try every gene again take longer
        self._bar = tqdm(desc=first, bar_format=UNCOUNTED, smoothing=0, disable=not show or quiet(), leave=False)
        self._over = Event()
        self._clock = Thread(target=self._tick, daemon=True, name="velotime-progress")

    def __enter__(self) -> ProgressBar:
        if not self._bar.disable:
            self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._clock.is_alive():
            self._clock.join()
        self._bar.close()

    def __call__(self, progress: Progress | ShortFits | Stage) -> None:
        """Show that a stage begins, or one iteration or short fit of it."""
        if self._bar.disable:
            return
        if isinstance(progress, Stage):
            self._begin(progress.name, None)
        elif isinstance(progress, ShortFits):
            self._count(progress)
        else:
            self._iterate(progress)

    def _iterate(self, progress: Progress) -> None:
        if progress.iteration == 1:  # of a run, which is timed from the end of its first iteration on
            self._begin(self._bar.desc, progress.n_iterations)
        self._bar.set_postfix_str(f"{progress.bound:.3f} nats per cell", refresh=False)
        self._bar.update(progress.iteration - self._bar.n)

    def _count(self, fits: ShortFits) -> None:
        if fits.done == 0:
            self._bar.reset(total=fits.most)
            self._bar.initial = 0
        self._bar.bar_format = FITS if fits.done else FIRST_FIT
        self._bar.total, self._bar.n = fits.most, fits.done
        self._bar.refresh()

    def _begin(self, name: str, n_iterations: int | None) -> None:
        self._bar.bar_format = UNCOUNTED if n_iterations is None else COUNTED
        self._bar.set_description_str(name, refresh=False)
        self._bar.set_postfix_str("", refresh=False)
        self._bar.initial = 0  # or what the run before counted from would be taken for progress of this one, backwards
        self._bar.reset(total=n_iterations)
        self._bar.n = self._bar.last_print_n = self._bar.initial = int(n_iterations is not None)
        self._bar.refresh()

    def _tick(self) -> None:
        while not self._over.wait(EVERY):
            self._bar.refresh()
