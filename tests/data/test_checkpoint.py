"""Fits that are cut off go on from their checkpoints, to the same bits."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import velotime as vt
from velotime import FitError, InputError
from velotime.data import Checkpoint

KILL = Path(__file__).parents[2] / "benchmarks" / "kill.py"
QUICK = {"n_lineages": 1, "start_cells": 60, "start_genes": 15, "start_times": 12, "n_times": 16, "annealing": 4}
METHOD = vt.SoftEM(**QUICK, max_iterations=4, max_cells=80)


class Killed(BaseException):
    """As a signal that no process survives, at a moment of our choice."""


@pytest.fixture(scope="module")
def cells():
    return vt.simulation.simulate(150, 20, rng=np.random.default_rng(0), mean_unspliced=2.0, mean_spliced=4.0)


def fit(adata, method=METHOD, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", vt.UnclearWarning)
        vt.tl.recover_dynamics(adata, method=method, progress=False, **more)
    return adata


@pytest.fixture(scope="module")
def usual(cells):
    return fit(cells.copy())


def assert_same(one, other):
    for box in ("obs", "var"):
        ours, theirs = getattr(one, box), getattr(other, box)
        assert ours.equals(theirs)
    for name in ("velocity", "velocity_sd", "Ms", "Mu"):
        np.testing.assert_array_equal(one.layers[name], other.layers[name])
    for name in ("bound", "temperature", "iterations", "log_likelihood", "id"):
        np.testing.assert_array_equal(one.uns["recover_dynamics"][name], other.uns["recover_dynamics"][name])
    assert one.uns["recover_dynamics"]["starts"].equals(other.uns["recover_dynamics"]["starts"])
    assert one.uns["time_arrow"]["rivals"].equals(other.uns["time_arrow"]["rivals"])


@pytest.mark.parametrize("every", [1, 4])
def test_killed_after_every_few_states_it_ends_with_the_same_bits(cells, usual, tmp_path, monkeypatch, every):
    """Each time it gets as far as it gets in so many steps, and is killed before anything is tidied up."""
    path, noted, names = tmp_path / "fit.checkpoint", 0, []

    def note(self, name, value):
        nonlocal noted
        self._fresh[name] = value
        self.save()
        names.append(name)
        noted += 1
        if noted == every:
            raise Killed

    monkeypatch.setattr(Checkpoint, "note", note)
    adata, kills = cells.copy(), 0
    while True:
        noted = 0
        try:
            fit(adata, checkpoint=path, resume=True)
            break
        except Killed:
            kills += 1
            assert "latent_time" not in adata.obs
    assert kills > 20 / every
    places = [name for name in names if name.endswith("place")]
    assert len(places) == usual.uns["recover_dynamics"]["iterations"]  # none was done twice
    assert {name.split("/")[0] for name in names} == {"places", "search", "main", "all cells"}
    assert_same(adata, usual)


def test_a_checkpoint_stays_when_the_fit_is_done_and_spares_it(cells, usual, tmp_path, monkeypatch):
    path = tmp_path / "fit.checkpoint"
    assert_same(fit(cells.copy(), checkpoint=path), usual)
    assert [each.name for each in tmp_path.iterdir()] == ["fit.checkpoint"]

    def again(*_):
        raise AssertionError("an iteration was done again")

    monkeypatch.setattr("velotime.inference.em.Place.after", again)
    assert_same(fit(cells.copy(), checkpoint=path, resume=True), usual)


def test_a_checkpoint_of_something_else_is_refused(cells, usual, tmp_path):
    path = tmp_path / "fit.checkpoint"
    fit(cells.copy(), checkpoint=path)
    other = cells.copy()
    other.layers["spliced"][3, 4] += 1
    for adata, more in ((other, {}), (cells, {"rng": 1}), (cells, {"method": vt.SoftEM(**QUICK, max_iterations=5)})):
        with pytest.raises(InputError, match="other data, another method, another seed"):
            fit(adata.copy(), checkpoint=path, resume=True, **more)
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(InputError, match="no checkpoint of velotime, or damaged"):
        fit(cells.copy(), checkpoint=path, resume=True)
    fit(cells.copy(), checkpoint=path)  # without resume it is replaced
    assert_same(fit(cells.copy(), checkpoint=path, resume=True), usual)


def test_nothing_is_run_from_a_file_that_is_no_checkpoint(tmp_path):
    class Harm:
        def __reduce__(self):
            return pytest.fail, ("it was run",)

    (tmp_path / "fit.checkpoint").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(InputError, match="no checkpoint"):
        Checkpoint.opened(tmp_path / "fit.checkpoint", "run", resume=True)


def test_what_cannot_be_asked(cells, tmp_path):
    with pytest.raises(InputError, match="name the file to go on from"):
        fit(cells.copy(), resume=True)
    with pytest.raises(InputError, match=r"only vt\.SoftEM keeps one"):
        fit(cells.copy(), method=vt.MixtureEM(), unspliced="unspliced", spliced="spliced", checkpoint=tmp_path / "a")


def test_a_fit_that_failed_leaves_no_checkpoint(cells, tmp_path, monkeypatch):
    def fails(*_):
        raise FitError("no")

    monkeypatch.setattr("velotime.inference.em.Monitor.record", fails)
    with pytest.raises(FitError):
        fit(cells.copy(), checkpoint=tmp_path / "fit.checkpoint")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_runs_killed_by_signals_end_with_the_same_bits():
    call = [sys.executable, "-W", "ignore", str(KILL), "--kills", "2", "--cells", "150", "--genes", "20"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 kills in")
