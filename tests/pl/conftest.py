"""Figures in the default style, closed when a test is done."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _close_figures():
    with mpl.style.context("default"):
        yield
    plt.close("all")
