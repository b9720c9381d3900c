"""Plots of single genes."""
