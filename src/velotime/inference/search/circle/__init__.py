"""The search on a clock that goes round."""
