"""Methods: a frozen dataclass of settings each, and the protocol that they share."""
