"""Floating-point rate of the sweep against this machine's own single-precision matrix product.

    python benchmarks/sweep.py

Prints, one row per case, the rate of multiply-adds on counts (two operations per non-zero and state, once for the
scores and once for the sums) for each second of CPU time, the best of some repeats, and its share of the peak measured
beside it. Threads are as many as ``NUMBA_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS`` say.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import sparse

from velotime.compute import NUMBA, Layer, ScoreTables, SweepModel

CASES = ((20_000, 1000, 100, 96), (20_000, 1000, 350, 64), (20_000, 1000, 350, 256))  # cells, genes, non-zeros, states
LEVELS = 16
REPEATS = 7


def seconds(task) -> float:
    """Least CPU time: others on the machine slow it down as well, but less than the clock."""
    task()
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        task()
        times.append(time.process_time() - began)
    return min(times)


def peak() -> float:
    """Rate of a single-precision matrix product, floating-point operations per second."""
    a = np.random.default_rng(0).random((4000, 4000), dtype=np.float32)
    return 2 * 4000**3 / seconds(lambda: a @ a)


def layer_and_tables(n_cells: int, n_genes: int, non_zeros: int, n_states: int, rng) -> tuple[Layer, ScoreTables]:
    genes = np.sort(rng.integers(0, n_genes, (n_cells, non_zeros)), axis=1).astype(np.int32)
    counts = sparse.csr_array(
        (np.ones(genes.size, np.float32), genes.ravel(), np.arange(0, genes.size + 1, non_zeros)),
        shape=(n_cells, n_genes),
    )
    slope = rng.normal(0, 0.01, (LEVELS, n_genes, n_states)).astype(np.float32)
    level = np.sort(rng.integers(0, LEVELS, n_cells))
    return Layer.of(counts, level, np.ones(n_cells)), ScoreTables(slope, np.zeros((LEVELS, n_states), np.float32))


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'cells':>7} {'genes':>6} {'non-zeros':>9} {'states':>6} {'CPU s':>8} {'GFLOP/s':>8} {'of peak':>8}")
    for n_cells, n_genes, non_zeros, n_states in CASES:
        u, u_tables = layer_and_tables(n_cells, n_genes, non_zeros, n_states, rng)
        s, s_tables = layer_and_tables(n_cells, n_genes, non_zeros, n_states, rng)
        model = SweepModel(u_tables, s_tables, np.zeros((1, n_states), np.float32), temperature=1000.0)
        one = np.zeros(n_cells, dtype=np.int32)
        taken = seconds(lambda: NUMBA.accumulate(u, s, model, one, one))  # noqa: B023
        rate = 2 * 2 * (2 * non_zeros) * n_cells * n_states / taken
        share = rate / peak()
        print(f"{n_cells:>7} {n_genes:>6} {non_zeros:>9} {n_states:>6} {taken:>8.3f} {rate / 1e9:>8.1f} {share:>8.0%}")


if __name__ == "__main__":
    main()
