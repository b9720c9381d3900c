"""Several samples on the same curves: capture and dispersion of each."""
