"""Fit the dynamics of an AnnData."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.random import Generator

from velotime._check import N_JOBS, RNG, FilePath, Flag, Instance, Names, Optional, checked, seed_of
from velotime._log import told
from velotime._status import InputError, InputWarning, UnclearWarning
from velotime.compute.threads import at_most_threads
from velotime.data import (
    Checkpoint,
    Reading,
    Records,
    choose_layers,
    compute_slots,
    kept,
    name_of_fit,
    read_for,
    read_labels,
    tables_in_memory,
    to_write_to,
    write_fit,
)
from velotime.data.arguments import ADATA, LAYER
from velotime.inference import (
    LEAST_GROUP,
    NO_JOURNAL,
    POOLED,
    Journal,
    Method,
    MixtureEM,
    MixtureFit,
    SharedClockFit,
    SoftEM,
    SoftFit,
    TwoStageEM,
    Watcher,
    recalled,
)
from velotime.tl._fit_warnings import about_noise, doubts_of
from velotime.tl._geometry import place_cells
from velotime.tl._progress import ProgressBar


@checked(
    {
        "adata": ADATA,
        "method": Optional(Instance(Method, "SoftEM(...), TwoStageEM(...) or MixtureEM(...)")),
        "unspliced": LAYER,
        "spliced": LAYER,
        "layers": Optional(Names("names of layers to write")),
        "rng": RNG,
        "progress": Flag(),
        "checkpoint": Optional(FilePath()),
        "resume": Flag(),
        "n_jobs": N_JOBS,
        "copy": Flag(),
    }
)
def recover_dynamics(
    adata: AnnData,
    *,
    method: Method | None = None,
    unspliced: str | None = None,
    spliced: str | None = None,
    layers: Sequence[str] | None = None,
    rng: int | Generator = 0,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    n_jobs: int | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Infer rates of every gene and latent time of every cell.

    Each gene follows ``du/dt = alpha(t) - beta u``, ``ds/dt = beta u - gamma s`` with alpha constant between two
    switches, on a clock that all genes share; see :class:`velotime.SoftEM`. Time and rates are relative: the clock
    runs from 0 to 1; :func:`to_experimental_time` puts them in a unit. Genes that cannot be fitted (no counts in
    a layer, constant) are left out, with NaN in their rows.

    Parameters
    ----------
    adata
        Cells x genes with raw counts of both layers (or normalised values, with ``noise=vt.Gaussian()``). Changed in
        place when the fit is done, and not at all if it fails.
    method
        The method and its settings, ``vt.SoftEM()`` by default.
    unspliced, spliced
        Names of the layers. By default the names of the common quantifiers are tried: spliced and unspliced,
        or mature and nascent.
    layers
        Names of the dense layers to write, of those below; ``()`` for none. By default all of them if cells x genes are
        at most 200 million (0.8 GB per layer), else none: :mod:`velotime.get` gives any block of them at any time, from
        ``obsm["time_posterior"]``.
    rng
        A seed, or a ``numpy.random.Generator``, which is asked for one. The same seed gives the same result.
    progress
        Show a progress bar, unless ``scanpy.settings.verbosity`` is 0.
    checkpoint
        A file in which a fit by ``vt.SoftEM`` keeps what it has done, written as a whole after each trial of the search
        and each iteration (as often as takes 5 % of the time at most). It stays when the fit is done: delete it when
        the result is saved. Read no checkpoint of somebody else: it is a pickle, which can run code. None by default.
    resume
        Go on from the checkpoint, if it is there, to the same bits that an uninterrupted fit gives; it must be of the
        same data, method, seed and version.
    n_jobs
        Threads at most, -1 for all cores; by default ``NUMBA_NUM_THREADS``, or all cores. The result is the same.
    copy
        Write to a copy and return it, as scanpy does; ``adata`` then stays as it is.

    Returns
    -------
    Nothing, or a copy; writes, with shapes (cells, genes) for layers,

    ``layers["velocity"]``, ``layers["velocity_u"]``
        Posterior means of ds/dt and du/dt, counts at size factor 1 per relative time. float32.
    ``layers["velocity_sd"]``
        Standard deviation of ds/dt, from uncertain time and an uncertain curve. float32.
    ``layers["Ms"]``, ``layers["Mu"]``
        Fitted means of spliced and unspliced under the posterior, at size factor 1. These are not smoothed counts:
        they have the names under which scVelo and CellRank look for the state that goes with the velocity. float32.
    ``layers["fit_t"]``
        Latent time, the same for all genes, where the gene was fitted. float32.
    ``var["fit_alpha"]``, ``["fit_beta"]``, ``["fit_gamma"]``
        Transcription between the switches, splicing and degradation rate, relative. float.
    ``var["fit_alpha_0"]``, ``["fit_alpha_2"]``
        Transcription before the first and after the last switch. float.
    ``var["fit_t_on"]``, ``["fit_t_"]``
        Times of the first and the last switch. float.
    ``var["fit_scaling"]``
        Capture of unspliced relative to spliced. float.
    ``var["fit_dispersion_u"]``, ``["fit_dispersion_s"]``
        Dispersion (counts) or variance (Gaussian) of each layer. float.
    ``var["fit_background_u"]``, ``["fit_background_s"]``
        Counts in every cell whatever its state, at size factor 1, which curves, velocities and fitted means are
        without; 0 where a background did not pay. ``uns["background"]`` has its share of all counts by layer. Of
        several samples ``varm`` has that of each under the same names, ``(genes, samples)``, ``var`` their mean. float.
    ``var["fit_likelihood"]``
        Geometric mean likelihood of a cell's two counts. float.
    ``var["fit_gain"]``
        Log-likelihood over that of a constant mean, nats: how much the gene says about time. float.
    ``var["fit_deviance_explained"]``
        What the curve explains of what a free mean along the clock would, each with a dispersion of its own: at most 1.
        float.
    ``var["fit_check_means"]``, ``["fit_check_zeros"]``
        Are means and shares of zeros along the clock as the fit says? z-scores against counts drawn from the fit:
        standard normal where the model is true, above 3 where it is not. NaN where values are no counts. float.
    ``var["fit_beta_se"]`` and the like
        Standard errors of log beta, log gamma, t_on and the last switch, with what uncertain times add; given the shape
        of the curve that was found, and up to the clock's origin and unit (docs/studies/calibration.md). float.
    ``var["fit_t_on_q05"]``, ``["fit_t_on_q95"]``, ``["fit_t_q05"]``, ``["fit_t_q95"]``
        90 % intervals of the first switch, and of the last (that of the first lineage): from the likelihood along the
        switch, over shapes that are nearly as likely, and with what uncertain times add. float.
    ``var["fit_unique"]``
        1, or 0 where another shape of the gene, with a switch elsewhere, is within 5 nats of the fit. float.
    ``var["fit_variation_explained"]``
        Share of what spliced counts of the gene vary between cells beyond chance that the clock explains, 0 to 1; NaN
        where they vary no more than by chance. float.
    ``var["fit_status"]``
        "fitted", or why not. category.
    ``var["velocity_genes"]``
        Fitted, and the curve explains at least half of what the clock can say of the gene. bool.
    ``var["fit_arrow_evidence"]``
        By how many nats the gene prefers the reported direction of time. float.
    ``obs["latent_time"]`` and, with this name before them, ``_sd``, ``_q05``, ``_q95``, ``_entropy``
        Posterior mean, sd, quantiles and entropy of each cell's time. The sd and the quantiles include what uncertain
        curves add; they hold up to the clock's origin and unit, and for the direction and lineages found. float.
    ``obs["latent_time_clock_sd"]``
        The part of the sd that cells of one time share: how well the clock itself is known, and how far from the
        likeliest one the fit may have left it. float.
    ``obsm["time_posterior"]``
        Posterior over the states (lineage by lineage, the times of ``uns["recover_dynamics"]["state_times"]`` in each),
        without the least likely ones, which hold 1e-4 of a cell together at most. CSR (cells, states), float32.
    ``obs["fit_size_unspliced"]``, ``obs["fit_size_spliced"]``
        Size factors of the fit, by which graph, metrics, plots and report divide counts too. float.
    ``obs["fit_lineage"]``, ``obsm["lineage_posterior"]``
        Most probable lineage and posterior over lineages, (cells, lineages): before lineages part, the shares of the
        cells that go into each. category, float.
    ``varm["fit_lineage_t"]``, ``varm["fit_lineage_alpha"]``
        Last switch and transcription after it in each lineage, (genes, lineages). float. In ``var`` stand those of the
        first lineage.
    ``var["fit_lineage_ratio"]``
        Likelihood-ratio statistic of "the lineages of this gene differ": ranks fate genes. float.
    ``uns["lineages"]``
        Names and shares of the lineages; with ``n_lineages="auto"`` their number in each draw of the cells
        (``votes``), small fates that are lineages besides (``small_fates``: cells, Cohen's kappa between halves of the
        genes, area under the curve by which these tell them apart), the agreement on each lineage that was given up
        (``dropped``), and whether the data would choose more than the method allows (``at_bound``).

    Genes that are left out of the clock (``method=vt.SoftEM(without=...)``, status "left out of the clock") have all of
    this too, from curves fitted at the times that the other genes give the cells; they are no velocity genes and have
    no checks and no arrow evidence.

    With ``method=vt.SoftEM(clock=vt.Cycle())``, whose clock goes round, ``obs["cycle_phase"]`` (turns, 0 to 1) stands
    with ``_sd``, ``_clock_sd``, ``_q05``, ``_q95`` and ``_entropy`` in place of latent time, mean and quantiles
    circular (an interval that passes 0 has its upper end below its lower one); rates are per turn, and
    ``var["fit_beta_undiluted"]`` and ``["fit_gamma_undiluted"]`` those without the dilution of cells that double once
    a turn; ``var["fit_t_"]`` may lie in the next turn; ``var["fit_shape"]`` is "switch" or "smooth", the shape of each
    gene's transcription, chosen by the Bayesian information criterion: a smooth one swings between ``fit_alpha_0`` and
    ``fit_alpha`` as a sine, upwards through its middle at ``fit_t_on`` and downwards at ``fit_t_``; ``uns["cycle"]``
    says what the ``origin`` comes from ("markers", "growth", "total counts" or "free"), its standard error
    ``origin_sd``, and how far it may lie before and after phase 0, ``origin_q05`` and ``origin_q95``, turns (NaN where
    that is not known). With ``Cycle(not_cycling=True)`` also ``obs["not_cycling"]``, the probability that a cell
    does not cycle: above a half its phase is NaN; velocities are times one less this; ``var["fit_not_cycling_u"]`` and
    ``["fit_not_cycling_s"]``, means of such cells, and ``uns["cycle"]["not_cycling"]``, their share.

    With ``method=vt.SoftEM(samples="...")`` and more than one sample, also

    ``varm["fit_capture_u"]``, ``["fit_capture_s"]``
        How many times as many counts of each gene a sample has as all samples have, (genes, samples); their logs have
        mean zero over the cells. 0 where a sample does not have the gene. Curves, ``Ms`` and velocities are those of
        all samples, without these factors. float.
    ``uns["samples"]``
        ``names``; ``spread``, the sd of log capture of unspliced and spliced; ``dispersion_u`` and ``dispersion_s``,
        factors on dispersions; ``shares`` of the cells; ``table`` with ``n_cells``, ``mean_time``, ``gain_per_cell``
        over constant means, ``direction_per_cell``, by which its cells prefer the reported direction to the closest
        rival (below zero: they prefer the rival), nats, and ``background_unspliced`` and ``background_spliced``, the
        shares of its counts that are background, of each.

    With ``method=vt.TwoStageEM(clock="shared")``, which gives every cell one time, those of these slots that need no
    posterior: no ``_sd``, ``_se``, quantiles, entropy or prior, and ``Ms`` and ``Mu`` stay the moments that it read.

    With ``method=vt.MixtureEM()``, which knows no kinetics, instead of all this:

    ``obs["mixture_component"]``, ``obsm["mixture_posterior"]``
        Most probable component, "0" for the largest, and posterior, (cells, components). category, float.
    ``varm["mixture_mean_u"]``, ``["mixture_mean_s"]``, ``["mixture_variance_u"]``, ``["mixture_variance_s"]``
        Means and variances of each layer, (genes, components); the weights stand in the record. float.

    ``uns["recover_dynamics"]``, ``["time_prior"]``, ``["time_arrow"]``, ``["velocity_params"]``
        Settings, status and record of the run, with its ``id``, which is the same for the same data, method and seed
        (what was derived from an earlier fit is removed: graph, arrows, resampling, comparison, experimental time); the
        table of the ``starts`` tried (root cell, its label in each categorical obs column, log-likelihood below the
        best, whether it is the one ``chosen`` and whether it runs ``backwards`` to the best) and the ``root_margin``
        over the next best root, nats; the time prior, one row per group of ``groups``; evidence for the direction of
        time: margin in nats, in total and per cell, and the part of it that comes from what is known of the cells
        (``knowledge_margin``), share of genes, the threshold ``least_margin``, the table of ``rivals`` (fits from other
        roots and of the reversed clock: by how many nats per cell each is behind on the genes of the search,
        ``margin``, and in two disjoint halves of them, ``half_1`` and ``half_2``, NaN where it is too far behind to be
        tested or ended with the times that are reported; by how much what is ``known`` is against it; the
        ``correlation`` of its times; whether it ``loses``), whether counts and knowledge contradict each other
        (``contested``), whether Gaussian noise was fitted to whole-number counts (``whole_numbers``), and ``verdict``
        with the ``reason`` where it is unclear.
    ``uns["fit_verdict"]``
        Whether the model fits: ``verdict`` ("fits", "fits in part", "does not fit"), ``reason``, and the numbers:
        Spearman correlation of times from two disjoint halves of the genes (``agreement``), Cohen's kappa of late
        cells' lineages from these (``lineage_agreement``), what unspliced counts say of the time that spliced ones
        give, in the data and in counts drawn from the fit (``coherence_found``, ``coherence_expected``, nats per
        cell), in how many ``steps`` unspliced counts go along the clock (0: as the curves say) and by how much curves
        beat steps in the data and in such draws, nats per cell, where they do least well (``steps_found``,
        ``steps_expected``), ``gain_per_cell`` over constant means, the share of ``poor_genes``, which vary along the
        clock as no curve does, of ``off_cycle`` cells (where the direction of a cycle is unclear), and how much farther
        cells lie apart than on a line or tree (``ring``, of the longest way along them: above 0.3 they go round).
    ``uns["knowledge"]``
        ``table``: a row for each piece of what was known of the cells, with the ``n_cells`` that it is about, how many
        ``nats`` speak for it (or, negative, against it) given the counts and all other pieces, Spearman ``correlation``
        of latent time with what it says of time, and whether it is ``in_conflict`` with the rest. ``log_weights``: of
        each row of each piece in each state.

    Warns
    -----
    UnclearWarning
        If the direction is not clear, a piece of knowledge is in conflict with the rest, the number of lineages chosen
        is the largest allowed, a lineage holds hardly any cells, a group of the time prior has fewer than 5, or whole
        numbers are fitted with Gaussian noise.
    InputWarning
        If hardly any counts are unspliced (the assay sees no introns), or both layers are the same.

    Raises
    ------
    InputError
        If the input cannot be used: the message says why and what to do.
    FitError
        If no fit came out.
    """
    adata = to_write_to(adata, copy=copy)
    method, seed = SoftEM() if method is None else method, seed_of(rng)
    tables_in_memory(adata)
    layers = choose_layers(adata, method, layers)
    reading = read_for(adata, method, unspliced=unspliced, spliced=spliced)
    for doubt in reading.doubts:
        warnings.warn(doubt, InputWarning, stacklevel=3)
    what = f"fitting {reading.observations.n_genes:,} genes in {adata.n_obs:,} cells by {type(method).__name__}"
    with at_most_threads(n_jobs), told(what) as done:
        keeping = _journal(adata, method, reading, seed, checkpoint, resume=resume)
        with keeping as journal, ProgressBar(show=progress) as bar:
            fit = _fit(method, adata, reading, np.random.default_rng(seed), bar, journal)
        computed = compute_slots(adata, reading, method, fit, seed=seed, layers=layers)
        _warn(computed.records, fit)  # before anything is written: a warning may be an error
        write_fit(adata, computed)
        done(f"{fit.status.value}, see velotime.summary(adata)")
    return adata if copy else None


