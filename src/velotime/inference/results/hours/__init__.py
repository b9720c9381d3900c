"""How many hours one unit of the clock takes, from what is known of the genes in hours."""
