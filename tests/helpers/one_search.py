"""Fits that begin alike: what the search of the first has found goes for all."""

from contextlib import contextmanager

import pytest

from velotime.inference import SoftEM


@contextmanager
def one_search(found):
    """Search only if the list ``found`` is empty: the search takes cells into memory, wherever they lie."""
    usual = SoftEM._find

    def find(self, *given):
        if not found:
            found.append(usual(self, *given))
        return found[0]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SoftEM, "_find", find)
        yield
