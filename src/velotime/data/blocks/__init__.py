"""Counts that are read in blocks of cells: from sparse datasets in files, and from Dask arrays."""
