"""Readers, a format a module."""
