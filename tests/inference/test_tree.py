"""The tree of ends: geometry against a slow reference, and on lines and trees with noise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from velotime.inference.cell_space import nearest, principal_components, smooth
from velotime.inference.search.geometry.geodesic import Geodesics, bridges, off_the_ways
from velotime.inference.search.geometry.ring import ring_of
from velotime.inference.search.geometry.tree import (
    LineageVotes,
    Tree,
    geodesics_of,
    middle_start,
    most_ends,
    n_further,
    tree_of,
    tree_starts,
    votes_of,
)
from velotime.inference.search.roots import Search


def star(n_arms, n_cells=800, noise=0.05, seed=0):
    """Points on arms of a star, each in a dimension of its own, with noise in ten; and the arm and place of each."""
    rng = np.random.default_rng(seed)
    arm, along = rng.integers(n_arms, size=n_cells), rng.uniform(0, 1, n_cells)
    points = np.zeros((n_cells, 10))
    points[np.arange(n_cells), arm] = along
    return points + rng.normal(0, noise, points.shape), arm, along


def slow_ways(points, n_neighbors):
    """Distances between all cells by Floyd and Warshall, from a dense table of links."""
    distance = cdist(points, points)
    links = np.full(distance.shape, np.inf)
    for i, row in enumerate(distance):
        near = np.argsort(row, kind="stable")[1 : n_neighbors + 1]
        links[i, near] = row[near]
        links[near, i] = row[near]
    return shortest_path(links, method="FW", directed=False)


def test_ways_are_those_of_a_slow_twin():
    points, _, _ = star(3, n_cells=120)
    slow = slow_ways(points, 8)
    assert np.isfinite(slow).all()
    geodesics = Geodesics(points, 8)
    for cell in (0, 7, 119):
        np.testing.assert_allclose(geodesics.distances(cell), slow[cell], atol=1e-6)


def test_nearest_cells_and_their_means_are_those_of_a_slow_twin():
    points, _, _ = star(2, n_cells=60)
    order = np.argsort(cdist(points, points), axis=1, kind="stable")[:, :6]
    assert [set(row) for row in nearest(points, 5)[1]] == [set(row) for row in order]
    np.testing.assert_allclose(smooth(points, 5, 1), points[order].mean(axis=1))


@pytest.mark.parametrize("shape", [(40, 12), (12, 40)])
def test_principal_components_are_those_of_the_decomposition(shape):
    values = np.random.default_rng(0).normal(size=shape)
    u, d, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    found = principal_components(values, 4)
    np.testing.assert_allclose(np.abs(found), np.abs(u[:, :4] * d[:4]), atol=1e-8)
    assert all(column[np.abs(column).argmax()] > 0 for column in found.T)


def test_a_gap_is_as_long_as_it_is():
    points = np.concatenate([np.linspace(0, 1, 50), np.linspace(4, 5, 50)])[:, None] @ np.ones((1, 2)) / np.sqrt(2)
    way = Geodesics(points, 5).distances(0)
    assert way[-1] == pytest.approx(5.0, rel=1e-6)
    child, parent, length = bridges(points, np.arange(100), np.ones(100))  # every cell apart: the spanning tree
    assert len(child) == len(parent) == 99
    assert length.max() == pytest.approx(3.0)


@pytest.mark.parametrize(("nearer", "n_lineages"), [(0.95, 1), (0.5, 2)])
def test_cells_apart_join_an_end_unless_another_place_is_much_nearer(nearer, n_lineages):
    """A line, and cells that lie as far from all of it, or the nearer the closer to its middle."""
    rng = np.random.default_rng(0)
    line, apart = np.zeros((700, 10)), np.zeros((200, 10))
    line[:, 0] = np.linspace(-1, 1, 700)
    apart[:, 1] = np.sqrt(1 / (1 / nearer**2 - 1))
    apart[:, 2] = np.linspace(0, 0.1, 200)
    points = np.concatenate([line, apart]) + rng.normal(0, 0.02, (900, 10))
    joined = [tree_of(geodesics_of(points[rng.permutation(900)[:800]])).n_lineages for _ in range(3)]
    assert joined == [n_lineages] * 3


def test_off_the_ways_is_the_length_of_a_side_branch():
    """On a tree of three arms of length 1, 2 and 3: the third end lies 1 off the way between the others."""
    distance = np.array([[0.0, 5.0, 4.0], [5.0, 0.0, 3.0]])
    np.testing.assert_allclose(off_the_ways(np.array([0, 1]), distance), [0, 0, 1])


@pytest.mark.parametrize("n_arms", [2, 3, 4, 5, 6])
def test_ends_of_a_line_and_of_stars(n_arms):
    points, arm, along = star(n_arms, n_cells=1500, noise=0.04)
    tree = tree_of(geodesics_of(points))
    assert tree.n_lineages == n_arms - 1
    ends = tree.ends[:n_arms]
    assert sorted(arm[ends]) == list(range(n_arms))
    assert along[ends].min() > 0.85


@pytest.mark.parametrize("seed", range(3))
def test_a_line_stays_a_line_in_every_draw(seed):
    assert votes_of(star(2, noise=0.08, seed=seed)[0], np.random.default_rng(seed)).numbers == (1,) * 5


@pytest.mark.parametrize(
    ("off", "n"),
    [
        ([0.05, 0.04, 0.03], 0),
        ([0.3, 0.05, 0.04], 1),
        ([0.3, 0.25, 0.05], 2),
        ([0.3, 0.12, 0.10], 1),
        ([0.12, 0.11, 0.10], 0),
        ([0.2, 0.19, 0.0], 2),
    ],
)
def test_ends_that_are_no_noise(off, n):
    assert n_further(np.array(off)) == n


def test_two_thirds_of_the_draws_must_show_a_lineage():
    votes = LineageVotes((2, 3, 3, 2, 4))
    assert (votes.n_lineages, votes.n_for) == (2, 2)
    assert LineageVotes((2, 3, 3, 4, 4)).n_lineages == 3
    assert LineageVotes((1, 2, 2, 1, 2, 1)).n_lineages == 1


def test_more_cells_are_drawn_where_draws_differ(monkeypatch):
    numbers = iter([2, 1, 1, 2, 2, *[1] * 8, 2, 2])
    monkeypatch.setattr(
        "velotime.inference.search.geometry.tree.tree_of", lambda *_: SimpleNamespace(n_lineages=next(numbers))
    )
    votes = votes_of(star(2, n_cells=60)[0], np.random.default_rng(0))
    assert len(votes.numbers) == 15
    assert votes.n_lineages == 1


@pytest.mark.parametrize(("most", "counted"), [(2, 5), (5, 5), (6, 5), (7, 5)])
def test_a_tree_of_six_arms_is_counted_whole_whatever_the_bound(most, counted):
    points, _, _ = star(6, n_cells=1500, noise=0.04)
    votes = votes_of(points, np.random.default_rng(0), most)
    assert (votes.n_lineages, votes.most) == (counted, most)


@pytest.mark.parametrize(("n", "most", "n_ends", "at_bound"), [(5, 5, 6, True), (4, 5, 6, False), (3, 2, 6, True)])
def test_auto_ends_at_its_bound_where_more_ends_are_counted_or_none_is_left(n, most, n_ends, at_bound):
    search = SimpleNamespace(votes=LineageVotes((n,), most), _n_counted=n, tree=SimpleNamespace(ends=range(n_ends)))
    assert Search.at_bound.fget(search) == at_bound


def test_more_ends_are_looked_for_where_more_lineages_are_allowed():
    points, _, _ = star(8, n_cells=2000, noise=0.04)
    assert tree_of(geodesics_of(points), most_ends(5)).n_lineages < 7
    assert tree_of(geodesics_of(points), most_ends(7)).n_lineages == 7


def round_a_ring(share, seed, n_cells=600):
    """Points along this share of a circle of radius 1/2, with noise in ten dimensions."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.uniform(0, share, n_cells)
    points = np.zeros((n_cells, 10))
    points[:, 0], points[:, 1] = np.cos(angle) / 2, np.sin(angle) / 2
    return points + rng.normal(0, 0.05, points.shape)


