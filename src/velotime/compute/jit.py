"""The decorator of every compiled kernel, with a cache that knows of all sources.

Here and in ``rows`` alone numba is imported.

numba's cache keeps machine code under the hash of the file that a function stands in. A kernel that calls one of
another file would keep the old code of that when it is edited, so the key here holds the hash of all files that a
kernel can call: those of this package and of the folder it stands in.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

_config: Any = numba.config  # whose names are made as it is imported

#: Whether kernels are compiled: not under ``NUMBA_DISABLE_JIT``.
COMPILED = not _config.DISABLE_JIT

#: Multiply and add in one rounding.
CONTRACT = frozenset({"contract"})
#: Sums in any order as well, so that a loop that adds up uses whole registers.
REASSOC = frozenset({"contract", "reassoc"})


class Kernel(Protocol):
    """A compiled function: any arrays, tuples of arrays and numbers."""

    def __call__(self, *arguments: Any) -> Any:
        """What the Python function does."""


def jit(flags: frozenset[str]) -> Callable[[Callable[..., Any]], Kernel]:
    """Compile a function without the GIL, with these flags of ``fastmath`` and no others.

    Checks for NaN and infinity stay, as no flag that assumes their absence is ever given. Division by zero gives what
    it gives in NumPy. Where no folder for a cache can be written, in a read-only home or container, each process
    compiles for itself.

    Parameters
    ----------
    flags
        ``CONTRACT`` or ``REASSOC``.
    """

    def decorate(function: Callable[..., Any]) -> Kernel:
        kernel = numba.njit(nogil=True, fastmath=set(flags), error_model="numpy")(function)
        if kernel is not function:  # as it is under NUMBA_DISABLE_JIT
            _enable_cache(kernel, function)
        return kernel

    return decorate


def n_threads() -> int:
    """Threads that kernels may use: ``NUMBA_NUM_THREADS``, or all cores."""
    return int(numba.get_num_threads())


def most_threads() -> int:
    """Threads that kernels may ever use."""
    return int(_config.NUMBA_NUM_THREADS)


def use_threads(n: int) -> None:
    """Let kernels use so many threads from now on."""
    numba.set_num_threads(n)


def _make_room() -> tempfile.TemporaryDirectory[str] | None:
    """Where numba finds no folder for caches, give it one for as long as this process runs.

    Libraries that we import (scanpy) ask numba for caches as they are loaded, and numba raises where neither their
    folder nor the home can be written.
    """
    try:
        FunctionCache(numba.njit)
    except RuntimeError:
        try:
            room = tempfile.TemporaryDirectory(prefix="velotime-")
        except OSError:
            return None
        _config.CACHE_DIR = room.name
        return room
    return None


_room = _make_room()


def _enable_cache(kernel: Any, function: Callable[..., Any]) -> None:
    try:
        kernel._cache = SourcesCache(function)
    except RuntimeError as error:  # numba finds no folder to write to
        if "no locator available" not in str(error):
            raise


class SourcesCache(FunctionCache):
    """numba's cache on disk, stamped with the hash of all sources that the function can call.

    A folder that can no longer be written or read (a full disk, a file cut off) costs a compilation, never the call.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = hash_of_sources(Path(__file__).parent, Path(inspect.getfile(function)).parent)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Machine code for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code for a signature, if that can be done."""
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):  # it reads the index before it writes
            super().save_overload(sig, data)


@cache
def hash_of_sources(*folders: Path) -> str:
    """Hash of the names and contents of all Python files under some folders."""
    total = hashlib.sha256()
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.rglob("*.py")):
            total.update(str(path.relative_to(folder)).encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
