"""What follows from a fit: predictions and simulations."""