def ring_among(points):
    geodesics = geodesics_of(points)
    return ring_of(geodesics, tree_of(geodesics))


@pytest.mark.parametrize("seed", range(3))
def test_a_ring_is_told_from_lines_and_trees(seed):
    """A line bent to most of a circle is a line."""
    assert ring_among(round_a_ring(1.0, seed)) > 0.5
    assert ring_among(round_a_ring(0.75, seed)) < 0.15
    assert all(ring_among(star(n_arms, seed=seed)[0]) < 0.2 for n_arms in (2, 3, 5))


def test_paths_that_part_and_meet_again_are_a_ring():
    """A stem, two ways round, and a stem again."""
    stem = np.zeros((200, 10))
    stem[:, 0] = np.r_[np.linspace(-1.0, -0.5, 100), np.linspace(0.5, 1.0, 100)]
    noise = np.random.default_rng(0).normal(0, 0.03, stem.shape)
    assert ring_among(np.vstack([stem + noise, round_a_ring(1.0, 1)])) > 0.3


def test_starts_run_along_the_tree():
    points, arm, along = star(3, n_cells=1200, noise=0.03)
    tree = tree_of(geodesics_of(points)).first(3)
    root = int(np.flatnonzero(arm[tree.ends] == 0)[0])
    truth = np.where(arm == 0, 1 - along, 1 + along)
    for start in tree_starts(tree, root):
        assert start.root == tree.ends[root]
        assert spearmanr(start.time, truth).statistic > 0.98
        np.testing.assert_allclose(start.membership.sum(axis=1), 1)
        late = (arm > 0) & (along > 0.4)
        others = [end for end in tree.ends if end != start.root]
        assert (arm[np.array(others)][start.membership.argmax(axis=1)] == arm)[late].mean() > 0.98
        trunk = (arm == 0) & (along > 0.3)
        assert start.membership[trunk].max(axis=1).mean() < 0.75


