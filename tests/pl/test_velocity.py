"""Velocity fields and how they are drawn."""

from __future__ import annotations

import numpy as np
import pytest

import velotime as vt
from velotime.pl._grid import velocity_field


def quiver(ax):
    return next(artist for artist in ax.collections if hasattr(artist, "U"))


def test_field_is_the_kernel_average():
    rng = np.random.default_rng(0)
    points, velocity = rng.normal(size=(40, 2)) * [3, 1], rng.normal(size=(40, 2))
    field = velocity_field(points, velocity, n_grid=7, smooth=0.8, min_density=0.1)
    h = 0.8 * np.array([field.x[1] - field.x[0], field.y[1] - field.y[0]])
    mass = np.empty((7, 7))
    for row, y in enumerate(field.y):
        for column, x in enumerate(field.x):
            weight = [np.exp(-0.5 * sum(((np.array([x, y]) - p) / h) ** 2)) for p in points]
            mass[row, column] = sum(weight)
            if np.isfinite(field.velocity[row, column, 0]):
                mean = sum(w * v for w, v in zip(weight, velocity, strict=True)) / sum(weight)
                np.testing.assert_allclose(field.velocity[row, column], mean, rtol=1e-9)
    np.testing.assert_allclose(field.mass, mass, rtol=1e-9)
    np.testing.assert_array_equal(field.crowded, mass > 0.1 * np.percentile(mass, 99))
    assert 0 < field.crowded.sum() < 49


def test_field_of_a_constant_velocity_is_constant():
    points = np.random.default_rng(1).uniform(size=(60, 2))
    field = velocity_field(points, np.tile([2.0, -1.0], (60, 1)), n_grid=10, smooth=1.0, min_density=0.05)
    np.testing.assert_allclose(field.velocity[field.crowded], np.tile([2.0, -1.0], (field.crowded.sum(), 1)))
    np.testing.assert_allclose(field.speed[field.crowded], np.sqrt(5))


def test_field_has_room_for_cells_on_a_line():
    points = np.c_[np.linspace(0, 1, 20), np.zeros(20)]
    field = velocity_field(points, np.ones((20, 2)), n_grid=5, smooth=1.0, min_density=0.05)
    assert field.crowded.any()


def test_arrows_are_the_velocities(drawn):
    ax = vt.pl.velocity_arrows(drawn, color="stage")
    arrows = quiver(ax)
    np.testing.assert_allclose(arrows.XY, drawn.obsm["X_umap"])
    np.testing.assert_allclose(np.c_[arrows.U, arrows.V], drawn.obsm["velocity_umap"])
    assert len(quiver(vt.pl.velocity_arrows(drawn, max_arrows=10)).U) == 10


def test_cells_without_velocity_are_left_out_and_counted(drawn):
    drawn.obsm["velocity_umap"][:7] = np.nan
    ax = vt.pl.velocity_arrows(drawn)
    assert len(quiver(ax).U) == drawn.n_obs - 7
    assert len(ax.collections[0].get_offsets()) == drawn.n_obs
    assert [text.get_text() for text in ax.texts] == ["7 cells without velocity left out"]
    for plot in (vt.pl.velocity_stream, vt.pl.velocity_grid):
        assert "7 cells without velocity" in plot(drawn).texts[0].get_text()
    drawn.obsm["velocity_umap"][:] = np.nan
    with pytest.raises(vt.InputError, match="NaN throughout"):
        vt.pl.velocity_arrows(drawn)


def test_grid_arrows_point_forward_where_cells_are(forked):
    arrows = quiver(vt.pl.velocity_grid(forked, n_grid=15))
    assert np.all(arrows.U > 0)
    cells = forked.obsm["X_umap"]
    far = np.linalg.norm(arrows.XY[:, None] - cells[None], axis=2).min(axis=1)
    assert far.max() < 1.5


def test_stream_runs_forward(forked):
    ax = vt.pl.velocity_stream(forked)
    lines = next(artist for artist in ax.collections if hasattr(artist, "get_segments") and artist.get_segments())
    segments = np.array([segment for segment in lines.get_segments() if len(segment) == 2])
    assert len(segments) > 20
    assert np.mean(segments[:, 1, 0] >= segments[:, 0, 0]) > 0.99


@pytest.mark.parametrize("plot", [vt.pl.velocity_stream, vt.pl.velocity_grid, vt.pl.velocity_arrows])
def test_errors_name_the_cure(plot, drawn):
    with pytest.raises(vt.InputError, match=r"basis 'tsne' not found.*available: \['umap'\]"):
        plot(drawn, basis="tsne")
    with pytest.raises(vt.InputError, match=r"color='nothing' is neither.*'stage'"):
        plot(drawn, color="nothing")
    del drawn.uns["recover_dynamics"]
    with pytest.raises(vt.InputError, match=r"recover_dynamics"):
        plot(drawn)


def test_zero_velocities_draw_no_arrow(drawn):
    drawn.obsm["velocity_umap"][:] = 0
    assert not any(hasattr(artist, "U") for artist in vt.pl.velocity_arrows(drawn).collections)
    vt.pl.velocity_stream(drawn).figure.canvas.draw()


@pytest.mark.parametrize("wrong", [{"smooth": 0}, {"min_density": 1}, {"min_density": -0.1}])
def test_settings_out_of_range(wrong, drawn):
    with pytest.raises(vt.InputError, match=next(iter(wrong))):
        vt.pl.velocity_grid(drawn, **wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("plot", [vt.pl.velocity_stream, vt.pl.velocity_grid, vt.pl.velocity_arrows])
def test_a_few_cells_without_coordinates(forked, plot, value):
    forked.obsm["X_umap"][:3, 0] = value
    forked.obsm["velocity_umap"][:3] = np.nan
    ax = plot(forked)
    assert [text.get_text() for text in ax.texts] == ["3 cells without coordinates or velocity left out"]
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_cells_without_a_time_to_compare_are_counted(drawn):
    drawn.obs["day"] = drawn.obs["true_time"].where(np.arange(drawn.n_obs) >= 2)
    assert [text.get_text() for text in vt.pl.time_against(drawn, "day").texts] == ["2 cells without day left out"]
