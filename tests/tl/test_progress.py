"""The progress bar: stages by name, and a remaining time that holds."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from tqdm.std import tqdm

import velotime as vt
from velotime.inference import Progress, ShortFits, Stage
from velotime.tl import _progress
from velotime.tl._progress import ProgressBar


@pytest.fixture
def bar(monkeypatch):
    """A bar that writes text, with a clock that only the test moves."""
    said, now = io.StringIO(), [0.0]
    monkeypatch.setattr(_progress, "tqdm", lambda **more: tqdm(file=said, ncols=200, mininterval=0, **more))
    with ProgressBar(show=True) as shown:
        shown._over.set()  # no ticking
        moments = itertools.count()
        shown._bar._time = lambda: now[0] + 1e-6 * next(moments)  # no two are the same
        shown._bar.start_t = 0.0
        yield shown, said, now


def shown(said):
    return re.split(r"[\r\n]+", said.getvalue().strip())[-1].strip()


def seconds(text, after):
    minutes, rest = re.search(after + r" (\d+):(\d+)", text).groups()
    return 60 * int(minutes) + int(rest)


def test_the_remaining_time_is_that_of_the_run_alone(bar):
    """Starts of 100 s are no part of it, nor is the run before."""
    show, said, now = bar
    show(Stage("starts"))
    now[0] += 100
    show(Stage("fit"))
    for n_iterations, each in ((50, 4.0), (40, 10.0)):
        for iteration in range(1, n_iterations // 2 + 1):
            now[0] += each
            show(Progress(iteration, n_iterations, -500.0, 1.0))
        assert f"fit: {n_iterations // 2}/{n_iterations}" in shown(said)
        assert seconds(shown(said), "at most") == pytest.approx(each * n_iterations / 2, abs=1.01)
    assert "-" not in said.getvalue().replace("-500", "")  # no time is below zero, also where a run begins


def test_what_cannot_be_known_is_not_promised(bar):
    show, said, now = bar
    show(Stage("fit"))
    show(Progress(1, 40, -500.0, 1.0))
    show(Stage("intervals and checks"))
    now[0] += 61
    show._bar.refresh()
    assert shown(said) == "intervals and checks: 01:01 so far"


def test_a_fit_names_its_stages():
    """In the order in which they come, and each run's iterations within one of them."""
    seen = []
    adata = vt.simulation.simulate(150, 24, rng=0, mean_unspliced=1.0, mean_spliced=3.0)
    method = vt.SoftEM(n_times=16, annealing=2, max_iterations=2, start_times=8, n_lineages=1, max_cells=100)
    from velotime.data import read_labels, read_observations
    from velotime.tl._geometry import place_cells

    reading = read_observations(adata)
    rng = np.random.default_rng(0)
    geometry = place_cells(reading.observations, rng)
    labels = read_labels(adata, (), (), reading.layers)
    method.fit(reading.observations, geometry, labels=labels, rng=rng, watch=seen.append)
    named = [one.name for one in seen if isinstance(one, Stage)]
    assert [named[0], *named[-3:]] == ["starts", "fit", "all cells", "intervals and checks"]
    assert isinstance(seen[-1], Stage)
    assert isinstance(seen[seen.index(Stage("fit")) + 1], Progress)
    held_to_its_promises(seen)


def held_to_its_promises(seen):
    """Short fits are counted one by one, of a number that only falls, and is reached."""
    counted = [stage for stage in by_stage(seen) if stage]
    assert len(counted) >= 4  # starts, rivals, their halves, all genes
    for fits in counted:
        assert [one.done for one in fits] == list(range(len(fits)))
        assert all(one.most >= other.most for one, other in itertools.pairwise(fits))
        assert len(fits) - 1 <= fits[-1].most
    assert counted[0][-1].done >= 2


def by_stage(seen):
    stages = [[]]
    for one in seen:
        if isinstance(one, ShortFits):
            stages[-1].append(one)
        elif isinstance(one, Stage):
            stages.append([])
    return stages


def test_short_fits_are_counted_and_timed(bar):
    show, said, now = bar
    show(Stage("starts"))
    now[0] += 30  # before them cells are placed: no part of it
    show(ShortFits(0, 9))
    assert "starts: at most 9 short fits" in shown(said)
    for done, most in ((1, 9), (2, 9), (3, 6)):
        now[0] += 5
        show(ShortFits(done, most))
    assert "starts: 3 of at most 6 short fits" in shown(said)
    assert "00:15 so far, at most 00:15 more" in shown(said)
    show(Stage("fit"))
    show(Progress(1, 40, -500.0, 1.0))
    assert "fit: 1/40" in shown(said)


def test_a_notebook_without_widgets_gets_text_and_no_warning():
    """As in a kernel, but with the widgets hidden."""
    code = """
import sys, types, warnings
warnings.simplefilter("error")
sys.modules["ipywidgets"] = None
import IPython
kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
IPython.get_ipython = lambda: kernel
from velotime.tl._progress import ProgressBar
with ProgressBar(show=True) as bar:
    assert type(bar._bar).__module__.startswith("tqdm.std") or type(bar._bar).__module__ == "tqdm.asyncio"
"""
    pytest.importorskip("IPython")
    subprocess.run([sys.executable, "-c", code], check=True)
