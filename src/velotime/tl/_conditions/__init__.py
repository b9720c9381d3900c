"""Conditions of several samples compared, with the samples as replicates."""
