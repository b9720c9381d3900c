"""Plots of several samples, and of their conditions."""
