"""Kinetics on a clock that goes round."""
