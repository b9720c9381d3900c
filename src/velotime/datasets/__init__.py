"""Published data to try things on: downloaded once, checked, and kept in the user's cache folder.

Files are those that scVelo's tutorials use, at the addresses where their authors keep them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velotime._scvelo_names import pointing
from velotime.datasets._sets import dentategyrus, gastrulation_erythroid, pancreas

if not TYPE_CHECKING:
    __getattr__ = pointing("datasets")

__all__ = ["dentategyrus", "gastrulation_erythroid", "pancreas"]