def _journal(
    adata: AnnData, method: Method, reading: Reading, seed: int, path: str | os.PathLike[str] | None, *, resume: bool
) -> AbstractContextManager[Journal]:
    """Where the fit keeps what it has done."""
    if path is None:
        if resume:
            raise InputError("recover_dynamics(resume=True): name the file to go on from: checkpoint='...'.")
        return nullcontext(NO_JOURNAL)
    if not isinstance(method, SoftEM):
        raise InputError(f"recover_dynamics(checkpoint=...): only vt.SoftEM keeps one, not {type(method).__name__}.")
    run = name_of_fit(adata, reading, method, seed)
    return kept(Checkpoint.opened(Path(path), run, resume=resume))


@singledispatch
def _fit(
    method: Any,
    adata: AnnData,  # noqa: ARG001
    reading: Reading,
    rng: Generator,
    watch: Watcher,
    journal: Journal,  # noqa: ARG001
) -> Any:
    return method.fit(reading.observations, rng=rng, watch=watch)


@_fit.register
def _(
    method: SoftEM,
    adata: AnnData,
    reading: Reading,
    rng: Generator,
    watch: Watcher,
    journal: Journal,
) -> SoftFit:
    """Its starts come from where the cells lie, and its prior from what is known of them."""
    labels = read_labels(adata, method.columns, method.marker_genes, reading.layers)
    landmarks = method.landmarks(labels)
    placing, fitting = rng.spawn(2)
    place = partial(place_cells, reading.observations, placing, counts=method.noise.counts, include=landmarks)
    geometry = recalled(journal, "places", place)
    others = reading.others
    return method.fit(
        reading.observations, geometry, labels=labels, others=others, rng=fitting, watch=watch, journal=journal
    )


