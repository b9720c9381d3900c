"""What a gene's curve can be, and the clock that it runs on."""
