"""Known covariances between levels: from pedigrees, from trees, or given as a matrix."""
