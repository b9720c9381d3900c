"""Held-out counts: thinning, and comparison with models without a trajectory."""
