"""Evidence for what a fit says: the direction of time, and agreement with what is known."""
