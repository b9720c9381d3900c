"""Neighbours of the cells: read, or found on principal components of their counts."""
