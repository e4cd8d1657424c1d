"""The numbers of the factor of Lambda'Z'WZ Lambda + I on a pattern, at a batch of Lambdas."""
