"""What a fit says of several samples, and of their conditions."""
