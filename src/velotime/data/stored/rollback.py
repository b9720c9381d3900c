"""Objects that stay as they were when a call fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from anndata import AnnData

BOXES = ("layers", "obsm", "varm", "obsp", "varp", "uns")
P = ParamSpec("P")
R = TypeVar("R")


def leaves_as_it_was(
    function: Callable[Concatenate[AnnData, P], R],
) -> Callable[Concatenate[AnnData, P], R]:
    """For functions that call others that write: what these wrote goes if the whole fails.

    Slots are put back, not copied; nothing in velotime changes the values within one.
    """

    @wraps(function)
    def guarded(adata: AnnData, *args: P.args, **kwargs: P.kwargs) -> R:
        before = {box: dict(getattr(adata, box)) for box in BOXES}
        obs, var = adata.obs.copy(deep=False), adata.var.copy(deep=False)
        try:
            return function(adata, *args, **kwargs)
        except BaseException:
            _put_back(adata, before)
            adata.obs, adata.var = obs, var
            raise

    return cast(Callable[Concatenate[AnnData, P], R], guarded)


def _put_back(adata: AnnData, before: dict[str, dict[str, object]]) -> None:
    for box, values in before.items():
        now = getattr(adata, box)
        for name in [name for name in now if name not in values]:
            del now[name]
        for name, value in values.items():
            if name not in now or now[name] is not value:
                now[name] = value
