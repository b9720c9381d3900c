"""What all plots share: axes, colours, and rules for arguments."""
