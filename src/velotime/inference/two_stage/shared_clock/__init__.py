"""One time per cell on the clock that all genes share."""
