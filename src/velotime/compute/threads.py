"""One pool of threads, kept from kernel to kernel: to start them again costs as much as a small kernel."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from operator import iadd
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from velotime.compute.jit import most_threads, n_threads, use_threads

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A", bound="Summable")


class Summable(Protocol):
    """What can be added up."""

    def __add__(self, other: Any, /) -> Any:
        """Both together."""


@cache
def _pool(n: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=n, thread_name_prefix="velotime")


@contextlib.contextmanager
def at_most_threads(n_jobs: int | None) -> Iterator[None]:
    """Let kernels, and the linear algebra between them, use so many threads; -1 all, None as many as they may anyway.

    There are never more than ``NUMBA_NUM_THREADS``, or cores.
    """
    if n_jobs is None:
        yield
        return
    before, most = n_threads(), most_threads()
    n = most if n_jobs < 0 else min(n_jobs, most)
    use_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        use_threads(before)


if hasattr(os, "register_at_fork"):  # a forked process has none of these threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def on_all_cores(task: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Run ``task`` on every item, on as many threads as kernels may use; results in the order of the items.

    A task must not call this in turn: it would wait for threads that wait for it.
    """
    return _on_threads(n_threads(), task, items)


def _on_threads(threads: int, task: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    return map(task, items) if threads == 1 else _pool(threads).map(task, items)


def over_slices(n: int, longest: int, task: Callable[[slice], None]) -> None:
    """Run ``task`` on 0 to n cut into slices of equal length, as many per thread, none longer than ``longest``."""
    threads = n_threads()
    rounds = max(1, -(-n // (threads * longest)))
    length = max(1, -(-n // (threads * rounds)))
    slices = [slice(first, min(first + length, n)) for first in range(0, n, length)]
    deque(_on_threads(threads, task, slices), maxlen=0)


def ordered_sum(task: Callable[[int], A], n: int) -> A:
    """Run ``task`` for 0 to n - 1 on all cores and add up what it returns in that order, in place where it can be."""
    return reduce(iadd, on_all_cores(task, range(n)))
