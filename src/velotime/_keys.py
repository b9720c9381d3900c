"""Every slot name, once. scVelo's where it has one."""

from __future__ import annotations

# layers
UNSPLICED_NAMES = ("unspliced", "nascent", "Unspliced")
SPLICED_NAMES = ("spliced", "mature", "Spliced")
MS = "Ms"
MU = "Mu"
VELOCITY = "velocity"
VELOCITY_U = "velocity_u"
VELOCITY_SD = "velocity_sd"
FIT_T = "fit_t"
FIT_TAU = "fit_tau"
FIT_TAU_OFF = "fit_tau_"

# var
FIT_ALPHA = "fit_alpha"
FIT_ALPHA_0 = "fit_alpha_0"
FIT_ALPHA_2 = "fit_alpha_2"
FIT_BETA = "fit_beta"
FIT_GAMMA = "fit_gamma"
FIT_T_ON = "fit_t_on"
FIT_T_OFF = "fit_t_"
FIT_T_ON_Q05, FIT_T_ON_Q95 = "fit_t_on_q05", "fit_t_on_q95"
FIT_T_OFF_Q05, FIT_T_OFF_Q95 = "fit_t_q05", "fit_t_q95"
FIT_UNIQUE = "fit_unique"
FIT_SHAPE = "fit_shape"  # of a gene's transcription round a cycle
SMOOTH, SWITCH = "smooth", "switch"
FIT_SCALING = "fit_scaling"
FIT_BETA_UNDILUTED = "fit_beta_undiluted"
FIT_GAMMA_UNDILUTED = "fit_gamma_undiluted"
FIT_HALF_LIFE = "fit_half_life_hours"  # of spliced molecules; low and high with it
FIT_SPLICING_HALF_LIFE = "fit_splicing_half_life_hours"
FIT_LIKELIHOOD = "fit_likelihood"
FIT_DISPERSION_U = "fit_dispersion_u"
FIT_DISPERSION_S = "fit_dispersion_s"
FIT_BACKGROUND_U = "fit_background_u"
FIT_BACKGROUND_S = "fit_background_s"
FIT_DEVIANCE_EXPLAINED = "fit_deviance_explained"
FIT_GAIN = "fit_gain"
FIT_CHECK_MEANS = "fit_check_means"
FIT_CHECK_ZEROS = "fit_check_zeros"
FIT_VARIATION_EXPLAINED = "fit_variation_explained"
FIT_LINEAGE_RATIO = "fit_lineage_ratio"
FIT_ARROW_EVIDENCE = "fit_arrow_evidence"
FIT_STD_U = "fit_std_u"
FIT_STD_S = "fit_std_s"
FIT_SIGMA_U = "fit_sigma_u"
FIT_SIGMA_S = "fit_sigma_s"
FIT_U0 = "fit_u0"
FIT_S0 = "fit_s0"
FIT_STEADY_U = "fit_steady_u"
FIT_STEADY_S = "fit_steady_s"
FIT_AT_STEADY_STATE = "fit_at_steady_state"
FIT_VARIANCE = "fit_variance"
FIT_ALIGNMENT_SCALING = "fit_alignment_scaling"
FIT_ONSET = "fit_onset"
FIT_R2 = "fit_r2"
FIT_CONVERGENCE = "fit_convergence"
FIT_STATUS = "fit_status"
GENE_ID = "gene_id"
VELOCITY_GENES = "velocity_genes"

# obs
LATENT_TIME = "latent_time"
LATENT_TIME_SD = "latent_time_sd"
LATENT_TIME_CLOCK_SD = "latent_time_clock_sd"
LATENT_TIME_Q05 = "latent_time_q05"
LATENT_TIME_Q95 = "latent_time_q95"
CYCLE_PHASE = "cycle_phase"
CYCLE_PHASE_SD = "cycle_phase_sd"
CYCLE_PHASE_CLOCK_SD = "cycle_phase_clock_sd"
CYCLE_PHASE_Q05 = "cycle_phase_q05"
CYCLE_PHASE_Q95 = "cycle_phase_q95"
CYCLE_PHASE_ENTROPY = "cycle_phase_entropy"
NOT_CYCLING = "not_cycling"
FIT_NOT_CYCLING_U = "fit_not_cycling_u"
FIT_NOT_CYCLING_S = "fit_not_cycling_s"
SELF_TRANSITION = "velocity_self_transition"
LATENT_TIME_EXPERIMENTAL = "latent_time_experimental"
LATENT_TIME_HOURS = "latent_time_hours"
CYCLE_PHASE_HOURS = "cycle_phase_hours"
LATENT_TIME_ENTROPY = "latent_time_entropy"
SIZE_UNSPLICED = "initial_size_unspliced"
SIZE_SPLICED = "initial_size_spliced"

LINEAGE = "fit_lineage"  # not "lineage": that is for annotations of the user's
FIT_SIZE_UNSPLICED = "fit_size_unspliced"
FIT_SIZE_SPLICED = "fit_size_spliced"
SAMPLE = "sample"

# obsm, varm
TIME_POSTERIOR = "time_posterior"
LINEAGE_POSTERIOR = "lineage_posterior"
CAPTURE_U = "fit_capture_u"  # genes x samples
CAPTURE_S = "fit_capture_s"
LINEAGE_T_OFF = "fit_lineage_t"
LINEAGE_ALPHA = "fit_lineage_alpha"
VELOCITY_VARIANCE = "fit_velocity_variance"

