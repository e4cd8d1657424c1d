"""The Gaussian kernel below both estimators: cross-products, covariances, marginal likelihood."""
