"""What all metrics share: what they read of an AnnData, and rules for arguments."""
