"""The two layers of counts: their names, values, size factors, and what looks wrong with them."""
