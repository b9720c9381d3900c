"""How many lineages there are: what halves of the genes say of those that geometry finds."""
