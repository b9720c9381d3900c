"""The M-step: every gene's parameters given sums over cells, by Levenberg-Marquardt in batches.

For one gene with curve mu(theta), sums Y_j, n_j and variance function V the gradient of the expected log-likelihood is
``sum_j (Y_j - n_j mu_j)/V_j dmu_j`` and its expected second derivative (Fisher's) ``-sum_j n_j/V_j dmu_j dmu_j^T``;
the damped Newton step with these two, both layers added and the prior on top, is taken where it helps the gene.
All genes are one batch; the sums over states are the backend's (``curve_information``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import damped_steps
from velotime.inference.curves.protocol import Shape
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.shapes import best_shapes
from velotime.kinetics import SwitchParameter

LONGEST_STEP = 1.0  # largest move of a log-parameter in one step
FIRST_DAMPING = 1e-2  # of the diagonal of the Hessian
POLISH_STEPS = 5  # steps of a curve that is one for all lineages
ROUND = 4  # steps after which a gene that has hardly gained is left as it is
STILL = 0.01  # nats
LAST_SWITCHES = (0.15, 0.4, 0.65, 0.9)  # of one lineage that are tried, on the clock
SHORTEST = 0.05  # of the clock, between a gene's switches where they are tried


@dataclass(frozen=True)
class Descent:
    """Where the optimiser stands.

    Attributes
    ----------
    theta
        Parameters of each gene, ``(genes, parameters)``.
    loss
        Minus their log posterior density up to a constant, ``(genes,)``.
    damping
        Of the next step, ``(genes,)``.
    """

    theta: FloatArray
    loss: FloatArray
    damping: FloatArray

    def genes(self, index: IntArray) -> Descent:
        """Of these genes."""
        return Descent(self.theta[index], self.loss[index], self.damping[index])

    def with_genes(self, index: IntArray, other: Descent) -> Descent:
        """The same with other values for these genes."""
        theta, loss, damping = self.theta.copy(), self.loss.copy(), self.damping.copy()
        theta[index], loss[index], damping[index] = other.theta, other.loss, other.damping
        return Descent(theta, loss, damping)


@dataclass(frozen=True)
class Heats:
    """How the best shape of a gene is found: pairs of how many shapes go on, and how many steps these are given.

    Attributes
    ----------
    coarse
        On a coarse time grid, the first of those that fit best without a step.
    final
        On the full grid.
    """

    coarse: tuple[tuple[int, int], ...]
    final: tuple[int, int]


QUICK = Heats(((3, 5),), (1, 2))
# A shape's place before it is fitted says little of its place afterwards: with three shapes in place of 24 a third of
# the genes of the pancreas end elsewhere than they could, and the fit is 1000 nats worse.
THOROUGH = Heats(((24, 2), (10, 4), (4, 6)), (2, 12))

#: The best of every shape and of given parameters, if any, for each gene.
Restart: TypeAlias = Callable[[GeneProblem, FloatArray | None], Descent]


def begin(problem: GeneProblem, theta: FloatArray, damping: FloatArray | None = None) -> Descent:
    """Stand at ``theta``, with the damping that an earlier descent ended with if there was one."""
    damping = np.full(theta.shape[0], FIRST_DAMPING) if damping is None else damping
    return Descent(theta, problem.loss(theta), damping)


def improve(problem: GeneProblem, fit: Descent, steps: int) -> Descent:
    """Take ``steps`` Levenberg-Marquardt steps in every gene; no gene's loss rises."""
    for _ in range(steps):
        gradient, fisher = problem.information(fit.theta)
        gradient -= problem.prior.gradient(fit.theta)
        fisher += problem.prior.hessian
        step = damped_steps(gradient, fisher, fit.damping)
        theta = problem.within(fit.theta + np.clip(step, -LONGEST_STEP, LONGEST_STEP), fit.theta)
        loss = problem.loss(theta)
        good = loss < fit.loss
        fit = Descent(
            np.where(good[:, None], theta, fit.theta),
            np.where(good, loss, fit.loss),
            np.clip(np.where(good, fit.damping * 0.3, fit.damping * 4.0), 1e-6, 1e4),
        )
    return fit


def finish(problem: GeneProblem, fit: Descent, steps: int) -> Descent:
    """Take up to ``steps`` steps in every gene, fewer in those that stand still."""
    moving = np.arange(len(fit.theta))
    for first in range(0, steps, ROUND):
        before = fit.genes(moving)
        after = improve(problem.genes(moving), before, min(ROUND, steps - first))
        fit = fit.with_genes(moving, after)
        moving = moving[before.loss - after.loss > STILL]
        if not len(moving):
            break
    return fit


