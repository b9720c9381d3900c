"""Kernels of cells and their neighbours: the velocity graph, its arrows, and the neighbours themselves."""
