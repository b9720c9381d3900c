"""What a stored fit holds, by method, and what to do where something is not in it."""

from __future__ import annotations

from dataclasses import dataclass

from anndata import AnnData

from velotime import _keys as keys
from velotime._status import InputError
from velotime.data.stored.gene_columns import LINEAGE_SLOTS, RATE_SLOTS

SOFT, SHARED, GENE, MIXTURE = "SoftEM", "TwoStageEM on a shared clock", "TwoStageEM on genes' own clocks", "MixtureEM"


@dataclass(frozen=True)
class Capability:
    """Something that a fit may hold.

    Attributes
    ----------
    what
        In words, after "which gives no".
    slots
        Pairs (container, name), all of which hold it.
    """

    what: str
    slots: tuple[tuple[str, str], ...]


TIME = (("obs", keys.LATENT_TIME),)
#: What stands in the place of a slot where the clock goes round.
ON_A_CIRCLE = {
    keys.LATENT_TIME: keys.CYCLE_PHASE,
    keys.LATENT_TIME_SD: keys.CYCLE_PHASE_SD,
    keys.LATENT_TIME_Q05: keys.CYCLE_PHASE_Q05,
    keys.LATENT_TIME_Q95: keys.CYCLE_PHASE_Q95,
}
CURVES = (
    *TIME,
    *(("var", name) for name in RATE_SLOTS),
    *(("varm", name) for name in LINEAGE_SLOTS),
    ("obs", keys.LINEAGE),
    ("obsm", keys.LINEAGE_POSTERIOR),
    ("uns", keys.LINEAGES),
)
CAPABILITIES = {
    "time": Capability("time of each cell", TIME),
    "intervals": Capability(
        "uncertainty of each cell's time",
        (*TIME, *(("obs", name) for name in (keys.LATENT_TIME_SD, keys.LATENT_TIME_Q05, keys.LATENT_TIME_Q95))),
    ),
    "curves": Capability("curves on a clock that all genes share", CURVES),
    "posterior": Capability("posterior of each cell's time", (*CURVES, ("obsm", keys.TIME_POSTERIOR))),
    "velocity_sd": Capability(
        "posterior of each cell's time",
        (*CURVES, ("obsm", keys.TIME_POSTERIOR), ("varm", keys.VELOCITY_VARIANCE)),
    ),
    "scatter": Capability(
        "scatter of counts around a curve", (("var", keys.FIT_DISPERSION_U), ("var", keys.FIT_DISPERSION_S))
    ),
    "rates": Capability("rates", tuple(("var", name) for name in (keys.FIT_ALPHA, keys.FIT_BETA, keys.FIT_GAMMA))),
    "gains": Capability("gain of each gene over a constant mean", (("var", keys.FIT_GAIN),)),
    "components": Capability(
        "components",
        (("obsm", keys.MIXTURE_POSTERIOR), ("varm", keys.MIXTURE_MEAN_U), ("varm", keys.MIXTURE_MEAN_S)),
    ),
    "prior": Capability("prior of time", (("uns", keys.TIME_PRIOR),)),
    "arrow": Capability(
        "evidence for the direction of time", (("uns", keys.TIME_ARROW), ("var", keys.FIT_ARROW_EVIDENCE))
    ),
}


def capabilities_of(adata: AnnData) -> frozenset[str]:
    """Names of what the slots hold."""
    return frozenset(name for name, one in CAPABILITIES.items() if not missing_slots(adata, one))


def missing_slots(adata: AnnData, capability: Capability) -> list[str]:
    """Slots of a capability that are not there."""
    names = ON_A_CIRCLE if keys.CYCLE in adata.uns else {}
    slots = [(box, names.get(name, name)) for box, name in capability.slots]
    return [f"{box}[{name!r}]" for box, name in slots if name not in getattr(adata, box)]


def require(adata: AnnData, name: str, method: str) -> None:
    """Raise an error in one sentence if a fit by ``method`` does not hold something.

    Raises
    ------
    InputError
        Naming the method, and what to do.
    """
    capability = CAPABILITIES[name]
    missing = missing_slots(adata, capability)
    if not missing:
        return
    if method == SOFT:
        raise InputError(
            f"slots of the fit are missing: adata.{', adata.'.join(missing)}. "
            "Call velotime.tl.recover_dynamics(adata) again."
        )
    raise InputError(
        f"the fit was made by {method}, which gives no {capability.what}: "
        "call velotime.tl.recover_dynamics(adata, method=vt.SoftEM())."
    )
