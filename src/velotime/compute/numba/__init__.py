"""The primitives on the CPU, compiled by numba."""
