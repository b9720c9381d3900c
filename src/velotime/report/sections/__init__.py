"""Sections of the page for readers who were not there."""
