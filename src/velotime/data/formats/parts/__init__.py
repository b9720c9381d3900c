"""What readers of several formats share: where matrices come from, and how layers are laid out."""
