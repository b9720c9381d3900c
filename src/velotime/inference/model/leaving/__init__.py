"""Cells that do not cycle, beside a clock that goes round."""
