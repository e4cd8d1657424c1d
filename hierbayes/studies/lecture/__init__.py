"""The lecture's analysis and its pages."""
