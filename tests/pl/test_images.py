"""Every plot against a picture of it that was looked at.

Texts are blanked, as fonts differ between machines. To draw the pictures again, look at them, and commit them:
``VELOTIME_DRAW_BASELINES=1 python -m pytest tests/pl/test_images.py``.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.testing.compare import calculate_rms, compare_images
from matplotlib.testing.decorators import remove_ticks_and_titles
from matplotlib.text import Text
from PIL import Image

import velotime as vt

BASELINE = Path(__file__).parent / "baseline"
TOLERANCE = 15  # root mean square over pixels and channels, of 255
LARGEST = 30_000  # bytes

PLOTS = {
    "phase_portrait": lambda a, b: vt.pl.phase_portrait(b, "gene_3"),
    "phase_portrait_labels": lambda a, b: vt.pl.phase_portrait(a, "gene_1", color="stage"),
    "along_time": lambda a, b: vt.pl.along_time(b, "gene_3"),
    "embedding": lambda a, b: vt.pl.embedding(b, color="latent_time"),
    "embedding_sd": lambda a, b: vt.pl.embedding(b, color="latent_time_sd", cmap="magma"),
    "embedding_labels": lambda a, b: vt.pl.embedding(b, color="stage"),
    "time_against": lambda a, b: vt.pl.time_against(a, "true_time"),
    "velocity_stream": lambda a, b: vt.pl.velocity_stream(b, color="stage"),
    "velocity_grid": lambda a, b: vt.pl.velocity_grid(b, n_grid=12),
    "velocity_arrows": lambda a, b: vt.pl.velocity_arrows(b, max_arrows=60),
    "heatmap": lambda a, b: vt.pl.heatmap(a, color="stage"),
    "time_prior": lambda a, b: vt.pl.time_prior(b),
    "em_trace": lambda a, b: vt.pl.em_trace(a),
    "arrow_evidence": lambda a, b: vt.pl.arrow_evidence(a),
    "proportions": lambda a, b: vt.pl.proportions(a, "stage"),
}
OF_SAMPLES = {
    "samples": lambda c: vt.pl.samples(c, condition="condition"),
    "conditions": lambda c: vt.pl.conditions(c, gene="gene_3"),
}
NAMES = [*PLOTS, *OF_SAMPLES]


def draw(name, request, path):
    if name in OF_SAMPLES:
        OF_SAMPLES[name](request.getfixturevalue("compared"))
    else:
        PLOTS[name](request.getfixturevalue("drawn"), request.getfixturevalue("forked"))
    figure = plt.gcf()
    figure.set_size_inches(*((6.4, 2.6) if name in OF_SAMPLES else (3.2, 2.6)))
    remove_ticks_and_titles(figure)
    for text in figure.findobj(Text):
        text.set_text("")
    figure.savefig(path, dpi=60, metadata={"Software": None})


@pytest.mark.skipif(
    mpl.__version_info__ < (3, 11), reason="the pictures were drawn by matplotlib 3.11; older ones lay out otherwise"
)
@pytest.mark.parametrize("name", NAMES)
def test_looks_as_its_baseline(name, request, tmp_path):
    expected, actual = BASELINE / f"{name}.png", tmp_path / f"{name}.png"
    if os.environ.get("VELOTIME_DRAW_BASELINES"):
        draw(name, request, expected)
    draw(name, request, actual)
    copy = tmp_path / f"{name}-expected.png"
    copy.write_bytes(expected.read_bytes())
    assert compare_images(str(copy), str(actual), tol=TOLERANCE) is None


def test_baselines_are_small_and_of_plots():
    paths = sorted(BASELINE.glob("*.png"))
    assert [path.stem for path in paths] == sorted(NAMES)
    assert max(path.stat().st_size for path in paths) < LARGEST


def test_tolerance_tells_plots_apart():
    """A tolerance under which one plot passes for another would be no test."""
    pictures = {name: np.asarray(Image.open(BASELINE / f"{name}.png").convert("RGB")) for name in NAMES}
    apart = {
        pair: calculate_rms(pictures[pair[0]].astype(float), pictures[pair[1]].astype(float))
        for names in (PLOTS, OF_SAMPLES)  # of one size each
        for pair in itertools.combinations(names, 2)
    }
    assert min(apart.values()) > TOLERANCE, min(apart, key=apart.get)
    blank = {
        name: calculate_rms(picture.astype(float), np.full(picture.shape, 255.0)) for name, picture in pictures.items()
    }
    assert min(blank.values()) > TOLERANCE, min(blank, key=blank.get)
