"""The script that draws the figures of the documentation."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "figures.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["stream", "embedding", "velocity", "genes", "heatmap", "fit"])
def test_every_figure_is_drawn(name, script, forked, tmp_path):
    script.FIGURES[name](forked, "stage")
    plt.gcf().savefig(tmp_path / "figure.png", dpi=40)
    assert all(ax.has_data() or ax.axison is False for ax in plt.gcf().axes)


def test_all_figures_are_tested(script):
    assert set(script.FIGURES) == {"stream", "embedding", "velocity", "genes", "heatmap", "fit"}


def test_a_fitted_file_is_not_fitted_again(script, forked, tmp_path):
    forked.write_h5ad(tmp_path / "a.h5ad")
    prepared = script.prepare(tmp_path / "a.h5ad", 1)
    assert len(prepared.uns["recover_dynamics"]["bound"]) == 12