def restart(problem: GeneProblem, theta: FloatArray | None) -> Descent:
    """Try every shape a gene can have from scratch, and keep it where it beats ``theta``.

    The loss has many local optima (a pulse is no small change of a dip), and no step finds its way between them. With
    lineages the best curve that is one for all of them is another start: more parameters fit no gene worse.
    """
    found = _or_as_it_is(problem, theta, _best_shape(problem, THOROUGH))
    layout = problem.states.layout
    if layout.n_lineages > 1:
        single = layout.repeat(best_single_curve(problem, POLISH_STEPS).theta)
        found = better(found, improve(problem, begin(problem, single), POLISH_STEPS))
        found = better(found, _parted_elsewhere(problem, found))
    return found


def _parted_elsewhere(problem: GeneProblem, fit: Descent) -> Descent:
    """The same with the last switch of one lineage elsewhere: the shapes have it at one time in all of them."""
    coarse, layout = problem.coarse(), problem.states.layout
    starts = [fit.theta]
    for column in range(*layout.durations.indices(layout.n_parameters)):
        for switch in LAST_SWITCHES:
            theta = fit.theta.copy()
            theta[:, column] = np.log(np.maximum(switch - theta[:, SwitchParameter.T_ON], SHORTEST))
            starts.append(theta)
    after = improve(*_begin_stack(coarse, np.concatenate(starts)), POLISH_STEPS)
    best = _best_first(after.loss, problem.n_genes)[: problem.n_genes]
    hopeful = np.flatnonzero(best >= problem.n_genes)
    if not len(hopeful):
        return fit
    some = problem.genes(hopeful)
    return fit.with_genes(hopeful, finish(some, begin(some, after.theta[best[hopeful]]), THOROUGH.final[1]))


def restart_by_shapes(problem: GeneProblem, theta: FloatArray | None) -> Descent:
    """The same from few shapes and without the curve that is one for all lineages: enough to rank starts."""
    return _or_as_it_is(problem, theta, _best_shape(problem, QUICK))


def _or_as_it_is(problem: GeneProblem, theta: FloatArray | None, found: Descent) -> Descent:
    return found if theta is None else better(found, improve(problem, begin(problem, theta), 1))


def best_single_curve(problem: GeneProblem, steps: int) -> Descent:
    """Best curve that is one for all lineages, of :meth:`GeneProblem.one_curve`: any shape, polished by ``steps``."""
    together = problem.one_curve()
    return finish(together, begin(together, _best_shape(problem.without_lineages(), QUICK).theta), steps)


def better(one: Descent, other: Descent) -> Descent:
    """For each gene the one of smaller loss."""
    wins = one.loss < other.loss
    return Descent(
        np.where(wins[:, None], one.theta, other.theta),
        np.where(wins, one.loss, other.loss),
        np.where(wins, one.damping, other.damping),
    )


def _best_shape(problem: GeneProblem, heats: Heats) -> Descent:
    """Best of all shapes for each gene."""
    return reduce(better, (_best_of(problem, family, heats) for family in problem.states.curve.families))


def _best_of(problem: GeneProblem, shapes: tuple[Shape, ...], heats: Heats) -> Descent:
    """Best of these shapes for each gene: some steps for many of them, and more for those that are ahead then."""
    coarse, n_genes = problem.coarse(), problem.n_genes
    theta = best_shapes(coarse, shapes, heats.coarse[0][0]).reshape(-1, problem.states.layout.n_parameters)
    damping = np.full(len(theta), FIRST_DAMPING)
    for n_shapes, steps in heats.coarse:
        rows = n_shapes * n_genes
        after = improve(*_begin_stack(coarse, theta[:rows], damping[:rows]), steps)
        place = _best_first(after.loss, n_genes)
        theta, damping = after.theta[place], after.damping[place]
    n_shapes, steps = heats.final
    after = finish(*_begin_stack(problem, theta[: n_shapes * n_genes]), steps)
    best = _best_first(after.loss, n_genes)[:n_genes]
    return after.genes(best)


def _begin_stack(
    problem: GeneProblem, theta: FloatArray, damping: FloatArray | None = None
) -> tuple[GeneProblem, Descent]:
    """Several starts of every gene as one batch, start by start."""
    repeated = problem.repeated(len(theta) // problem.n_genes)
    return repeated, begin(repeated, theta, damping)


def _best_first(loss: FloatArray, n_genes: int) -> IntArray:
    """Rows of such a batch with the starts of each gene sorted."""
    order = np.argsort(loss.reshape(-1, n_genes), axis=0, kind="stable")
    return np.asarray((order * n_genes + np.arange(n_genes)).ravel())
