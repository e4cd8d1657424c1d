"""Fits in files: archive, digests, index."""
