"""Models of data that are read once, in parts, or summed where they are."""
