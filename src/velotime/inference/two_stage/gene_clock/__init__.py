"""scVelo's model: every gene with a clock of its own."""
