"""Results into slots, one method per module."""

from __future__ import annotations

from velotime.data.slots import Slots, compute_slots, gene_columns, name_of_fit, slots_of, write_fit
from velotime.data.writers import gene_clock as gene_clock  # importing a module registers its writer
from velotime.data.writers import mixture_em as mixture_em
from velotime.data.writers import shared_clock as shared_clock
from velotime.data.writers import soft_em as soft_em
from velotime.data.writers.layers import choose_layers

__all__ = ["Slots", "choose_layers", "compute_slots", "gene_columns", "name_of_fit", "slots_of", "write_fit"]
