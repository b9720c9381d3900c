"""A progress bar for the loop, on a terminal and in notebooks."""

from __future__ import annotations

from types import TracebackType

from tqdm.auto import tqdm

from velotime.inference import Progress


class ProgressBar:
    """Shows iteration, bound and temperature; use it as a context and pass it to a method as its watcher."""

    def __init__(self, *, show: bool) -> None:
        self._bar = tqdm(desc="starts", unit="iteration", disable=not show, leave=False)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, progress: Progress) -> None:
        """Show one iteration; the short fits from the starts, which come first, are over then."""
        self._bar.set_description("fit", refresh=False)
        self._bar.total = progress.n_iterations
        self._bar.set_postfix(
            bound=f"{progress.bound:.3f} per cell", temperature=f"{progress.temperature:.1f}", refresh=False
        )
        self._bar.update(progress.iteration - self._bar.n)
