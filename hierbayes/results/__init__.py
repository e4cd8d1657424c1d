"""Frozen records of what was estimated. Reading one never computes a new estimate."""
