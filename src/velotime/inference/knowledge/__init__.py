"""What is known of the cells before the fit: labels, time priors, roots, ends, fates, markers, time labels."""