def test_from_the_middle_two_fates_run_apart():
    points, arm, along = star(2, n_cells=600, noise=0.03)
    start = middle_start(tree_of(geodesics_of(points)).first(2))
    assert along[start.root] < 0.1
    assert spearmanr(start.time, along).statistic > 0.98
    far = along > 0.3
    side = start.membership.argmax(axis=1)
    assert abs(np.corrcoef(side[far], arm[far])[0, 1]) > 0.99


@pytest.mark.parametrize(("place", "n_ends"), [(0.95, 3), (0.02, 4)])
def test_a_root_takes_the_place_of_the_end_that_it_lies_at(place, n_ends):
    points, arm, along = star(3, n_cells=900, noise=0.03)
    geodesics = geodesics_of(points)
    tree = tree_of(geodesics).first(3)
    root = int(np.abs(np.where(arm == 1, along, 9.0) - place).argmin())
    rooted = tree.rooted(geodesics.distances(root))
    assert rooted.ends[0] == root
    assert len(rooted.ends) == n_ends == len(rooted.distance)
    if n_ends == 3:
        assert 1 not in arm[rooted.ends[1:]]


def test_some_cells_of_a_tree():
    tree = Tree(np.array([4, 8]), np.arange(20.0).reshape(2, 10), np.array([0.1]))
    some = tree.take(np.array([2, 4, 8]))
    assert some.ends.tolist() == [1, 2]
    assert some.distance.tolist() == [[2, 4, 8], [12, 14, 18]]
