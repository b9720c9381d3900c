"""Hours: what is known of the genes in hours, read and written."""
