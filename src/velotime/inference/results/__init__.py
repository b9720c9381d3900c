"""What a fit says of cells, genes and groups, and how uncertain it is."""
