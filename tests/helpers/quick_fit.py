"""Settings of a fit that is quick and good enough for tests of what is stored of it."""

from __future__ import annotations

QUICK = {
    "n_lineages": 1,  # to find their number takes as long as all the rest
    "start_cells": 150,
    "start_genes": 40,
    "annealing": 4,
    "max_iterations": 3,
    "n_times": 24,
    "start_times": 16,
}