@_fit.register
def _(
    method: TwoStageEM,
    adata: AnnData,  # noqa: ARG001
    reading: Reading,
    rng: Generator,
    watch: Watcher,
    journal: Journal,  # noqa: ARG001
) -> Any:
    """A shared clock starts from where the cells lie."""
    placing, fitting = rng.spawn(2)
    geometry = place_cells(reading.observations, placing, counts=False) if method.places_cells else None
    return method.fit(reading.observations, geometry, rng=fitting, watch=watch)


@_fit.register
def _(
    method: MixtureEM,
    adata: AnnData,  # noqa: ARG001
    reading: Reading,
    rng: Generator,
    watch: Watcher,
    journal: Journal,  # noqa: ARG001
) -> MixtureFit:
    """It starts from k-means of the principal components."""
    placing, fitting = rng.spawn(2)
    geometry = place_cells(reading.observations, placing, counts=False)
    return method.fit(reading.observations, geometry, rng=fitting, watch=watch)


def _warn(records: Records, fit: Any) -> None:
    """Warnings that a reader must not overlook."""
    doubts: list[UnclearWarning] = []
    if isinstance(fit, SoftFit):
        doubts += (*doubts_of(records), *_about_groups(fit))
    elif isinstance(fit, SharedClockFit):
        doubts += about_noise(records)
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=4)


def _about_groups(fit: SoftFit) -> Iterator[UnclearWarning]:
    for name, labels in fit.groups.pooled.items():
        where = "share one" if name == POOLED else f"share that of {name!r}"
        yield UnclearWarning(
            f"{', '.join(repr(label) for label in labels)}: fewer than {LEAST_GROUP} cells, too few for a time prior "
            f"of their own; they {where}."
        )
