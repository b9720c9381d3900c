"""Priors of the genes' parameters: what rates are plausible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.states import Layout


class CurvePrior(Protocol):
    """Prior of the genes' parameters, as the M-step sees it: quadratic, within a box."""

    @property
    def lower(self) -> FloatArray:
        """Least values, ``(parameters,)``."""

    @property
    def upper(self) -> FloatArray:
        """Largest values, ``(parameters,)``."""

    @property
    def hessian(self) -> FloatArray:
        """Second derivative of the penalty, ``(parameters, parameters)``."""

    def penalty(self, theta: FloatArray) -> FloatArray:
        """Minus log prior density up to a constant, ``(genes,)``."""

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Gradient of the penalty, ``(genes, parameters)``."""

    def genes(self, index: IntArray | slice) -> CurvePrior:
        """The prior of these genes."""


@dataclass(frozen=True)
class RatePrior:
    """Weak normal priors of a gene's log-parameters, and the box they stay in.

    The unit of time is the whole clock: a rate of 8 means a half-life of a twelfth of it. Rates are held within
    0.5 to 100, as a slower gene is linear in time and a faster one follows its steady state, and neither rate would
    be seen in the data. Levels are in counts at size factor 1.

    Shapes of a gene's curve that differ in how many parameters they have are weighed by the Bayesian information
    criterion (Schwarz 1978): each parameter that a shape does without is worth ``log(n)/2``. Of values that are means
    of m cells each, n/m cells say as much as all, and the likelihood is m times too sure: ``m log(n/m)/2`` then.

    Attributes
    ----------
    layout
        Lineages and their columns.
    n_cells
        n: cells that the curves are fitted to.
    n_averaged
        m: cells that each value is a mean of.
    """

    layout: Layout
    n_cells: float = 1.0
    n_averaged: float = 1.0

    @cached_property
    def mean(self) -> FloatArray:
        """Prior means, ``(parameters,)``."""
        return self.layout.spread(*self.layout.curve.prior.mean)

    @cached_property
    def precision(self) -> FloatArray:
        """Inverse prior variances, ``(parameters,)``."""
        return self.layout.spread(*self.layout.curve.prior.sd) ** -2.0

    @cached_property
    def lower(self) -> FloatArray:
        """Least values, ``(parameters,)``."""
        return self.layout.spread(*self.layout.curve.prior.lower)

    @cached_property
    def upper(self) -> FloatArray:
        """Largest values, ``(parameters,)``."""
        return self.layout.spread(*self.layout.curve.prior.upper)

    @cached_property
    def coupling(self) -> FloatArray:
        """Quadratic form that pulls the last switches of a gene's lineages together, ``(parameters, parameters)``.

        Log-durations are pulled to their mean over lineages with sd 0.5, log-levels with sd 2: nothing for one
        lineage.
        """
        k = self.layout.n_lineages
        form = np.zeros((self.layout.n_parameters, self.layout.n_parameters))
        centring = np.eye(k) - 1.0 / k
        form[self.layout.durations, self.layout.durations] = centring / 0.5**2
        form[self.layout.last_levels, self.layout.last_levels] = centring / 2.0**2
        return form

    def penalty(self, theta: FloatArray) -> FloatArray:
        """Minus log prior density up to a constant, ``(genes,)``."""
        idle = self.layout.curve.idle(theta)
        own = 0.5 * (((theta - self.mean) ** 2 * (1.0 - idle)) @ self.precision)
        spared = 0.5 * self.n_averaged * np.log(self.n_cells / self.n_averaged) * idle.sum(axis=1)
        return np.asarray(own + 0.5 * ((theta @ self.coupling) * theta).sum(axis=1) - spared)

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Gradient of the penalty, ``(genes, parameters)``."""
        used = 1.0 - self.layout.curve.idle(theta)
        return np.asarray((theta - self.mean) * used * self.precision + theta @ self.coupling)

    @cached_property
    def hessian(self) -> FloatArray:
        """Second derivative of the penalty, ``(parameters, parameters)``."""
        return np.diag(self.precision) + self.coupling

    def genes(self, index: IntArray | slice) -> RatePrior:  # noqa: ARG002 - the same for every gene
        """The prior of these genes."""
        return self


@dataclass(frozen=True)
class NearPrior:
    """Normal priors around a curve that each gene has already; parameters of very high precision stay as they are.

    Attributes
    ----------
    centre
        Where each gene stands, ``(genes, parameters)``.
    precision
        Inverse variances of the changes, ``(parameters,)``.
    layout
        Lineages and their columns.
    """

    centre: FloatArray
    precision: FloatArray
    layout: Layout

    @property
    def lower(self) -> FloatArray:
        """Least values, ``(parameters,)``."""
        return RatePrior(self.layout).lower

    @property
    def upper(self) -> FloatArray:
        """Largest values, ``(parameters,)``."""
        return RatePrior(self.layout).upper

    @property
    def hessian(self) -> FloatArray:
        """Second derivative of the penalty, ``(parameters, parameters)``."""
        return np.diag(self.precision)

    def penalty(self, theta: FloatArray) -> FloatArray:
        """Minus log prior density up to a constant, ``(genes,)``."""
        return np.asarray(0.5 * ((theta - self.centre) ** 2 @ self.precision))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Gradient of the penalty, ``(genes, parameters)``."""
        return np.asarray((theta - self.centre) * self.precision)

    def genes(self, index: IntArray | slice) -> NearPrior:
        """The prior of these genes."""
        return NearPrior(self.centre[index], self.precision, self.layout)
