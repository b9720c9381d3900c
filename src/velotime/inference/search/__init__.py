"""The search for root, direction and lineages: geometry, starts, short fits, finals."""
