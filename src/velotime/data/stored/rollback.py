"""Objects that stay as they were: when a call fails, or when a copy is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from anndata import AnnData

from velotime._status import InputError

BOXES = ("layers", "obsm", "varm", "obsp", "varp", "uns")
P = ParamSpec("P")
R = TypeVar("R")


def to_write_to(adata: AnnData, *, copy: bool) -> AnnData:
    """The object itself, or a copy of it.

    Raises
    ------
    InputError
        If a copy is asked for of an object that lies in a file.
    """
    if not copy:
        return adata
    if adata.isbacked:
        raise InputError(
            f"copy=True, but adata lies in a file, {adata.filename}: call adata = adata.to_memory() first."
        )
    return adata.copy()


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
