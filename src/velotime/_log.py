"""What functions say as they run: through ``logging``, or in scanpy's voice where scanpy is set to say that much.

The logger "velotime" is as libraries leave it: silent until a program asks for it. In notebooks hardly anyone does, but
many set ``scanpy.settings.verbosity``: where nobody listens to the logger, scanpy's own is told, which shows
what its verbosity asks for (2: what is done, as here) where its ``logfile`` says. No line comes twice.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter

LOGGER = logging.getLogger("velotime")
LOGGER.addHandler(logging.NullHandler())


def info(text: str) -> None:
    """Say what was done."""
    scanpy = sys.modules.get("scanpy")
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info(text)
    elif scanpy is not None:
        scanpy.logging.info(text)


@contextmanager
def told(what: str) -> Iterator[Callable[[str], None]]:
    """Say that something begins and, at the end, how long it took and what came of it, which the caller adds."""
    came: list[str] = []
    began = perf_counter()
    info(what)
    yield came.append
    seconds = timedelta(seconds=round(perf_counter() - began))
    info(f"    finished ({seconds})" + (f": {', '.join(came)}" if came else ""))


@contextmanager
def scanpy_aside() -> Iterator[None]:
    """Call scanpy on an object of ours: it says nothing but warnings of it, and its slots have the names of scanpy 1.

    scanpy 2, and its preset from 1.13 on, name them otherwise.
    """
    settings = sys.modules["scanpy"].settings
    verbosity, preset = settings.verbosity, getattr(settings, "preset", None)
    settings.verbosity = min(int(verbosity), 1)
    if preset is not None:
        settings.preset = type(preset)("scanpy-v1")
    try:
        yield
    finally:
        settings.verbosity = verbosity
        if preset is not None:
            settings.preset = preset


def quiet() -> bool:
    """Whether scanpy is to say nothing but errors, so that no bar is shown either."""
    scanpy = sys.modules.get("scanpy")
    return scanpy is not None and int(scanpy.settings.verbosity) <= 0
