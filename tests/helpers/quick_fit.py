"""Settings of a fit that is quick and good enough for tests of what is stored of it."""

from __future__ import annotations

QUICK = {"start_cells": 150, "start_genes": 40, "annealing": 4, "max_iterations": 3, "n_times": 24, "start_times": 16}
