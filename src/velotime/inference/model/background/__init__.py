"""Background: molecules that are in every cell whatever its state, in each layer a share of all counts."""