MIXTURE_COMPONENT = "mixture_component"
MIXTURE_POSTERIOR = "mixture_posterior"
MIXTURE_MEAN_U = "mixture_mean_u"
MIXTURE_MEAN_S = "mixture_mean_s"
MIXTURE_VARIANCE_U = "mixture_variance_u"
MIXTURE_VARIANCE_S = "mixture_variance_s"

LOSS = "loss"

# uns
LINEAGES = "lineages"
SAMPLES = "samples"
RECOVER_DYNAMICS = "recover_dynamics"
FIT_ID = "id"  # within the record of a fit
STATE_TIMES = "state_times"  # likewise: times of the states of the posterior
DERIVED = "velotime_derived"  # what is made of a fit, and of which
TIME_PRIOR = "time_prior"
TIME_ARROW = "time_arrow"
CYCLE = "cycle"  # what says where a clock that goes round begins
FIT_VERDICT = "fit_verdict"
RESAMPLE = "resample"
KNOWLEDGE = "knowledge"
BACKGROUND = "background"
EXPERIMENTAL_TIME = "experimental_time"
REAL_TIME = "real_time"
MODEL_COMPARISON = "model_comparison"
CONDITION_COMPARISON = "condition_comparison"
VELOCITY_PARAMS = "velocity_params"
VELOCITY_GRAPH = "velocity_graph"
VELOCITY_GRAPH_NEG = "velocity_graph_neg"
FILTER_CELLS = "filter_cells"
FILTER_GENES = "filter_genes"
MOMENTS = "moments"

DISTANCES = "velotime_distances"  # neighbours that we found ourselves, in obsp ...
CONNECTIVITIES = "velotime_connectivities"
OWN_NEIGHBORS = "velotime_neighbors"  # ... and in uns

NEIGHBORS = "neighbors"  # where Ms and Mu came from: means over neighbours, ...
FITTED_MEANS = "fitted means"  # ... or a fit, ...
COPIED = "copied"  # ... or other layers, as they are
N_AVERAGED = "n_averaged"  # cells that each value is a mean of: more than 1 for moments

FITTED = "fitted"
LEFT_OUT = "left out of the clock"  # with a curve, if the fit was made by a method that gives one

# What fits write; a new fit removes what it does not write itself.
WRITTEN_BY_FITS = {
    "layers": (VELOCITY, VELOCITY_U, VELOCITY_SD, FIT_T, FIT_TAU, FIT_TAU_OFF),
    "obs": (
        LATENT_TIME,
        LATENT_TIME_SD,
        LATENT_TIME_CLOCK_SD,
        LATENT_TIME_Q05,
        LATENT_TIME_Q95,
        LATENT_TIME_ENTROPY,
        CYCLE_PHASE,
        CYCLE_PHASE_SD,
        CYCLE_PHASE_CLOCK_SD,
        CYCLE_PHASE_Q05,
        CYCLE_PHASE_Q95,
        CYCLE_PHASE_ENTROPY,
        NOT_CYCLING,
        LINEAGE,
        FIT_SIZE_UNSPLICED,
        FIT_SIZE_SPLICED,
        MIXTURE_COMPONENT,
    ),
    "var": (
        FIT_ALPHA,
        FIT_ALPHA_0,
        FIT_ALPHA_2,
        FIT_BETA,
        FIT_GAMMA,
        FIT_T_ON,
        FIT_T_OFF,
        FIT_SCALING,
        FIT_BETA_UNDILUTED,
        FIT_GAMMA_UNDILUTED,
        FIT_LIKELIHOOD,
        FIT_DISPERSION_U,
        FIT_DISPERSION_S,
        FIT_BACKGROUND_U,
        FIT_BACKGROUND_S,
        FIT_NOT_CYCLING_U,
        FIT_NOT_CYCLING_S,
        FIT_DEVIANCE_EXPLAINED,
        FIT_GAIN,
        FIT_CHECK_MEANS,
        FIT_CHECK_ZEROS,
        FIT_VARIATION_EXPLAINED,
        FIT_LINEAGE_RATIO,
        FIT_ARROW_EVIDENCE,
        FIT_STD_U,
        FIT_STD_S,
        FIT_SIGMA_U,
        FIT_SIGMA_S,
        FIT_U0,
        FIT_S0,
        FIT_STEADY_U,
        FIT_STEADY_S,
        FIT_AT_STEADY_STATE,
        FIT_VARIANCE,
        FIT_ALIGNMENT_SCALING,
        FIT_ONSET,
        FIT_R2,
        FIT_CONVERGENCE,
        f"{FIT_BETA}_se",
        f"{FIT_GAMMA}_se",
        f"{FIT_T_ON}_se",
        f"{FIT_T_OFF}se",
        FIT_T_ON_Q05,
        FIT_T_ON_Q95,
        FIT_T_OFF_Q05,
        FIT_T_OFF_Q95,
        FIT_UNIQUE,
        FIT_SHAPE,
        FIT_STATUS,
        VELOCITY_GENES,
    ),
    "obsm": (TIME_POSTERIOR, LINEAGE_POSTERIOR, MIXTURE_POSTERIOR),
    "varm": (
        LOSS,
        LINEAGE_T_OFF,
        LINEAGE_ALPHA,
        CAPTURE_U,
        CAPTURE_S,
        FIT_BACKGROUND_U,
        FIT_BACKGROUND_S,
        VELOCITY_VARIANCE,
        MIXTURE_MEAN_U,
        MIXTURE_MEAN_S,
        MIXTURE_VARIANCE_U,
        MIXTURE_VARIANCE_S,
    ),
    "uns": (LINEAGES, SAMPLES, CYCLE, TIME_PRIOR, TIME_ARROW, FIT_VERDICT, KNOWLEDGE, BACKGROUND, VELOCITY_PARAMS),
}
