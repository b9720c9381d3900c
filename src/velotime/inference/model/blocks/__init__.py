"""The cells of a fit in blocks."""
